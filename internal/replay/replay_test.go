package replay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/control"
	"github.com/clickagg/clickagg/internal/correct"
	"github.com/clickagg/clickagg/internal/recount"
	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/internal/stream/memory"
	"github.com/clickagg/clickagg/storage"
	"github.com/clickagg/clickagg/storage/embedded"
	"github.com/clickagg/clickagg/storage/storagetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	minute = 60_000
	base   = 1_764_000_000_000
)

// clicks are recounted windows.
type clicks struct {
	windows []recount.Window
	report  recount.Report
	span    recount.Range
	source  string
	late    bool
	fail    error // at the end
}

func (c *clicks) Recount(_ context.Context, span recount.Range, o recount.Options, watch func(done, total int64) error, sink func(*recount.Window) error) (recount.Report, error) {
	c.span, c.source, c.late = span, o.Source, o.Late
	for i := range c.windows {
		if err := errors.Join(sink(&c.windows[i]), watch(int64(i), 3)); err != nil {
			return c.report, err
		}
	}
	return c.report, c.fail
}

// bench is an installation with four closed windows, the last of them open still; nobody reads its topics.
type bench struct {
	Replayer
	t      *testing.T
	log    *memory.Log
	clicks *clicks
}

func rows(text string) (out []click.Row) {
	for word := range strings.FieldsSeq(text) {
		out = append(out, click.Row{Ad: []byte(word[:1]), Count: int64(word[1] - '0')})
	}
	return out
}

