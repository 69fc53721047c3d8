package correct

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/control"
	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/storage"
)

const (
	pollWait  = 200 * time.Millisecond // between two looks at the store
	sayWait   = 10 * time.Second       // until what does not show is said again
	stuckWait = 10 * time.Minute       // without any progress
	lookWait  = time.Second            // between two looks whether the job is still ours
)

// volleyBytes is about the most that is said at once.
const volleyBytes = 1 << 20

// The phases of publishing, in their order.
const (
	Holding    = "waiting for the store to know of the correction"
	Publishing = "publishing"
	Storing    = "waiting for the store to show it"
	Releasing  = "waiting for the store to know that it is done"
)

// Progress is how far Publish is: done of all that a phase has.
type Progress struct {
	Phase       string
	Done, Total int64
}

// Publish publishes all that was added, as a whole, and returns when the store shows it. Watch is
// told how far it is, at least every second or so; an error of it ends the work. After an error, and after a crash, the
// store says of the time of the hold that it is provisional, until the correction was resumed and published.
func (j *Job) Publish(ctx context.Context, watch func(Progress) error) error {
	if len(j.spool.entries) == 0 && j.Correction.Hold.Number == 0 {
		return nil
	}
	if err := j.hold(ctx); err != nil {
		return err
	}
	if err := j.begin(ctx, watch); err != nil {
		return fmt.Errorf("publish the correction: %w", err)
	}
	return j.publish(ctx, watch)
}

// publish says all changes under a hold that the store knows of, and ends the hold when it shows them.
func (j *Job) publish(ctx context.Context, watch func(Progress) error) error {
	for _, phase := range []func(context.Context, func(Progress) error) error{j.say, j.await, j.release} {
		if err := phase(ctx, watch); err != nil {
			return fmt.Errorf("publish the correction: %w", err)
		}
	}
	j.Metrics.rows.Add(float64(j.spool.rows))
	j.Metrics.windows.Add(float64(len(j.spool.entries)))
	return nil
}

// hold has the hold noted that all that was added lies in. One that there was before a crash is
// kept if it is wide enough and nobody has ended it.
func (j *Job) hold(ctx context.Context) error {
	h := j.Correction.Hold
	from, to := h.From, h.To
	for i := range j.spool.entries {
		e := &j.spool.entries[i]
		if from == to {
			from, to = e.start, e.start+e.size
		}
		from, to = min(from, e.start), max(to, e.start+e.size)
	}
	marks, err := j.Store.Marks(ctx)
	if err != nil {
		return fmt.Errorf("read marks: %w", err)
	}
	ended := slices.ContainsFunc(marks, func(m storage.Mark) bool { return m.Hold.Number == h.Number && m.Hold.Done })
	if h.Number > 0 && !ended && from == h.From && to == h.To {
		return nil
	}
	if err := control.NoteHold(ctx, j.Log, j.Topics.Control, &j.Correction, from, to); err != nil {
		return err
	}
	return j.look(ctx)
}

// begin says that the hold begins, until the store knows it from every reducer in every partition.
func (j *Job) begin(ctx context.Context, watch func(Progress) error) error {
	return j.marked(ctx, click.Begin, Holding, watch)
}

// release says that the hold ends, until the store knows it.
func (j *Job) release(ctx context.Context, watch func(Progress) error) error {
	return j.marked(ctx, click.End, Releasing, watch)
}

func (j *Job) marked(ctx context.Context, step click.Step, phase string, watch func(Progress) error) error {
	results, err := j.Log.Topic(ctx, j.Topics.Results)
	if err != nil {
		return err
	}
	h := j.Correction.Hold
	all := int64(results.Partitions) * int64(j.Reducers)
	return j.until(ctx, Progress{Phase: phase, Total: all}, watch, func(func() error) error {
		messages := make([]stream.Message, j.Reducers)
		for r := range messages {
			c := click.Correction{Step: step, Number: h.Number, From: h.From, To: h.To}
			messages[r] = stream.Message{Partition: int32(r), Value: c.Append(nil)}
		}
		return j.append(ctx, messages)
	}, func(func() error) (done int64, err error) {
		marks, err := j.Store.Marks(ctx)
		for i := range marks {
			if m := &marks[i]; m.Partitions == results.Partitions && m.Reducers == j.Reducers &&
				m.Hold.Number == h.Number && (step == click.Begin || m.Hold.Done) {
				done++
			}
		}
		return done, err
	})
}

// until says something, and again when it does not show for a while, until all of it is done. Both are to call tick where they
// take long, and may end before they said or looked at everything.
func (j *Job) until(ctx context.Context, p Progress, watch func(Progress) error,
	say func(tick func() error) error, look func(tick func() error) (int64, error),
) error {
	tick := func() error { return watch(p) }
	if err := say(tick); err != nil {
		return err
	}
	said := j.Clock.Now()
	moved := said
	for {
		done, err := look(tick)
		if err != nil && !errors.Is(err, storage.ErrUnavailable) {
			return err
		}
		now := j.Clock.Now()
		if done > p.Done {
			moved, p.Done = now, done
		}
		if err := tick(); err != nil {
			return err
		}
		switch {
		case p.Done == p.Total:
			return nil
		case now.Sub(moved) >= stuckWait:
			return ErrStuck
		case now.Sub(said) >= sayWait:
			if err := say(tick); err != nil {
				return err
			}
			said = j.Clock.Now()
		}
		if err := j.Clock.Sleep(ctx, pollWait); err != nil {
			return err
		}
	}
}

// append writes to the partials topic, while the job is still ours.
func (j *Job) append(ctx context.Context, messages []stream.Message) error {
	if j.Clock.Now().Sub(j.looked) >= lookWait {
		if err := j.look(ctx); err != nil {
			return err
		}
	}
	return j.Log.Append(ctx, j.Topics.Partials, messages)
}

