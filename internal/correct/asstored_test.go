package correct

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/control"
	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/storage"
)

// asStored ends what is unfinished, through a crash at a step of the world.
func (w *world) asStored() (e Ended, crashed bool) {
	w.t.Helper()
	p := w.publisher()
	watch := func(p Progress) error {
		if p.Phase == Storing && p.Done == p.Total { // from here on readers may take it for whole
			w.whole = append(w.whole, w.stored())
		}
		return nil
	}
	for {
		e, err := p.EndAsStored(w.t.Context(), "replay", "an operator", watch)
		if err == nil || errors.Is(err, ErrNone) { // it died after it said the end
			return e, crashed
		}
		if !errors.Is(err, errCrash) {
			w.t.Fatal(err)
		}
		crashed = true
	}
}

// breakOff has a replay end with a crash at a step; false when it came to its end before.
func (w *world) breakOff(t truth, step int) bool {
	w.t.Helper()
	w.crash = w.steps + step
	j, err := w.publisher().Begin(w.t.Context(), control.Correction{What: "replay", By: "a test", From: base, To: base + windows*minute})
	if err == nil {
		err = t.work(w.t.Context(), j)
		_ = j.Close()
	}
	if err != nil && !errors.Is(err, errCrash) {
		w.t.Fatal(err)
	}
	return err != nil
}

// outcome is how the last correction ended; empty while it has not, or when there was none.
func (w *world) outcome() string {
	w.t.Helper()
	facts, err := control.Load(w.t.Context(), w.log, w.topics.Control)
	if err != nil {
		w.t.Fatal(err)
	}
	if all := facts.Corrections(); len(all) > 0 {
		return all[len(all)-1].Outcome
	}
	return ""
}

// TestEndAsStored: wherever a correction broke off, and ending it does, it can be ended without its clicks. Then each count is that
// from before or that of the correction, lists are those of the counts, readers are told of all of it as one change, nothing is
// held, and what wakes later changes nothing.
func TestEndAsStored(t *testing.T) {
	t.Parallel()
	mixed, crashes, lists := 0, 0, int64(0)
	for step := 1; ; step += 2 {
		w := newWorld(t, uint64(step))
		wrong := click.Ranking{Start: base + 3*minute, Size: minute, Filter: click.FilterAll, State: click.Final, Revision: 1, Version: 2, Clicks: 1, Ads: 1}
		if err := w.store.Apply(t.Context(), &storage.Batch{Rankings: []click.Ranking{wrong}}); err != nil {
			t.Fatal(err)
		}
		before, truth := w.stored(), w.truth()
		w.seen = before
		w.whole = append(w.whole, truth.counts()) // as the correction itself may come to its end
		if !w.breakOff(truth, step) {
			break
		}
		w.crash = w.steps + 1 + step%20
		e, crashed := w.asStored()
		if crashed {
			crashes++
		}
		lists += e.Lists
		after := w.stored()
		for _, messages := range w.wake {
			if err := w.log.Append(t.Context(), w.topics.Partials, messages); err != nil {
				t.Fatal(err)
			}
		}
		w.settle()
		if got := w.stored(); !maps.Equal(got, after) {
			t.Fatalf("step %d: who woke changed %v to %v", step, after, got)
		}
		how := w.outcome()
		for key := range after {
			if after[key] != before[key] && after[key] != truth.counts()[key] || strings.HasSuffix(key, "(list)") && how != "" && !strings.Contains(how, "nothing was changed") {
				t.Errorf("step %d: %s is %d, was %d and should have become %d", step, key, after[key], before[key], truth.counts()[key])
			}
		}
		if !maps.Equal(after, before) && !maps.Equal(after, truth.counts()) {
			mixed++
		}
		marks, err := w.store.Marks(t.Context())
		if held := storage.HeldBy(marks); err != nil || held.From < held.To {
			t.Errorf("step %d: %+v is held in the end, %v", step, held, err)
		}
		if how != "" && !strings.HasPrefix(how, "ended as stored") && how != "done" {
			t.Errorf("step %d: the control topic says %q", step, how)
		}
	}
	if mixed < 5 || crashes < 5 || lists < 3 {
		t.Errorf("%d ended half way, through %d crashes, with %d lists: too few to tell", mixed, crashes, lists)
	}
}

