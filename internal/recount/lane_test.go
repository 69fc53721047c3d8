package recount

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/clickagg/clickagg/internal/click"
)

// wide is an input of many sources, which all have the same records and are listed by number.
type wide struct {
	records
	sources, open, most atomic.Int32
	longest             atomic.Int64 // read, in records
	fault               func(ctx context.Context, s click.Source, r *click.Record) error
}

func (w *wide) Sources(context.Context) (names []click.Source, err error) {
	for p := range w.sources.Load() {
		names = append(names, click.Source{Topic: "clicks", Partition: p})
	}
	return names, nil
}

func (w *wide) Bounds(ctx context.Context, _ click.Source) (start, end int64, err error) {
	return w.records.Bounds(ctx, click.Source{Topic: "clicks"})
}

func (w *wide) Since(_ context.Context, _ click.Source, start, _, _ int64) (int64, error) {
	return start, nil
}

func (w *wide) Read(ctx context.Context, s click.Source, from, to int64, f func(*click.Record) error) error {
	n := w.open.Add(1)
	defer w.open.Add(-1)
	for most := w.most.Load(); n > most && !w.most.CompareAndSwap(most, n); most = w.most.Load() {
	}
	return w.records.Read(ctx, click.Source{Topic: "clicks"}, from, to, func(r *click.Record) error {
		for l := w.longest.Load(); r.Offset-from >= l && !w.longest.CompareAndSwap(l, r.Offset-from+1); l = w.longest.Load() {
		}
		if w.fault != nil {
			if err := w.fault(ctx, s, r); err != nil {
				return err
			}
		}
		return f(r)
	})
}

// many are sources that take some turns each.
func many(sources int32, each int) *wide {
	w := &wide{records: records{}}
	w.sources.Store(sources)
	for i := range int64(each) {
		w.add(0, fmt.Sprint(i%100), "a", "KR", base+i, base+i)
	}
	return w
}

// TestManyTurns: what turns bring is counted in its order, and once, whoever fills them.
func TestManyTurns(t *testing.T) {
	t.Parallel()
	in, rnd := records{}, rand.New(rand.NewPCG(1, 2))
	for p := range int32(4) {
		at := base
		for i := range turnMost*5/2 + 1 {
			at += rnd.Int64N(20)
			in.add(p, fmt.Sprint(p%2, "-", i), fmt.Sprint("ad", rnd.IntN(50)), "KR", at-rnd.Int64N(minute/2), at)
		}
	}
	got, report := count(t, in, Range{base, base + 8*minute}, rules(t, `ad_id == "ad7"`))
	if len(got) < 8*51 || report.Records < 4*turnMost {
		t.Errorf("%d counts, %+v", len(got), report)
	}
}

// TestReadsHeld: few sources are read in one go; of more no more are open than work.
func TestReadsHeld(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ sources, most int32 }{{fewSources, fewSources}, {fewSources + 1, 2}} {
		in, r := many(c.sources, turnMost+turnMost/2), rules(t)
		r.Workers = 2
		got, report := countOnce(t, in, Range{base, base + minute}, r)
		if report.Records != int64(c.sources)*(turnMost+turnMost/2) || len(got) == 0 {
			t.Errorf("%+v, %v", report, got)
		}
		if most := in.most.Load(); most > c.most || c.most == fewSources && most <= 2 {
			t.Errorf("of %d sources %d were open at once", c.sources, most)
		}
	}
}