func newBench(t *testing.T) *bench {
	t.Helper()
	store, err := embedded.Open(t.TempDir(), embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	log := new(memory.Log)
	log.Create("c.control", 1)
	log.Create("c.partials", 1)
	log.Create("c.results", 1)
	batch := storage.Batch{Marks: []storage.Mark{{Partitions: 1, Reducers: 1, Watermark: base + 5*minute, Closed: base + 4*minute}}}
	put := func(window int64, filter, text string) {
		start := base + window*minute
		for _, r := range rows(text) {
			batch.Results = append(batch.Results, click.Result{Ad: r.Ad, Start: start, Size: minute, Filter: filter, Count: r.Count, Revision: 1, State: click.Final, Version: 1})
		}
		d := correct.Compare(start, minute, filter, &correct.Stored{}, rows(text), 9, nil)
		batch.Rankings = append(batch.Rankings, click.Ranking{
			Start: start, Size: minute, Filter: filter, State: click.Final, Revision: 1, Version: 1, Clicks: d.Clicks, Ads: d.Ads, Top: d.Top,
		})
	}
	put(0, click.FilterAll, "a1 b2")
	put(1, click.FilterAll, "a3")
	put(1, "de", "a1")
	put(3, click.FilterAll, "c4")
	if err := store.Apply(t.Context(), &batch); err != nil {
		t.Fatal(err)
	}
	window := func(window int64, filter, text string) recount.Window {
		return recount.Window{Start: base + window*minute, Filter: filter, State: click.Final, Rows: rows(text)}
	}
	c := &clicks{report: recount.Report{Sources: 1, Records: 3, Whole: true}, windows: []recount.Window{
		window(0, click.FilterAll, "a1 b2"), window(1, click.FilterAll, "a3"), window(1, "de", "a1"), window(3, click.FilterAll, "c4"),
	}}
	b := &bench{t: t, log: log, clicks: c}
	topics := click.TopicsOf("c")
	b.Replayer = Replayer{
		Clicks: c, Control: topics.Control,
		Publisher: &correct.Publisher{
			Log: log, Store: store, Topics: topics, Reducers: 1, Window: minute, Top: 9, Pace: 1000, Dir: t.TempDir(), Clock: stream.Wall{}, Metrics: correct.NewMetrics(nil), Logger: zap.NewNop(),
		},
	}
	return b
}

func quiet(string, int64, int64) error { return nil }

// compare lists what differs.
func (b *bench) compare(q Question) (Report, string) {
	b.t.Helper()
	var out []string
	report, err := b.Compare(b.t.Context(), q, quiet, func(d *correct.Diff) error {
		for _, c := range d.Changes {
			out = append(out, fmt.Sprintf("%d %s %s %d→%d", (d.Start-base)/minute, d.Filter, c.Ad, c.Old, c.New))
		}
		if len(d.Changes) == 0 {
			out = append(out, fmt.Sprintf("%d %s list", (d.Start-base)/minute, d.Filter))
		}
		return nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return report, strings.Join(out, ", ")
}

var all = Question{From: base, To: base + 4*minute}

// TestCompare: every window and filter is compared, those as well of which one side knows nothing.
func TestCompare(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func([]recount.Window) []recount.Window
		q      Question
		want   string
		before int64
		after  int64
	}{
		"nothing differs": {before: 10, after: 10},
		"a window is not counted": {
			change: func(w []recount.Window) []recount.Window { return w[1:] }, want: "0 000 a 1→0, 0 000 b 2→0", before: 10, after: 7,
		},
		"the last is not": {
			change: func(w []recount.Window) []recount.Window { return w[:3] }, want: "3 000 c 4→0", before: 10, after: 6,
		},
		"a window is not stored": {
			change: func(w []recount.Window) []recount.Window {
				return slices.Insert(w, 3, recount.Window{Start: base + 2*minute, Filter: click.FilterAll, Rows: rows("x5")})
			}, want: "2 000 x 0→5", before: 10, after: 15,
		},
		"a filter's count": {
			change: func(w []recount.Window) []recount.Window { w[2].Rows = rows("a2 b1"); return w }, want: "1 de a 1→2, 1 de b 0→1", before: 10, after: 10,
		},
		"all, of which an ad is meant": {
			change: func([]recount.Window) []recount.Window { return nil }, q: Question{Ads: []string{"b", "a"}}, want: "0 000 a 1→0, 0 000 b 2→0, 1 000 a 3→0, 1 de a 1→0", before: 10, after: 4,
		},
		"all, of which a filter is meant": {
			change: func([]recount.Window) []recount.Window { return nil }, q: Question{Filters: []string{"de"}}, want: "1 de a 1→0",
		},
	} {
		b := newBench(t)
		if c.change != nil {
			b.clicks.windows = c.change(b.clicks.windows)
		}
		q := c.q
		q.From, q.To, q.Source = base+1, base+4*minute+59_999, "raw"
		report, got := b.compare(q)
		if got != c.want || report.Before != c.before || report.After != c.after || !report.Exact() {
			t.Errorf("%s: %s; %+v", name, got, report)
		}
		if b.clicks.span != (recount.Range{From: base, To: base + 4*minute}) || b.clicks.source != "raw" {
			t.Errorf("%s: recounted %+v from %q", name, b.clicks.span, b.clicks.source)
		}
	}
}

// correcting is what the control topic says.
func (b *bench) correcting() (now control.Correction, busy bool, ended []control.Correction) {
	b.t.Helper()
	facts, err := control.Load(b.t.Context(), b.log, b.Control)
	if err != nil {
		b.t.Fatal(err)
	}
	now, busy = facts.Correcting()
	return now, busy, facts.Corrections()
}

// TestNothingToDo: without a difference nobody is held up, and the place is free again.
func TestNothingToDo(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	report, err := b.Run(t.Context(), all, quiet)
	_, busy, ended := b.correcting()
	if err != nil || report.Number != 0 || busy || len(ended) != 1 || len(b.log.Records("c.partials", 0)) > 0 {
		t.Errorf("%+v, %v; busy %v, %+v", report, err, busy, ended)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for name, q := range map[string]Question{
		"half a window": {From: base, To: base + 1}, "an open window": {From: base, To: base + 5*minute}, "backwards": {From: base + minute, To: base},
	} {
		if _, err := newBench(t).Run(t.Context(), q, quiet); !errors.Is(err, ErrRange) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for why, report := range map[string]recount.Report{
		"nothing to read": {Whole: true}, "not kept any more": {Sources: 1}, "behind": {Sources: 1, Whole: true, Behind: true},
		"of 3 clicks": {Sources: 1, Whole: true, Unsure: 3}, "no room": {Sources: 1, Whole: true, Crowded: 1},
	} {
		b := newBench(t)
		b.clicks.windows, b.clicks.report = nil, report
		_, err := b.Run(t.Context(), all, quiet)
		_, busy, ended := b.correcting()
		if _, ok := errors.AsType[*Inexact](err); !ok || !strings.Contains(err.Error(), why) || busy || len(ended) != 1 || len(b.log.Records("c.partials", 0)) > 0 {
			t.Errorf("%s: %v; busy %v, %+v", why, err, busy, ended)
		}
	}
	b := newBench(t)
	late := control.Correction{ID: "1", Owner: "x", What: "reconcile", From: base + minute, To: base + 2*minute, Late: true}
	if err := control.NoteCorrection(t.Context(), b.log, b.Control, late); err != nil {
		t.Fatal(err)
	}
	beside := Question{From: base + 2*minute, To: base + 4*minute}
	if _, err := b.Run(t.Context(), beside, quiet); err == nil || !strings.Contains(err.Error(), "reconcile") {
		t.Errorf("while another is at work: %v", err)
	}
	if _, err := b.Resume(t.Context(), "me", false, quiet); !errors.Is(err, correct.ErrOther) {
		t.Errorf("to resume what is no replay: %v", err)
	}
	if err := control.NoteCorrected(t.Context(), b.log, b.Control, &late, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Resume(t.Context(), "me", false, quiet); !errors.Is(err, correct.ErrNone) {
		t.Errorf("nothing to resume: %v", err)
	}
}

// TestFailsBeforeItChanges: what cannot be counted holds nobody up, neither at the beginning nor when it is resumed.
func TestFailsBeforeItChanges(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.clicks.fail = recount.ErrSource
	begun := control.Correction{ID: "1", Owner: "x", What: What, From: base, To: base + 2*minute, Source: "raw"}
	for n, do := range []func() (Report, error){
		func() (Report, error) { return b.Run(t.Context(), all, quiet) },
		func() (Report, error) {
			if err := control.NoteCorrection(t.Context(), b.log, b.Control, begun); err != nil {
				return Report{}, err
			}
			return b.Resume(t.Context(), "me", false, quiet)
		},
	} {
		_, err := do()
		if _, busy, ended := b.correcting(); !errors.Is(err, recount.ErrSource) || busy || len(ended) != n+1 || !strings.Contains(ended[n].Outcome, recount.ErrSource.Error()) {
			t.Errorf("%v; busy %v, %+v", err, busy, ended)
		}
	}
}

// TestResumeAsks: what was asked for at the beginning is asked for again, and a part that was said
// already cannot end with a recount that is not exact.
func TestResumeAsks(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	begun := control.Correction{ID: "1", Owner: "x", What: What, From: base, To: base + 2*minute, Filters: []string{"de"}, Source: "raw"}
	if err := errors.Join(control.NoteCorrection(t.Context(), b.log, b.Control, begun), control.NoteHold(t.Context(), b.log, b.Control, &begun, base, base+minute)); err != nil {
		t.Fatal(err)
	}
	b.clicks.windows, b.clicks.report.Whole = nil, false
	_, err := b.Resume(t.Context(), "me", false, quiet)
	now, busy, _ := b.correcting()
	if _, ok := errors.AsType[*Inexact](err); !ok || !busy || now.By != "me" || b.clicks.source != "raw" || b.clicks.span.To != base+2*minute {
		t.Errorf("%v; %+v, recounted %+v", err, now, b.clicks)
	}
	stop := errors.New("stop")
	_, err = b.Resume(t.Context(), "me", true, func(step string, _, _ int64) error {
		if step == correct.Holding {
			return stop
		}
		return nil
	})
	if !errors.Is(err, stop) {
		t.Errorf("inexact all the same: %v", err)
	}
	last := b.log.Records("c.partials", 0)
	var c click.Correction
	if len(last) == 0 || c.Parse(last[0].Value) != nil || c.Step != click.Begin || c.Number != 2 || c.From != base || c.To != base+2*minute {
		t.Errorf("%d records, the first %+v", len(last), c)
	}
}

// TestLate: clicks that came too late count where somebody wants them, or wanted them before.
func TestLate(t *testing.T) {
	t.Parallel()
	said := click.Hold{Number: 1}
	for name, c := range map[string]struct {
		late   bool
		before []control.Correction
		want   string
	}{
		"not asked for": {},
		"asked for":     {late: true, want: "0 000 a 1→2, 0 000 c 0→1, 1 000 b 0→5"},
		"there before": {
			before: []control.Correction{
				{From: base + minute, To: base + 2*minute, Hold: said}, {From: base, To: base + minute, Ads: []string{"c"}, Hold: said},
				{From: base, To: base + minute, Filters: []string{"de"}, Hold: said}, {From: base, To: base + 9*minute}, // the last was given up before it changed anything
			},
			want: "0 000 c 0→1, 1 000 b 0→5",
		},
	} {
		b := newBench(t)
		for i, o := range c.before {
			o.ID, o.Owner, o.Late = fmt.Sprint(i), "x", true
			say := control.NoteCorrection(t.Context(), b.log, b.Control, o)
			if o.Hold.Number > 0 {
				say = errors.Join(say, control.NoteHold(t.Context(), b.log, b.Control, &o, o.From, o.To))
			}
			if err := errors.Join(say, control.NoteCorrected(t.Context(), b.log, b.Control, &o, "")); err != nil {
				t.Fatal(err)
			}
		}
		b.clicks.windows[0].Late, b.clicks.windows[1].Late = rows("a1 c1"), rows("b5")
		q := all
		q.Late = c.late
		if _, got := b.compare(q); got != c.want || b.clicks.late != (c.want != "") {
			t.Errorf("%s: %s, late clicks looked for: %v", name, got, b.clicks.late)
		}
	}
}

// TestCopies: what answers for one ad is compared where a store keeps it apart.
func TestCopies(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	byAd, err := embedded.Open(t.TempDir(), embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = byAd.Close() })
	b.Publisher.Store = &storagetest.Twofold{Store: b.Publisher.Store, ByAd: byAd}
	var batch storage.Batch
	for _, r := range rows("a1 b7 x3") { // of the first window, and nothing of the others
		batch.Results = append(batch.Results, click.Result{Ad: r.Ad, Start: base, Size: minute, Filter: click.FilterAll, Count: r.Count, Revision: 1, State: click.Final, Version: 1})
	}
	if err := byAd.Apply(t.Context(), &batch); err != nil {
		t.Fatal(err)
	}
	if _, got := b.compare(Question{From: base, To: base + 2*minute}); got != "0 000 b 7→2, 0 000 x 3→0, 1 000 a 0→3, 1 de a 0→1" {
		t.Error(got)
	}
	if _, got := b.compare(Question{From: base, To: base + 2*minute, Ads: []string{"b"}}); got != "0 000 b 7→2" {
		t.Error(got)
	}
}