// TestEndAsStoredOfNothing: what has published nothing is ended at once, and one of another kind is left alone.
func TestEndAsStoredOfNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	p, quiet := w.publisher(), func(Progress) error { return nil }
	if _, err := p.EndAsStored(t.Context(), "replay", "me", quiet); !errors.Is(err, ErrNone) {
		t.Error(err)
	}
	j, err := p.Begin(t.Context(), control.Correction{What: "replay", From: base, To: base + minute})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = j.Close() }()
	if _, err := p.EndAsStored(t.Context(), "reconcile", "me", quiet); !errors.Is(err, ErrOther) || w.outcome() != "" {
		t.Errorf("%v, %s", err, w.outcome())
	}
	if e, err := p.EndAsStored(t.Context(), "replay", "me", quiet); err != nil || e != (Ended{From: base, To: base + minute}) || w.outcome() != "ended as stored: nothing was changed" {
		t.Errorf("%+v, %v, %s", e, err, w.outcome())
	}
}

// TestListAlone: where a list alone is new a count of its window is said again as it is, digest and all, so that the writer knows
// which hour has changed.
func TestListAlone(t *testing.T) {
	t.Parallel()
	s, err := newSpool(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.close() }()
	stored := Stored{Rows: final(rowsOf("a=1#7 b=2#9"))}
	d := Compare(base, minute, click.FilterAll, &stored, stored.Counts(), 1, nil)
	if err := s.add(&d); err != nil || len(d.Changes) > 0 || s.rows != 1 {
		t.Fatalf("%+v, %v, %d rows", d, err, s.rows)
	}
	if err := s.each(&s.entries[0], func(c *click.Correction) error {
		if len(c.Rows) != 1 || string(c.Rows[0].Ad) != "b" || c.Rows[0].Sum() != (click.Sum{Count: 2, Digest: 9}) || !c.Last {
			t.Errorf("%+v", c)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}

// TestListAloneShows: a list alone shows when it is stored, whatever became of the count that was said with it: one that was
// written by hand in Cassandra, with the time of a clock, stays as it is.
func TestListAloneShows(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	j := &Job{Publisher: w.publisher()}
	var err error
	if j.spool, err = newSpool(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = j.Close() }()
	start := int64(base + 50*minute)
	by := click.Result{Ad: []byte("x"), Start: start, Size: minute, Filter: click.FilterAll, Count: 9, Revision: 1, State: click.Final, Version: 1 << 60}
	list := click.Ranking{Start: start, Size: minute, Filter: click.FilterAll, State: click.Final, Revision: 1, Version: 1, Clicks: 4, Ads: 1, Top: rowsOf("x=4")}
	if err := w.store.Apply(t.Context(), &storage.Batch{Results: []click.Result{by}, Rankings: []click.Ranking{list}}); err != nil {
		t.Fatal(err)
	}
	stored, err := Read(t.Context(), w.store, click.FilterAll, start, minute)
	if err != nil {
		t.Fatal(err)
	}
	d := Compare(start, minute, click.FilterAll, &stored, stored.Counts(), 3, nil)
	if err := j.Add(&d); err != nil || len(j.spool.entries) != 1 || len(d.Changes) > 0 {
		t.Fatalf("%+v, %v", d, err)
	}
	for _, want := range []bool{false, true} {
		if shown, err := j.shown(t.Context(), &j.spool.entries[0]); err != nil || shown != want {
			t.Errorf("%v, %v, want %v", shown, err, want)
		}
		list.State, list.Revision, list.Version, list.Clicks, list.Top = click.Corrected, 2, 2, 9, rowsOf("x=9")
		if err := w.store.Apply(t.Context(), &storage.Batch{Rankings: []click.Ranking{list}}); err != nil {
			t.Fatal(err)
		}
	}
}

// deaf is a log that takes changes and hands nobody any.
type deaf struct {
	stream.Log
	said  []string
	ads   int // of the change that was said to its end last
	rows  int // of the one that is being said
	times int
}

func (l *deaf) Append(_ context.Context, topic string, messages []stream.Message) error {
	l.times++
	for _, m := range messages {
		var c click.Correction
		if err := c.Parse(m.Value); err != nil {
			return err
		}
		l.said = append(l.said, fmt.Sprint((c.From-base)/minute))
		if l.rows += len(c.Rows); c.Last {
			l.ads, l.rows = l.rows, 0
		}
	}
	return nil
}

// TestAwaitSaysALittle: of many changes that do not show some are said again, then others, and whoever watches is told all the while.
func TestAwaitSaysALittle(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	p := w.publisher()
	p.Clock, p.Pace = standing{w}, 1 // two seconds a change
	j, err := p.Begin(t.Context(), control.Correction{What: "replay"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = j.Close() }()
	for n := range int64(20) {
		d := Compare(base+(n+50)*minute, minute, click.FilterAll, &Stored{}, rowsOf("x=1"), 3, nil)
		if err := j.Add(&d); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(control.NoteHold(t.Context(), w.log, w.topics.Control, &j.Correction, base, base+70*minute), j.look(t.Context())); err != nil {
		t.Fatal(err)
	}
	log := &deaf{Log: w.log}
	j.Publisher.Log = log
	told, looked := w.now, w.now // a look tells of each change at the same time
	begun, enough := w.now, errors.New("enough")
	var untold, unlooked time.Duration
	err = j.await(t.Context(), func(Progress) error {
		if w.now.Equal(told) {
			looked = w.now
		}
		untold, unlooked, told = max(untold, w.now.Sub(told)), max(unlooked, w.now.Sub(looked)), w.now
		if w.now.Sub(begun) > 2*time.Minute {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) || untold > 3*time.Second || unlooked > sayWait+3*time.Second {
		t.Errorf("%v; nobody was told for %v, and looked for %v", err, untold, unlooked)
	}
	if want := "50 51 52 53 54 55 56 57 58 59 60"; !strings.HasPrefix(strings.Join(log.said, " "), want) {
		t.Errorf("said were %v", log.said)
	}
}

// TestAwaitSaysAll: a window whose changes take long to say is said again to its end.
func TestAwaitSaysAll(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	p := w.publisher()
	p.Clock, p.Pace = standing{w}, 10
	j, err := p.Begin(t.Context(), control.Correction{What: "replay"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = j.Close() }()
	d := Diff{Start: base, Size: minute, Filter: click.FilterAll, Revision: 2}
	for n := range 300 { // some three volleys of ten seconds each
		d.Changes = append(d.Changes, Change{Ad: fmt.Appendf(nil, "%010000d", n), New: 1})
	}
	if err := j.Add(&d); err != nil {
		t.Fatal(err)
	}
	log := &deaf{Log: w.log}
	j.Publisher.Log, j.looked, j.Correction.Hold.Number = log, w.now.Add(time.Hour), 1
	begun, enough := w.now, errors.New("enough")
	err = j.await(t.Context(), func(Progress) error {
		if w.now.Sub(begun) > 2*time.Minute {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) || log.ads < 300 {
		t.Errorf("%v; %d of 300 counts were said again, in %d appends", err, log.ads, log.times)
	}
}

// TestTellsTogether: windows are said as many at once as may be said in a tenth of a second.
func TestTellsTogether(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.pace = 1000
	j, err := w.publisher().Begin(t.Context(), control.Correction{What: "replay"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = j.Close() }()
	for n := range int64(120) {
		d := Compare(base+n*minute, minute, click.FilterAll, &Stored{}, rowsOf("x=1"), 3, nil)
		if err := j.Add(&d); err != nil {
			t.Fatal(err)
		}
	}
	log := &deaf{Log: w.log}
	j.Publisher.Log, j.looked, j.Correction.Hold.Number = log, w.now, 1
	begun := w.now
	var told []int
	n, err := j.tell(t.Context(), j.spool.entries, func(rows int) error { told = append(told, rows); return nil }, func() bool { return false })
	// A window is its list and one row: two of a thousand a second.
	if n != 120 || err != nil || len(log.said) != 120 || log.times != 3 || !slices.Equal(told, []int{50, 50, 20}) || w.now.Sub(begun) != 240*time.Millisecond {
		t.Errorf("%d, %v: %d records in %d appends, rows %v, after %v", n, err, len(log.said), log.times, told, w.now.Sub(begun))
	}
}
