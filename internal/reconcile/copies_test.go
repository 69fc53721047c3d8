package reconcile

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/storage"
	"github.com/clickagg/clickagg/storage/embedded"
	"github.com/clickagg/clickagg/storage/storagetest"
)

// twofold is the world of some clicks with a store that keeps counts twice, and a way to change what
// questions about one ad are answered from.
func twofold(t *testing.T) (w *world, spoil func(start, size int64, series string, rows ...click.Row)) {
	t.Helper()
	w = some(t)
	byAd, err := embedded.Open(t.TempDir(), embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = byAd.Close() })
	w.store = &storagetest.Twofold{Store: w.store, ByAd: byAd}
	w.fill()
	return w, func(start, size int64, series string, rows ...click.Row) {
		t.Helper()
		w := *w
		w.store = byAd
		w.rows(2, start, size, series, rows...)
	}
}

// TestCopies plants damage in what questions about one ad are answered from, alone and beside other damage. Each is
// found, named and repaired.
func TestCopies(t *testing.T) {
	t.Parallel()
	row := func(ad string, count int64, digest uint64) click.Row {
		return click.Row{Ad: []byte(ad), Count: count, Digest: digest}
	}
	type spoil func(start, size int64, series string, rows ...click.Row)
	for name, c := range map[string]struct {
		plant func(w *world, spoil spoil, a, b click.Sum) // what the ads have in minute 0
		want  string
	}{
		"a count raised": {func(_ *world, spoil spoil, a, _ click.Sum) { spoil(base, minute, "000", row("a", 5, a.Digest)) },
			"copy 0 000 a 5/3, wrong_copy 2"},
		"a count lowered, under a filter": {func(_ *world, spoil spoil, _, b click.Sum) { spoil(base, minute, "kr", row("a", 1, b.Digest)) },
			"copy 0 kr a 1/2, wrong_copy 1"},
		"a digest changed": {func(_ *world, spoil spoil, a, _ click.Sum) { spoil(base, minute, "000", row("a", 3, a.Digest+1)) },
			"copy 0 000 a 3/3, wrong_copy 1"},
		"a row deleted": {func(_ *world, spoil spoil, _, _ click.Sum) { spoil(base, minute, "000", row("b", 0, 0)) },
			"copy 0 000 b 0/1, wrong_copy 1"},
		"a row invented": {func(_ *world, spoil spoil, _, _ click.Sum) { spoil(base+7*minute, minute, "000", row("x", 4, 9)) },
			"copy 7 000 x 4/0, wrong_copy 4"},
		"several": {func(_ *world, spoil spoil, a, _ click.Sum) {
			spoil(base, minute, "000", row("a", 5, a.Digest), row("b", 0, 0), row("x", 1, 1))
			spoil(base+61*minute, minute, "000", row("b", 9, 9))
		}, "copy 0 000 a 5/3, wrong_copy 2|copy 0 000 b 0/1, wrong_copy 1|copy 0 000 x 1/0, wrong_copy 1|copy 61 000 b 9/1, wrong_copy 8"},
		"an hour changed": {func(_ *world, spoil spoil, _, _ click.Sum) { spoil(base, hour, "000/1h", row("a", 4, 0)) },
			"copy 0 000/1h a 4/3, wrong_copy 1"},
		"only the window": {func(w *world, _ spoil, a, _ click.Sum) {
			s := *w
			s.store = w.store.(*storagetest.Twofold).Store
			s.rows(2, base, minute, "000", row("a", 5, a.Digest))
		}, "count 0 000 a 5/3, missing_from_raw 2"},
		"only the hour": {func(w *world, _ spoil, _, _ click.Sum) {
			s := *w
			s.store = w.store.(*storagetest.Twofold).Store
			s.rows(2, base, hour, "000/1h", row("a", 4, 0))
		}, "rollup 0 000/1h, wrong_rollup 1"},
		"both, each in its way": {func(w *world, spoil spoil, a, _ click.Sum) {
			w.rows(2, base, minute, "000", row("a", 5, a.Digest))
			s := *w
			s.store = w.store.(*storagetest.Twofold).ByAd
			s.rows(3, base, minute, "000", row("a", 7, a.Digest))
		}, "count 0 000 a 5/3, missing_from_raw 2|copy 0 000 a 7/3, wrong_copy 4"},
		"both in the same way": {func(w *world, _ spoil, a, _ click.Sum) { w.rows(2, base, minute, "000", row("a", 5, a.Digest)) },
			"count 0 000 a 5/3, missing_from_raw 2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, spoil := twofold(t)
			if lines, report := w.run(0, 200); len(lines) > 0 || !report.Clean() {
				t.Fatalf("before: %q %+v", lines, report)
			}
			c.plant(w, spoil, w.cell("000", "a", 0), w.cell("kr", "a", 0))
			lines, report := w.run(0, 200)
			if strings.Join(lines, "|") != c.want || report.Clean() || report.Unexplained != int64(len(lines)) {
				t.Errorf("%q, want %q\n%+v", lines, c.want, report)
			}
			_, done, report, err := w.repair(0, 200, false)
			if err != nil || !report.Clean() || report.Differences > 0 || done.Counts == 0 && !strings.Contains(c.want, "1h") {
				t.Errorf("repair: %+v %+v %v", done, report, err)
			}
			if lines, _ := w.run(0, 200); len(lines) > 0 {
				t.Errorf("afterwards: %q", lines)
			}
		})
	}
}