// say says all changes.
func (j *Job) say(ctx context.Context, watch func(Progress) error) error {
	p := Progress{Phase: Publishing, Total: j.spool.rows}
	_, err := j.tell(ctx, j.spool.entries, func(rows int) error {
		p.Done += int64(rows)
		return watch(p)
	}, func() bool { return false })
	if err != nil {
		return err
	}
	j.Logger.Info("the correction is published", zap.Int64("rows", p.Done), zap.Int("windows", len(j.spool.entries)))
	return watch(p)
}

// tell says the changes of windows, each under one filter, at a bounded pace, so that what is counted live is not held up
// behind them: those that may be said in a tenth of a second at once, because that takes no longer than one record does. Told is told of
// the rows each time; its error ends the telling, and so does enough, between windows. It returns how many of these were said wholly.
func (j *Job) tell(ctx context.Context, entries []entry, told func(rows int) error, enough func() bool) (n int, err error) {
	var messages []stream.Message
	var rows, size int
	send := func() error {
		if err := j.append(ctx, messages); err != nil {
			return err
		}
		pause := time.Duration(len(messages)+rows) * time.Second / time.Duration(j.Pace)
		if err := told(rows); err != nil {
			return err
		}
		messages, rows, size = messages[:0], 0, 0
		return j.Clock.Sleep(ctx, pause)
	}
	for n := range entries {
		e := &entries[n]
		err := j.spool.each(e, func(c *click.Correction) error {
			c.Number = j.Correction.Hold.Number
			value := c.Append(nil)
			messages = append(messages, stream.Message{Partition: click.ReducerOf(c.From/e.size, j.Reducers), Value: value})
			rows, size = rows+len(c.Rows), size+len(value)
			if size >= volleyBytes {
				return send()
			}
			return nil
		})
		if err != nil {
			return n, err
		}
		if last := n+1 == len(entries); len(messages) > 0 && (last || 10*(len(messages)+rows) >= j.Pace) {
			if err := send(); err != nil || enough() {
				return n + 1, err
			}
		}
	}
	return len(entries), nil
}

// await waits until the store shows all changes. What it does not show after a while is said again, for a while and the rest
// later: to say much takes long, and most of it shows meanwhile.
func (j *Job) await(ctx context.Context, watch func(Progress) error) error {
	left := slices.Clone(j.spool.entries)
	all := int64(len(left))
	first := true
	again := func(tick func() error) error {
		if first {
			first = false
			return nil // just said
		}
		begun := j.Clock.Now()
		n, err := j.tell(ctx, left, func(int) error { return tick() }, func() bool { return j.Clock.Now().Sub(begun) >= sayWait })
		if err != nil {
			return err
		}
		left = slices.Concat(left[n:], left[:n])
		return nil
	}
	return j.until(ctx, Progress{Phase: Storing, Total: all}, watch, again, func(tick func() error) (int64, error) {
		var failed error
		left = slices.DeleteFunc(left, func(e entry) bool {
			if failed != nil {
				return false
			}
			shown, err := j.shown(ctx, &e)
			failed = errors.Join(err, tick())
			return shown && failed == nil
		})
		return all - int64(len(left)), failed
	})
}

// shown tells whether the store has the changes of one window under one filter, and answers for each ad by them.
func (j *Job) shown(ctx context.Context, e *entry) (bool, error) {
	if shown, err := j.listed(ctx, e); !shown || err != nil {
		return false, err
	}
	if twice, err := j.Store.Copies(ctx, 0, 0, nil); !twice || err != nil {
		return err == nil, err
	}
	return j.answered(ctx, e)
}

// asksMost is how many ads are asked for at once.
const asksMost = 64

var errNotYet = errors.New("not shown yet")

// answered tells whether questions about each ad are answered by the changes.
func (j *Job) answered(ctx context.Context, e *entry) (bool, error) {
	err := j.spool.each(e, func(c *click.Correction) error {
		g, ctx := errgroup.WithContext(ctx)
		g.SetLimit(asksMost)
		for _, want := range c.Rows {
			g.Go(func() error {
				cells, err := j.Store.Count(ctx, e.filter, want.Ad, e.start, e.start+e.size)
				var got storage.Cell
				if len(cells) > 0 {
					got = cells[0]
				}
				if err == nil && (!same(got.Sum(), want.Sum()) || got.Count > 0 && !e.repeats && got.Revision < c.Revision) {
					err = errNotYet
				}
				return err
			})
		}
		return g.Wait()
	})
	if errors.Is(err, errNotYet) {
		return false, nil
	}
	return err == nil, err
}

// listed tells whether the store has the changes among all counts of the window, and in its list.
func (j *Job) listed(ctx context.Context, e *entry) (bool, error) {
	stored, err := Read(ctx, j.Store, e.filter, e.start, e.size)
	if err != nil {
		return false, err
	}
	shown := true
	rows := stored.Rows
	err = j.spool.each(e, func(c *click.Correction) error {
		for _, want := range c.Rows {
			i, ok := slices.BinarySearchFunc(rows, want.Ad, byAd)
			shown = shown && ok == (want.Count > 0) && (!ok || same(rows[i].Sum(), want.Sum()) && (e.repeats || rows[i].Revision >= c.Revision))
			rows = rows[i:] // both are in the order of ads
		}
		if c.Last {
			d := Diff{Clicks: c.Clicks, Ads: c.Ads, Top: c.Top}
			shown = shown && stored.List != nil && stored.List.Revision >= c.Revision && d.lists(stored.List)
		}
		return nil
	})
	return shown, err
}
