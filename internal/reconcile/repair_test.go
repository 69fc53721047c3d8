package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"go.uber.org/zap"

	"github.com/clickagg/clickagg/internal/calendar"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/control"
	"github.com/clickagg/clickagg/internal/correct"
	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/internal/stream/memory"
	"github.com/clickagg/clickagg/storage"
)

// job writes corrections into a world's store, with the touches that a writer leaves.
type job struct {
	*world
	diffs []correct.Diff
	fail  error // of Publish
	held  bool
	ended []string
}

func (w *world) begin(_ context.Context, c control.Correction, resume bool) (Job, control.Correction, error) {
	w.began = append(w.began, c)
	if resume {
		c = w.left
	}
	w.job = &job{world: w, fail: w.broken, held: c.Hold.Number > 0}
	return w.job, c, nil
}

func (j *job) Add(d *correct.Diff) error {
	if !d.None() {
		j.diffs = append(j.diffs, *d)
	}
	return nil
}

func (j *job) Publish(_ context.Context, watch func(correct.Progress) error) error {
	if j.held = true; j.fail != nil {
		return j.fail
	}
	for i, d := range j.diffs {
		version := int64(1000 + i)
		var rows []click.Row
		for _, c := range d.Changes {
			rows = append(rows, click.Row{Ad: c.Ad, Count: c.New, Digest: c.NewDigest})
		}
		j.stand(version, d.Start, d.Size, d.Filter, click.Standing{State: click.Corrected, Revision: d.Revision}, rows...)
		j.list(version, d.Start, d.Size, d.Filter, d.Clicks, d.Ads, d.Top...)
		if len(rows) == 0 && len(d.Top) == 0 {
			continue // nothing is said that would touch the hour
		}
		touch := storage.Touch{Hour: calendar.Hour(d.Start).From, Offset: version}
		if err := j.store.Apply(j.Context(), &storage.Batch{Touches: []storage.Touch{touch}}); err != nil {
			return err
		}
	}
	return watch(correct.Progress{Phase: correct.Storing, Done: 1, Total: 1})
}

func (j *job) End(_ context.Context, outcome string) error {
	j.ended = append(j.ended, outcome)
	return nil
}

func (j *job) GiveUp(ctx context.Context, why error) error {
	if j.held {
		return why
	}
	return errors.Join(why, j.End(ctx, "nothing was changed"))
}

func (j *job) Close() error { return nil }

// repair repairs minutes, and returns what was found, a line each.
func (w *world) repair(from, to int64, resume bool) (lines []string, done Repaired, report Report, err error) {
	w.Helper()
	q := Question{From: base + from*minute, To: base + to*minute}
	done, report, err = w.reconciler().Repair(w.Context(), q, "me", resume, func(Step, int64, int64) error { return nil },
		func(d *Difference) error { lines = append(lines, text(d)); return nil })
	return lines, done, report, err
}

// TestRepair: whatever is wrong is put right, late clicks are added, and there is nothing left
// to be found; a second repair publishes nothing.
func TestRepair(t *testing.T) {
	t.Parallel()
	w := some(t)
	w.click("20", "a", "KR", 0.5, 201) // late
	a := w.cell("000", "a", 0)
	w.rows(2, base, minute, "000", click.Row{Ad: []byte("a"), Count: 5, Digest: a.Digest})
	w.rows(2, base, minute, "kr", click.Row{Ad: []byte("b")})
	w.rows(2, base+7*minute, minute, "000", click.Row{Ad: []byte("x"), Count: 4, Digest: 9})
	w.list(2, base+61*minute, minute, "000", 2, 2, click.Row{Ad: []byte("b"), Count: 1}) // backwards
	w.rows(2, base+hour, hour, "000/1h", click.Row{Ad: []byte("b"), Count: 7})
	before, _ := w.run(0, 200)
	lines, done, report, err := w.repair(0, 200, false)
	if err != nil || !slices.Equal(lines, before) || len(lines) != 6 || done.Counts != 4 || !report.Clean() || report.Differences != 0 {
		t.Errorf("%q\nwant %q\n%+v %+v %v", lines, before, done, report, err)
	}
	if c := w.began[0]; c.What != What || c.By != "me" || !c.Late || c.From != base || c.To != base+200*minute {
		t.Errorf("%+v", c)
	}
	if got := w.cell("000", "a", 0); got.Count != 4 || got.Digest == a.Digest {
		t.Errorf("%+v", got)
	}
	if got := w.job.ended; !slices.Equal(got, []string{"4 counts were changed"}) {
		t.Error(got)
	}
	if lines, done, report, err = w.repair(0, 200, false); err != nil || len(lines) > 0 || done != (Repaired{}) || !report.Clean() || len(w.job.diffs) > 0 || len(w.job.ended) != 1 {
		t.Errorf("again: %q %+v %+v %v", lines, done, report, err)
	}
}

