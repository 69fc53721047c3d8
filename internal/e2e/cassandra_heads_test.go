package e2e

import (
	"fmt"
	"testing"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/storage"
)

// TestCassandraHeads: of lists that an earlier release wrote, with no head, before, after and
// instead of this one, the head is that of the newest list.
func TestCassandraHeads(t *testing.T) {
	t.Parallel()
	server := cassandraServer(t)
	o := keyspace(server.Addr())
	applySchema(t, o)
	s, earlier := openStore(t, o), superuser(t, server)
	const minute, hour = 60_000, 3_600_000
	list := func(start, version int64) click.Ranking {
		return click.Ranking{
			Start: start, Size: minute, Filter: click.FilterAll, State: click.Final, Revision: 1, Version: version, Clicks: 9, Ads: 2,
			Top: []click.Row{{Ad: fmt.Append(nil, "ad-", version), Count: version}, {Ad: []byte("b"), Count: 1}},
		}
	}
	with := func(start, version int64) {
		untilApplied(t, s, &storage.Batch{Rankings: []click.Ranking{list(start, version)}})
	}
	without := func(start, version int64) {
		q := fmt.Sprintf(`INSERT INTO %s.rankings (filter, hour, start, size, revision, state, version, clicks, ads, top)
			VALUES ('000', %d, %d, %d, 1, 2, %d, 9, 2, [('ad-%d', %d), ('b', 1)]) USING TIMESTAMP %d`,
			o.Keyspace, start/hour*hour, start, minute, version, version, version, start*1000+version)
		if err := earlier.Query(q).Exec(); err != nil {
			t.Fatal(err)
		}
	}
	with(hour, 5)
	without(hour, 6)
	without(2*hour, 5)
	with(2*hour, 6)
	with(3*hour, 5) // so that the store knows of the hours
	with(4*hour, 5)
	without(4*hour+minute, 5)
	for start, version := range map[int64]int64{hour: 6, 2 * hour: 6, 3 * hour: 5, 4 * hour: 5, 4*hour + minute: 5} {
		for _, most := range []int{0, 1, 2, storage.WholeList} {
			lists, err := s.Rankings(t.Context(), click.FilterAll, start, start+minute, most)
			if err != nil || len(lists) != 1 || lists[0].Version != version || len(lists[0].Top) != min(most, 2) || most > 0 && lists[0].Top[0].Count != version {
				t.Errorf("first %d of %d: %+v, %v, want version %d", most, start/minute, lists, err, version)
			}
		}
	}
}