// TestReadsEnd: a read ends after some turns, and before it would have to wait until another one is counted.
func TestReadsEnd(t *testing.T) {
	t.Parallel()
	const each = 3*readTurns + 1
	run := func(t *testing.T, in *wide, r Rules) {
		r.Workers, r.Turn = 1, 1
		report, err := Run(t.Context(), []Input{in}, Range{base, base + minute}, r, func(int64, int64) error { return nil }, func(*Window) error { return nil })
		if err != nil || report.Records != each {
			t.Errorf("%+v, %v", report, err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		in := many(1, each)
		in.fault = func(context.Context, click.Source, *click.Record) error {
			synctest.Wait() // until all before it is counted
			return nil
		}
		if run(t, in, rules(t)); in.longest.Load() != readTurns {
			t.Errorf("%d turns in one read", in.longest.Load())
		}
	})
	synctest.Test(t, func(t *testing.T) {
		in, r := many(1, each), rules(t)
		r.Witness = func(j *Judged) {
			if synctest.Wait(); in.open.Load() > 0 {
				t.Errorf("a read is open while turn %d is counted and all others are full", j.Click.Offset)
			}
		}
		run(t, in, r)
	})
}

// TestTurnRecords: few sources are read in long turns; however many there are, what all of them hold is bounded, or as little as
// can be.
func TestTurnRecords(t *testing.T) {
	t.Parallel()
	for n := 0; n < 1<<20; n += 1 + n/3 {
		each := turnRecords(n)
		if held := each * int64(n*turnsEach(n)); each < turnLeast || each > turnMost || held > heldRecords && each > turnLeast {
			t.Errorf("of %d sources %d records each, %d in all", n, each, held)
		}
	}
	if turnRecords(fewSources) != turnMost || turnRecords(10*fewSources) != turnMost || turnRecords(1000) < 4*turnLeast {
		t.Error("turns are shorter than they need be")
	}
}

// TestTurnOfHoles: what takes more memory than a click does ends a turn earlier.
func TestTurnOfHoles(t *testing.T) {
	t.Parallel()
	in, s := records{}, click.Source{Topic: "clicks"}
	for i := range int64(3 * turnLeast) {
		in.add(0, fmt.Sprint(i), "a", "KR", base+i, base+i)
		in[s][i].Offset = 2*i + 1
	}
	r, last, holes := rules(t), int64(0), 0
	r.Hole = func(click.Source, int64, int64) { holes++ }
	report, err := Run(t.Context(), []Input{in}, Range{base, base + minute}, r, func(done, _ int64) error {
		if done-last > 2*turnLeast+1 {
			t.Errorf("a turn of %d offsets with a hole at each second", done-last)
		}
		last = done
		return nil
	}, func(*Window) error { return nil })
	if err != nil || report.Clicks != 3*turnLeast || holes < 3*turnLeast-1 {
		t.Errorf("%+v, %v, %d holes", report, err, holes)
	}
}

// TestWorkersDefect: a defect in opening or reading a source is one of whoever asked, who may be able to live with it.
func TestWorkersDefect(t *testing.T) {
	t.Parallel()
	for _, at := range []int64{0, 5} {
		in, r := many(3, 10), rules(t)
		in.fault = func(_ context.Context, s click.Source, r *click.Record) error {
			if s.Partition == 1 && r.Offset == at {
				panic("a defect")
			}
			return nil
		}
		for r.Workers = range 3 {
			func() {
				defer func() {
					if v := fmt.Sprint(recover()); !strings.HasPrefix(v, "a defect") {
						t.Errorf("offset %d, %d workers: %s", at, r.Workers, v)
					}
				}()
				_, err := Run(t.Context(), []Input{in}, Range{base, base + minute}, r, func(int64, int64) error { return nil }, func(*Window) error { return nil })
				t.Errorf("offset %d, %d workers: %v", at, r.Workers, err)
			}()
		}
	}
}

// TestOpenEnds: when a source cannot be opened, no other is waited for.
func TestOpenEnds(t *testing.T) {
	t.Parallel()
	in, r, away := many(100, 10), rules(t), errors.New("away")
	r.Workers = 3
	in.fault = func(ctx context.Context, s click.Source, _ *click.Record) error {
		if s.Partition == 2 {
			return away
		}
		<-ctx.Done()
		return ctx.Err()
	}
	_, err := Run(t.Context(), []Input{in}, Range{base, base + minute}, r, nil, nil)
	if !errors.Is(err, away) || !strings.Contains(err.Error(), "clicks/2") {
		t.Error(err)
	}
}
