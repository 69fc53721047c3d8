package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/storage"
)

// TestCassandraHeads: of lists that earlier releases wrote, with no head or with all of the list beside it, before, after and
// instead of this one, the newest list is read, whole or its first ads, however long the older one is.
func TestCassandraHeads(t *testing.T) {
	t.Parallel()
	server := cassandraServer(t)
	o := keyspace(server.Addr())
	applySchema(t, o)
	s, earlier := openStore(t, o), superuser(t, server)
	const minute, hour = 60_000, 3_600_000
	// A list of some ads, of which the first says the version.
	list := func(start, version int64, ads int) click.Ranking {
		r := click.Ranking{
			Start: start, Size: minute, Filter: click.FilterAll, State: click.Final, Revision: 1, Version: version, Clicks: 9000, Ads: int64(ads) + 7,
			Top: []click.Row{{Ad: fmt.Append(nil, "ad-", version), Count: 1000 + version}},
		}
		for i := 1; i < ads; i++ {
			r.Top = append(r.Top, click.Row{Ad: fmt.Appendf(nil, "b%03d", i), Count: 1})
		}
		return r
	}
	now := func(start, version int64, ads int) {
		untilApplied(t, s, &storage.Batch{Rankings: []click.Ranking{list(start, version, ads)}})
	}
	cell := func(rows []click.Row) string {
		var b strings.Builder
		for i, r := range rows {
			fmt.Fprintf(&b, "%.*s('%s', %d)", min(i, 1), ",", r.Ad, r.Count)
		}
		return "[" + b.String() + "]"
	}
	before := func(start, version int64, ads int, head bool) {
		r := list(start, version, ads)
		name, value := "", ""
		if head {
			name, value = ", head", ", "+cell(r.Top[:min(100, ads)])
		}
		q := fmt.Sprintf(`INSERT INTO %s.rankings (filter, hour, start, size, revision, state, version, clicks, ads, top%s)
			VALUES ('000', %d, %d, %d, 1, 2, %d, 9000, %d, %s%s) USING TIMESTAMP %d`,
			o.Keyspace, name, start/hour*hour, start, minute, version, r.Ads, cell(r.Top), value, start*1000+version)
		if err := earlier.Query(q).Exec(); err != nil {
			t.Fatal(err)
		}
	}
	want := map[int64]click.Ranking{}
	at := int64(0)
	for _, older := range []int{2, 100, 150} {
		for _, newer := range []int{2, 100, 150} {
			for _, head := range []bool{false, true} {
				for _, write := range []func(){
					func() { now(at, 5, older); before(at, 6, newer, head) },
					func() { before(at, 5, older, head); now(at, 6, newer) },
					func() { before(at, 6, newer, head); now(at, 5, older) },
					func() { now(at, 6, newer); before(at, 5, older, head) },
					func() { before(at, 6, newer, head); now(at, 6, newer) }, // the same again, after an upgrade
					func() { now(at, 6, newer); before(at, 6, newer, head) }, // and after going back
					func() { before(at, 6, newer, head) },
				} {
					at += minute
					write()
					want[at] = list(at, 6, newer)
				}
			}
		}
	}
	now(at+minute, 6, 150) // beside those that are as they should be
	want[at+minute] = list(at+minute, 6, 150)
	for _, most := range []int{0, 1, 2, 99, 100, 101, 149, storage.WholeList} {
		lists, err := s.Rankings(t.Context(), click.FilterAll, 0, at+2*minute, most)
		if err != nil || len(lists) != len(want) {
			t.Fatalf("%d lists of %d, %v", len(lists), len(want), err)
		}
		for _, got := range lists {
			if w := want[got.Start]; got.Version != 6 || cell(got.Top) != cell(w.Top[:min(most, len(w.Top))]) || got.Ads != w.Ads {
				t.Errorf("first %d of window %d: version %d, %d of %d ads", most, got.Start/minute, got.Version, len(got.Top), got.Ads)
			}
		}
	}
}
