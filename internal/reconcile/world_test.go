package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/control"
	"github.com/clickagg/clickagg/internal/filter"
	"github.com/clickagg/clickagg/internal/rank"
	"github.com/clickagg/clickagg/internal/recount"
	"github.com/clickagg/clickagg/mapper/rule"
	"github.com/clickagg/clickagg/storage"
	"github.com/clickagg/clickagg/storage/embedded"
)

const (
	minute = int64(60_000)
	hour   = 60 * minute
	base   = int64(1_764_000_000_000) / hour * hour
)

var source = click.Source{Topic: "clicks"}

// world is an installation without its pipeline: records of one source, and a store.
type world struct {
	testing.TB
	store storage.Store
	raw   []click.Record // what is read
	log   []click.Record // what the log has: the same, unless something is taken out of raw
	rules recount.Rules
	input int
	none  bool   // there is no source
	from  int64  // first offset that the log still has
	again func() // after all records were read

	in recount.Input // where more is read than raw has

	began  []control.Correction
	left   control.Correction // what was left unfinished
	broken error              // of publishing
	job    *job               // the last
}

func newWorld(t testing.TB) *world {
	t.Helper()
	s, err := embedded.Open(t.TempDir(), embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	set, err := filter.NewSet([]filter.Definition{{ID: "kr", Where: `country == "KR"`}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return &world{TB: t, store: s, rules: recount.Rules{
		Judge: rule.Config{
			Size: minute, Lateness: 5 * minute, Delay: 15_000, MaxFuture: minute, IdleTimeout: 5_000,
			EventIDField: "event_id", AdIDField: "ad_id", TimeField: "ts", TimeUnit: rule.Millis, MaxRecordBytes: 1 << 16,
			Rules: click.Rules{Horizon: 10 * minute, MaxIDs: 1 << 20, MaxAds: 1 << 20},
		},
		Trusted: func(string) bool { return false }, Live: func(click.TopicID) int64 { return base },
		Filters: []rule.FilterSpan{{Until: click.None, Set: set}},
	}}
}

// click appends a record; at and appended are minutes after base.
func (w *world) click(id, ad, country string, at, appended float64) {
	value := fmt.Appendf(nil, `{"event_id":%q,"ad_id":%q,"ts":%d,"country":%q}`, id, ad, base+int64(at*float64(minute)), country)
	r := click.Record{Offset: int64(len(w.raw)), Append: base + int64(appended*float64(minute)), Value: value}
	w.raw, w.log = append(w.raw, r), append(w.log, r)
}

// records is what is read of the one source. It makes the world an input.
type records []click.Record

func (r records) Sources(context.Context) ([]click.Source, error) { return []click.Source{source}, nil }
func (r records) AsOf() int64                                     { return base + 300*minute }

func (r records) Bounds(context.Context, click.Source) (start, end int64, err error) {
	if len(r) == 0 {
		return 0, 0, nil
	}
	return r[0].Offset, r[len(r)-1].Offset + 1, nil
}

func (r records) Since(_ context.Context, _ click.Source, start, end, ms int64) (int64, error) {
	for i := range r {
		if r[i].Offset >= start && r[i].Append >= ms {
			return min(r[i].Offset, end), nil
		}
	}
	return end, nil
}

func (r records) Read(ctx context.Context, _ click.Source, from, to int64, f func(*click.Record) error) error {
	for i := range r {
		if rec := r[i]; rec.Offset >= from && rec.Offset < to {
			if err := errors.Join(ctx.Err(), f(&rec)); err != nil {
				return err
			}
		}
	}
	return nil
}

// Recount makes the world what a Reconciler asks.
func (w *world) Recount(ctx context.Context, span recount.Range, o recount.Options, watch func(done, total int64) error, sink func(*recount.Window) error) (recount.Report, error) {
	rules := w.rules
	rules.Late, rules.Gathered, rules.Witness, rules.Hole = o.Late, o.Gathered, o.Witness, o.Hole
	inputs := []recount.Input{records(w.raw)}
	if w.in != nil {
		inputs[0] = w.in
	}
	if w.none {
		inputs[0] = recount.FromLog(nil, nil, click.None)
	}
	report, err := recount.Run(ctx, inputs, span, rules, watch, sink)
	report.Input = w.input
	if w.again != nil {
		w.again()
	}
	return report, err
}

// InLog reads what the log has.
func (w *world) InLog(ctx context.Context, _ click.Source, from, to int64, f func(*click.Record) error) (bool, error) {
	if from < w.from {
		return false, nil
	}
	return true, records(w.log).Read(ctx, source, from, to, f)
}

// Restore puts back what the log has.
func (w *world) Restore(_ context.Context, _ click.Source, from, to int64) error {
	at := func(records []click.Record, offset int64) int {
		i, _ := slices.BinarySearchFunc(records, offset, func(r click.Record, o int64) int { return int(r.Offset - o) })
		return i
	}
	w.raw = slices.Insert(w.raw, at(w.raw, from), w.log[at(w.log, from):at(w.log, to)]...)
	return nil
}

// fill counts everything into the store as it is counted live, and rolls the first two hours up.
func (w *world) fill() {
	w.Helper()
	sums := map[string]int64{}
	_, err := w.Recount(w.Context(), recount.Range{From: base, To: base + 4*hour}, recount.Options{}, func(int64, int64) error { return nil },
		func(win *recount.Window) error {
			w.apply(1, win.Start, minute, win.Filter, win.Rows)
			for _, row := range win.Rows {
				if win.Start < base+2*hour {
					sums[fmt.Sprint((win.Start-base)/hour, "/", win.Filter, "/", string(row.Ad))] += row.Count
				}
			}
			return nil
		})
	if err != nil {
		w.Fatal(err)
	}
	for h := range int64(2) {
		for _, f := range []string{click.FilterAll, "kr"} {
			var rows []click.Row
			for key, n := range sums {
				if ad, ok := strings.CutPrefix(key, fmt.Sprint(h, "/", f, "/")); ok {
					rows = append(rows, click.Row{Ad: []byte(ad), Count: n})
				}
			}
			w.apply(1, base+h*hour, hour, storage.Hour.Series(f), rows)
		}
	}
	w.closed(4 * hour)
}

// closed says until when everything is closed.
func (w *world) closed(after int64) {
	w.Helper()
	mark := storage.Mark{Partitions: 1, Reducers: 1, Watermark: base + after, Closed: base + after}
	if err := w.store.Apply(w.Context(), &storage.Batch{Marks: []storage.Mark{mark}}); err != nil {
		w.Fatal(err)
	}
}

// apply stores rows of a window, and their list.
func (w *world) apply(version, start, size int64, series string, rows []click.Row) {
	w.Helper()
	w.rows(version, start, size, series, rows...)
	first, clicks, ads := rank.NewFirst(3), int64(0), int64(0)
	for _, r := range rows {
		first.Add(r)
		clicks += r.Count
		ads++
	}
	w.list(version, start, size, series, clicks, ads, slices.Clone(first.Sorted())...)
}

// rows stores counts that are final.
func (w *world) rows(version, start, size int64, series string, rows ...click.Row) {
	w.Helper()
	w.stand(version, start, size, series, click.Standing{State: click.Final, Revision: 1}, rows...)
}

// stand stores counts that are worth something.
func (w *world) stand(version, start, size int64, series string, s click.Standing, rows ...click.Row) {
	w.Helper()
	var b storage.Batch
	for _, r := range rows {
		b.Results = append(b.Results, click.Result{
			Ad: r.Ad, Start: start, Size: size, Filter: series, Count: r.Count, Digest: r.Digest, Revision: s.Revision, State: s.State, Version: version,
		})
	}
	if err := w.store.Apply(w.Context(), &b); err != nil {
		w.Fatal(err)
	}
}

// list stores a ranked list.
func (w *world) list(version, start, size int64, series string, clicks, ads int64, top ...click.Row) {
	w.Helper()
	l := click.Ranking{Start: start, Size: size, Filter: series, State: click.Final, Revision: 1, Version: version, Clicks: clicks, Ads: ads, Top: top}
	if err := w.store.Apply(w.Context(), &storage.Batch{Rankings: []click.Ranking{l}}); err != nil {
		w.Fatal(err)
	}
}

// cell is what is stored of a count.
func (w *world) cell(filter, ad string, m int64) click.Sum {
	w.Helper()
	cells, err := w.store.Count(w.Context(), filter, []byte(ad), base+m*minute, base+(m+1)*minute)
	if err != nil || len(cells) != 1 {
		w.Fatalf("%s %s %d: %v, %v", filter, ad, m, cells, err)
	}
	return cells[0].Sum()
}

// run compares minutes, and returns what was found, a line each.
func (w *world) run(from, to int64) (lines []string, report Report) {
	w.Helper()
	report, err := w.reconciler().Run(w.Context(), Question{From: base + from*minute, To: base + to*minute},
		func(s Step, done, total int64) error {
			if done > total {
				w.Errorf("%s: %d of %d", s, done, total)
			}
			return nil
		},
		func(d *Difference) error {
			lines = append(lines, text(d))
			return nil
		})
	if err != nil {
		w.Fatal(err)
	}
	return lines, report
}

func (w *world) reconciler() *Reconciler {
	return &Reconciler{Store: w.store, Clicks: w, Size: minute, Horizon: 10 * minute, Top: 3, Begin: w.begin}
}

// text is a difference in a line.
func text(d *Difference) string {
	s := fmt.Sprint(d.Kind, " ", (d.Start-base)/minute)
	if d.Filter != "" {
		s += " " + d.Filter
	}
	if d.Kind == Count || d.Kind == Copy && d.Ad != "" {
		s += fmt.Sprint(" ", d.Ad, " ", d.Stored.Count, "/", d.Raw.Count)
		if d.Late.Count > 0 {
			s += fmt.Sprint("+", d.Late.Count)
		}
	}
	for _, p := range d.Parts {
		s += fmt.Sprint(", ", p.Cause, " ", p.Clicks)
		if len(p.Where) > 0 {
			s += " " + strings.Join(p.Where, " ")
		}
	}
	return s
}
