package e2e

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/clickagg/clickagg/internal/api"
)

// The week of real events, and the right answer.
const (
	obdFile     = "testdata/obd/obd-all.jsonl.gz"
	obdExpected = "testdata/obd/obd-all.expected.csv.gz"
	obdEvents   = 20_000
	obdFrom     = "2019-11-24T00:00:00Z"
	obdTo       = "2019-12-01T00:00:00Z"
)

// TestOBD loads the week and asks for it in every way there is.
func TestOBD(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	s := running(ctx, t)
	want := unpack(t, obdExpected)
	s.load(obdFile, "--finish", "--wait")

	same(t, "export", s.must("export", "counts", "--from", obdFrom, "--to", obdTo), want)
	exportedJSON(t, s.must("export", "counts", "--from", obdFrom, "--to", obdTo, "-o", "json"), rows(t, want))
	topAgrees(t, s, rows(t, want))

	before := s.settled(ctx, obdEvents+4)
	if before.Counted != obdEvents {
		t.Errorf("counted %d of %d", before.Counted, obdEvents)
	}
	// Once more: what is within the lateness is a duplicate, what is older late.
	s.load(obdFile, "--finish", "--wait")
	after := s.settled(ctx, 2*(obdEvents+4))
	if after.Counted != obdEvents || after.Duplicate+after.Late != obdEvents || after.Duplicate == 0 {
		t.Errorf("after the second load: %+v", after)
	}
	same(t, "export after the second load", s.export(), want)
}

// TestOBDTwice loads the file twice before its windows close: all are duplicates.
func TestOBDTwice(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	s := running(ctx, t, "--window.allowed-lateness", "72h", "--watermark.delay", "1h", "--dedupe.horizon", "168h")
	lines := strings.SplitAfter(unpack(t, obdFile), "\n")
	n := int64(5000) // events of less than three days
	part := write(t, "part.jsonl", strings.Join(lines[:n], ""))
	s.load(part)
	s.settled(ctx, n)
	s.load(part, "--finish", "--wait")
	if sum := s.settled(ctx, 2*n+4); sum.Counted != n || sum.Duplicate != n {
		t.Errorf("%+v", sum)
	}
}

// TestOBDHalves loads the week in two parts with a pause in which its partitions
// become idle: the second part is not late for that.
func TestOBDHalves(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	s := running(ctx, t, "--watermark.idle-timeout", "100ms")
	lines := strings.SplitAfter(unpack(t, obdFile), "\n")
	half := len(lines) / 2
	s.load(write(t, "first.jsonl", strings.Join(lines[:half], "")))
	s.settled(ctx, int64(half))

	marks := func() (at []time.Time) {
		st, err := s.client.Status(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range st.Roles[0].Partitions {
			at = append(at, *cmp.Or(p.Watermark, new(time.Time)))
		}
		return at
	}
	begin := marks()
	s.eventually(ctx, "idle", func() error {
		for i, at := range marks() {
			if !at.After(begin[i]) {
				return fmt.Errorf("partition %d stands at %v", i, at)
			}
		}
		return nil
	})
	s.load(write(t, "second.jsonl", strings.Join(lines[half:], "")), "--finish", "--wait")
	same(t, "export", s.export(), unpack(t, obdExpected))
	if sum := s.settled(ctx, obdEvents+4); sum.Late != 0 {
		t.Errorf("%+v", sum)
	}
}

// exportedJSON compares an export of one object a line with the rows.
func exportedJSON(t *testing.T, text string, want []row) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	var got []row
	for {
		var r row
		if err := d.Decode(&r); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		got = append(got, r)
	}
	if !slices.Equal(got, want) {
		t.Errorf("the export in JSON differs from that in CSV: %d rows, not %d", len(got), len(want))
	}
}

// topAgrees compares a ranking of the whole week, and the counts of some ads in
// it, with the sums of the rows.
func topAgrees(t *testing.T, s *server, all []row) {
	t.Helper()
	sums := map[string]int64{}
	for _, r := range all {
		sums[r.AdID] += r.Count
	}
	var want []api.AdCount
	for ad, n := range sums {
		want = append(want, api.AdCount{AdID: ad, Count: n})
	}
	slices.SortFunc(want, func(a, b api.AdCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.AdID, b.AdID))
	})
	for _, n := range []int{1, 10, 1000} {
		var top api.Top
		if err := json.Unmarshal([]byte(s.must("query", "top", "-n", strconv.Itoa(n), "--from", obdFrom, "--to", obdTo, "-o", "json")), &top); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(top.Ads, want[:min(n, len(want))]) || !top.Exact || top.Status != api.Final {
			t.Errorf("the top %d are %+v, not %v", n, top, want[:min(n, len(want))])
		}
	}
	for _, ad := range []api.AdCount{want[0], want[len(want)/2], want[len(want)-1], {AdID: "no-such-ad"}} {
		var a api.Count
		if err := json.Unmarshal([]byte(s.must("query", "count", ad.AdID, "--from", obdFrom, "--to", obdTo, "-o", "json")), &a); err != nil {
			t.Fatal(err)
		}
		if a.Count != ad.Count || a.Status != api.Final {
			t.Errorf("%+v: %+v", ad, a)
		}
	}
	contains(t, s.must("query", "top", "-n", "1", "--from", obdFrom, "--to", obdTo), want[0].AdID, "final")
	contains(t, s.must("query", "count", want[0].AdID, "--from", obdFrom, "--to", obdTo), want[0].AdID, "final")
}