// TestRepairOfHours: an hour that is wrong is made again, by one of its windows.
func TestRepairOfHours(t *testing.T) {
	t.Parallel()
	w := some(t)
	w.rows(2, base+hour, hour, "kr/1h", click.Row{Ad: []byte("z"), Count: 7}) // it has no window at all
	w.rows(2, base+hour, hour, "000/1h", click.Row{Ad: []byte("b"), Count: 7})
	lines, done, report, err := w.repair(0, 200, false)
	if err != nil || len(lines) != 2 || done.Counts != 0 || !report.Clean() || report.Differences != 0 {
		t.Errorf("%q %+v %+v %v", lines, done, report, err)
	}
	var got []string
	for _, d := range w.job.diffs {
		got = append(got, fmt.Sprint((d.Start-base)/minute, " ", d.Filter, " ", d.Ads))
	}
	if !slices.Equal(got, []string{"60 kr 0", "61 000 2"}) {
		t.Error(got)
	}
}

// TestRepairOfAnEmptyHour: an hour of a filter that no click of it passed is made again as well.
func TestRepairOfAnEmptyHour(t *testing.T) {
	t.Parallel()
	w := some(t)
	w.rows(2, base+hour, hour, "kr/1h", click.Row{Ad: []byte("z"), Count: 7})
	lines, done, report, err := w.repair(0, 200, false)
	if err != nil || len(lines) != 1 || done.Counts != 0 || !report.Clean() || len(w.job.diffs) != 1 || w.job.diffs[0].Ads != 0 {
		t.Errorf("%q %+v %+v %v", lines, done, report, err)
	}
}

// TestRepairOfRecords: a record that the raw store has lost is put back, and no count is changed for its lack.
func TestRepairOfRecords(t *testing.T) {
	t.Parallel()
	w := some(t)
	w.raw, w.input = slices.Delete(slices.Clone(w.raw), 2, 3), 1
	lines, done, report, err := w.repair(0, 200, false)
	if err != nil || len(lines) != 3 || done != (Repaired{Records: 1}) || !report.Clean() || len(w.job.diffs) > 0 {
		t.Errorf("%q %+v %+v %v", lines, done, report, err)
	}
}

// TestRepairOfLateRecords: so is one that came too late, which is counted then.
func TestRepairOfLateRecords(t *testing.T) {
	t.Parallel()
	w := some(t)
	w.click("20", "a", "KR", 0.5, 201) // late
	w.click("21", "a", "KR", 239, 202)
	w.raw, w.input = slices.Delete(slices.Clone(w.raw), 12, 13), 1
	lines, done, report, err := w.repair(0, 200, false)
	if err != nil || len(lines) != 1 || done != (Repaired{Counts: 2, Records: 1}) || !report.Clean() || report.Differences > 0 {
		t.Errorf("%q %+v %+v %v", lines, done, report, err)
	}
}

// TestRepairRefuses: where records are not known nothing is changed, and that is said.
func TestRepairRefuses(t *testing.T) {
	t.Parallel()
	w := some(t)
	w.raw, w.input, w.from = slices.Delete(slices.Clone(w.raw), 2, 3), 1, 3
	if _, done, _, err := w.repair(0, 200, false); !errors.Is(err, ErrInexact) || done != (Repaired{}) || !slices.Equal(w.job.ended, []string{"nothing was changed"}) {
		t.Errorf("%+v %v %q", done, err, w.job.ended)
	}
}