// TestCopiesOfLate: late clicks that stand in one copy only are wrong there, whichever it is; where both have
// them, or none, nothing is.
func TestCopiesOfLate(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		window, copied bool
		want           []string
	}{
		{false, false, []string{"count 0 000 b 1/1+1, late 1"}},
		{true, true, nil},
		{true, false, []string{"copy 0 000 b 1/2, wrong_copy 1"}},
		{false, true, []string{"count 0 000 b 1/1+1, late 1", "copy 0 000 b 2/1, wrong_copy 1"}},
	} {
		w, spoil := twofold(t)
		b := w.cell("000", "b", 0)
		w.click("20", "b", "US", 0.5, 201)
		_, made := w.rules.Judge.Router.Route([]byte("b"), []byte("20"))
		b.Add(click.Sum{Count: 1, Digest: made.Digest()})
		more := click.Row{Ad: []byte("b"), Count: b.Count, Digest: b.Digest}
		if c.copied {
			spoil(base, minute, "000", more)
		}
		if c.window {
			s := *w
			s.store = w.store.(*storagetest.Twofold).Store
			s.rows(2, base, minute, "000", more)
			s.list(2, base, minute, "000", 5, 2, click.Row{Ad: []byte("a"), Count: 3}, click.Row{Ad: []byte("b"), Count: 2})
		}
		lines, _ := w.run(0, 60)
		lines = slices.DeleteFunc(lines, func(s string) bool { return strings.HasPrefix(s, "rollup") })
		if !slices.Equal(lines, c.want) {
			t.Errorf("%v %v: %q, want %q", c.window, c.copied, lines, c.want)
		}
	}
}

// TestCopiesOfNobody: an ad that has no click in an hour is taken out of it, and only such a one.
func TestCopiesOfNobody(t *testing.T) {
	t.Parallel()
	w, spoil := twofold(t)
	hours := storage.Hour.Series("000")
	spoil(base, hour, hours, click.Row{Ad: []byte("x"), Count: 4, Digest: 9})
	spoil(base+hour, hour, hours, click.Row{Ad: []byte("c"), Count: 2}, click.Row{Ad: []byte("b"), Count: 7})
	lacks := *w
	lacks.store = w.store.(*storagetest.Twofold).Store
	lacks.rows(2, base, hour, hours, click.Row{Ad: []byte("a")}) // as are its other copy and its minutes, it is right
	want := []string{"rollup 0 000/1h, wrong_rollup 3", "copy 60 000/1h b 7/1, wrong_copy 6", "copy 60 000/1h c 2/0, wrong_copy 2"}
	if lines, _ := w.run(0, 200); !slices.Equal(lines, want) {
		t.Errorf("%q, want %q", lines, want)
	}
	if _, _, report, err := w.repair(0, 200, false); err != nil || !report.Clean() {
		t.Errorf("%+v, %v", report, err)
	}
	got := map[string]int64{}
	for ad, start := range map[string]int64{"a": base, "x": base, "b": base + hour, "c": base + hour} {
		cells, err := w.store.Count(t.Context(), hours, []byte(ad), start, start+1)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range cells {
			got[ad] = c.Count
		}
	}
	if want := map[string]int64{"a": 3, "b": 7}; !maps.Equal(got, want) { // b's is added up again: nobody does here
		t.Errorf("%v, want %v", got, want)
	}
}

// changing is a store in which a writer is at work on an hour.
type changing struct {
	storage.Store
	touch *storage.Touch
}

func (s changing) Copies(ctx context.Context, from, to int64, f func(series string, c *storage.Cell) error) (bool, error) {
	s.touch.Offset++
	if err := s.Apply(ctx, &storage.Batch{Touches: []storage.Touch{*s.touch}}); err != nil {
		return true, err
	}
	return s.Store.Copies(ctx, from, to, f)
}

// TestCopiesOfChanging: what is being changed is told of, and is no fault.
func TestCopiesOfChanging(t *testing.T) {
	t.Parallel()
	w, spoil := twofold(t)
	spoil(base, minute, "000", click.Row{Ad: []byte("a"), Count: 5})
	w.store = changing{w.store, &storage.Touch{Hour: base}}
	if lines, report := w.run(0, 60); !slices.Equal(lines, []string{"copy 0 000, superseded_by_replay 0"}) || !report.Clean() {
		t.Errorf("%q %+v", lines, report)
	}
}
