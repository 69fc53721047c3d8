package correct

import (
	"context"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/control"
	"github.com/clickagg/clickagg/internal/stream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestCrashAtEveryStep: wherever the work breaks off, readers never take a part of it for the whole, it
// can be finished, and what wakes later changes nothing.
func TestCrashAtEveryStep(t *testing.T) {
	t.Parallel()
	crashes := 0
	for seed := range uint64(2) {
		for crash := 1; ; crash++ {
			w := newWorld(t, seed)
			w.crash = crash
			if seed == 1 {
				w.pace = 1_000_000 // all is said at once
			}
			crashed := w.correct(w.truth())
			if crashed {
				crashes++
			}
			w.correct(w.truth())
			before := w.stored()
			for _, messages := range w.wake {
				if err := w.log.Append(t.Context(), w.topics.Partials, messages); err != nil {
					t.Fatal(err)
				}
			}
			w.settle()
			if got := w.stored(); !maps.Equal(got, before) {
				t.Fatalf("seed %d, crash %d: who woke changed %v to %v", seed, crash, before, got)
			}
			if !crashed {
				break
			}
		}
	}
	if crashes < 40 {
		t.Errorf("%d crashes only", crashes)
	}
}

// TestOneAtATime: who comes second is told who was first, and who was replaced stops.
func TestOneAtATime(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	p, ctx := w.publisher(), t.Context()
	if _, err := p.Resume(ctx, "replay", "me"); !errors.Is(err, ErrNone) {
		t.Errorf("nothing to finish: %v", err)
	}
	first, err := p.Begin(ctx, control.Correction{What: "replay", By: "one", From: base, To: base + minute})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = first.Close() }()
	_, err = p.Begin(ctx, control.Correction{What: "replay", By: "two"})
	if busy, ok := errors.AsType[*Busy](err); !ok || busy.Other.By != "one" {
		t.Errorf("a second one: %v", err)
	}
	if _, err := p.Resume(ctx, "reconcile", "three"); !errors.Is(err, ErrOther) || first.look(ctx) != nil {
		t.Errorf("one of another kind: %v; the first: %v", err, first.look(ctx))
	}
	if j, err := (&Publisher{Log: p.Log, Topics: p.Topics, Dir: "/dev/null/none", Clock: p.Clock, Metrics: p.Metrics}).Resume(ctx, "replay", "four"); err == nil || first.look(ctx) != nil {
		t.Errorf("one that cannot keep a file: %v, %v; the first: %v", j, err, first.look(ctx))
	}
	second, err := p.Resume(ctx, "replay", "three")
	if err != nil || second.Correction.From != base || second.Correction.By != "three" {
		t.Fatalf("%+v, %v", second, err)
	}
	defer func() { _ = second.Close() }()
	truth := w.truth()
	w.whole = append(w.whole, truth.counts())
	if err := first.GiveUp(ctx, truth.work(ctx, first)); !errors.Is(err, ErrTaken) {
		t.Errorf("who was replaced: %v", err)
	}
	if err := truth.work(ctx, second); err != nil {
		t.Error(err)
	}
	facts, err := control.Load(ctx, w.log, w.topics.Control)
	if _, busy := facts.Correcting(); err != nil || busy || len(facts.Corrections()) != 1 || facts.Corrections()[0].Outcome != "done" {
		t.Errorf("%+v, %v", facts.Corrections(), err)
	}
}

// TestResumeAfterTheHold: what was found anew after the hold had ended is said under another one.
func TestResumeAfterTheHold(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	p, ctx := w.publisher(), t.Context()
	first, err := p.Begin(ctx, control.Correction{What: "replay"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = first.Close() }()
	one, other := w.truth(), w.truth()
	w.whole = append(w.whole, one.counts(), other.counts())
	if err := one.compare(ctx, first); err != nil {
		t.Fatal(err)
	}
	if err := first.Publish(ctx, func(Progress) error { return nil }); err != nil {
		t.Fatal(err)
	}
	second, err := p.Resume(ctx, "replay", "me")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = second.Close() }()
	if err := other.work(ctx, second); err != nil {
		t.Fatal(err)
	}
	w.shows(other)
}

// TestNothingToCorrect: without a difference nothing is held.
func TestNothingToCorrect(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	j, err := w.publisher().Begin(t.Context(), control.Correction{What: "replay"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = j.Close() }()
	before := len(w.log.Records(w.topics.Partials, 0))
	if err := (truth{}).keep(w, j); err != nil {
		t.Fatal(err)
	}
	if after := len(w.log.Records(w.topics.Partials, 0)); after != before || j.spool.rows != 0 {
		t.Errorf("%d records, then %d; %d rows", before, after, j.spool.rows)
	}
}

// keep publishes that all is as it is.
func (truth) keep(w *world, j *Job) error {
	for n := range int64(windows) {
		s, err := Read(w.t.Context(), w.store, click.FilterAll, base+n*minute, minute)
		if err != nil {
			return err
		}
		d := Compare(base+n*minute, minute, click.FilterAll, &s, s.Counts(), 3, nil)
		if err := j.Add(&d); err != nil {
			return err
		}
	}
	if err := j.Publish(w.t.Context(), func(Progress) error { return nil }); err != nil {
		return err
	}
	return j.End(w.t.Context(), "nothing differs")
}

// TestGiveUp: what failed before its hold ends, also when nobody waits for it any more, and what has a hold does not.
func TestGiveUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	p := w.publisher()
	begin := func() (*Job, error) { return p.Begin(t.Context(), control.Correction{What: "replay"}) }
	why := errors.New("no clicks")
	for range 2 {
		j, err := begin()
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = j.Close() }()
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if err := j.GiveUp(gone, why); !errors.Is(err, why) {
			t.Error(err)
		}
	}
	j, err := begin()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = j.Close() }()
	if err := errors.Join(w.truth().compare(t.Context(), j), j.hold(t.Context())); err != nil {
		t.Fatal(err)
	}
	if err := j.GiveUp(t.Context(), why); !errors.Is(err, why) || !strings.Contains(err.Error(), "clickagg replay --resume") || !strings.Contains(err.Error(), "--as-stored") {
		t.Error(err)
	}
	if _, err := begin(); err == nil {
		t.Error("one with a hold was given up")
	}
}

// TestStuck: a store that shows nothing is waited for, what was said is said again, and in the end
// somebody is told.
func TestStuck(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	p := w.publisher()
	p.Clock = standing{w}
	j, err := p.Begin(t.Context(), control.Correction{What: "replay"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = j.Close() }()
	truth := w.truth()
	before := w.now
	p.Log = w.log // nobody reads what is said
	if err := truth.work(t.Context(), j); !errors.Is(err, ErrStuck) || w.now.Sub(before) < stuckWait {
		t.Errorf("after %v: %v", w.now.Sub(before), err)
	}
	said := 0
	for _, r := range w.log.Records(w.topics.Partials, 0) {
		if click.IsCorrection(r.Value) {
			said++
		}
	}
	if said < int(stuckWait/sayWait)-1 {
		t.Errorf("the beginning was said %d times", said)
	}
}

// standing is a clock whose time nobody uses.
type standing struct{ w *world }

func (c standing) Now() time.Time { return c.w.now }

func (c standing) Sleep(_ context.Context, d time.Duration) error {
	c.w.now = c.w.now.Add(d)
	return nil
}

var _ stream.Clock = standing{}