// TestRepairOfWhatIsClosed: whether late clicks are counted is decided for what is closed now only, and not at all
// where nothing is.
func TestRepairOfWhatIsClosed(t *testing.T) {
	t.Parallel()
	w := some(t)
	if _, done, report, err := w.repair(240, 300, false); err != nil || done != (Repaired{}) || report.From != report.To || len(w.began) > 0 {
		t.Errorf("%+v %+v %v, %+v", done, report, err, w.began)
	}
	if _, _, _, err := w.repair(200, 300, false); err != nil || w.began[0].To != base+240*minute {
		t.Errorf("%v, %+v", err, w.began)
	}
}

// TestRepairOfManyRecords: while records are lost nothing is changed by what lacks them, however much differs.
func TestRepairOfManyRecords(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.click("first", "first", "US", 0, 0)
	for i := range differencesMost + 10 {
		w.click("1", fmt.Sprintf("x%07d", i), "US", 0.1, 0.1)
	}
	w.click("last", "last", "US", 239, 239)
	w.fill()
	w.raw, w.input = []click.Record{w.raw[0], w.raw[len(w.raw)-1]}, 1
	_, done, report, err := w.repair(0, 60, false)
	if err != nil || done != (Repaired{Records: differencesMost + 10}) || !report.Clean() || len(w.job.diffs) > 0 {
		t.Errorf("%+v %+v %v", done, report, err)
	}
}

// TestResumeOfRecords: what broke off before all records were back finds the others, and the hours that are wrong.
func TestResumeOfRecords(t *testing.T) {
	t.Parallel()
	w := some(t)
	w.raw, w.input = slices.Delete(slices.Clone(w.raw), 2, 3), 1
	w.rows(2, base+hour, hour, "000/1h", click.Row{Ad: []byte("b"), Count: 7})
	w.left = control.Correction{What: What, From: base, To: base + 200*minute}
	_, done, report, err := w.repair(0, 0, true)
	if err != nil || done != (Repaired{Records: 1}) || !report.Clean() || report.Differences != 0 || len(w.job.diffs) != 1 {
		t.Errorf("%+v %+v %v, %d windows", done, report, err, len(w.job.diffs))
	}
}

// TestResumeOfNothing: what broke off before it published anything can end, also where records have gone since; what has
// published cannot.
func TestResumeOfNothing(t *testing.T) {
	t.Parallel()
	w := some(t)
	w.raw, w.input, w.from = slices.Delete(slices.Clone(w.raw), 2, 3), 1, 3
	for number, ended := range []int{1, 0} {
		w.left = control.Correction{What: What, From: base, To: base + 200*minute, Hold: click.Hold{Number: int64(number)}}
		if _, _, _, err := w.repair(0, 0, true); !errors.Is(err, ErrInexact) || len(w.job.ended) != ended {
			t.Errorf("hold %d: %v, %q", number, err, w.job.ended)
		}
	}
}

// TestResumeLeavesOthers: a replay at work goes on when somebody wants to resume a repair.
func TestResumeLeavesOthers(t *testing.T) {
	t.Parallel()
	log, topics := new(memory.Log), click.TopicsOf("clickagg")
	log.Create(topics.Control, 1)
	p := &correct.Publisher{
		Log: log, Topics: topics, Reducers: 1, Dir: t.TempDir(), Clock: stream.Wall{}, Metrics: correct.NewMetrics(nil), Logger: zap.NewNop(),
	}
	replay, err := p.Begin(t.Context(), control.Correction{What: "replay"})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := By(p)(t.Context(), control.Correction{What: What}, true); !errors.Is(err, correct.ErrOther) {
		t.Error(err)
	}
	if err := errors.Join(replay.End(t.Context(), "done"), replay.Close()); err != nil {
		t.Error(err)
	}
}

// TestResume: a repair that broke off is finished with its own range, from a new comparison.
func TestResume(t *testing.T) {
	t.Parallel()
	w := some(t)
	w.rows(2, base, minute, "000", click.Row{Ad: []byte("b"), Count: 5, Digest: 1})
	w.broken = errors.New("broken off")
	if _, _, _, err := w.repair(0, 60, false); !errors.Is(err, w.broken) || len(w.job.ended) > 0 {
		t.Errorf("%v %q", err, w.job.ended)
	}
	w.broken, w.left = nil, w.began[0]
	_, done, report, err := w.repair(100, 200, true)
	if err != nil || done.Counts != 1 || !report.Clean() || report.From != base || report.To != base+60*minute || len(w.job.ended) != 1 {
		t.Errorf("%+v %+v %v", done, report, err)
	}
}
