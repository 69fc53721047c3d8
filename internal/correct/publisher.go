package correct

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/control"
	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/storage"
)

// ErrNone: there is no correction that could be finished.
var ErrNone = errors.New("no correction was left unfinished")

// ErrOther: the correction that has not ended is of another kind than the one to be finished.
var ErrOther = errors.New("another kind of correction has not ended")

// ErrTaken: somebody else has begun to finish this correction, or has ended it.
var ErrTaken = errors.New("another process finishes this correction")

// ErrStuck: what was said does not show in the store.
var ErrStuck = errors.New("the store does not show the correction: look whether every reducer and writer runs (clickagg status), then resume it")

// Busy is the error of a correction that cannot begin, since another one has not ended.
type Busy struct{ Other control.Correction }

func (b *Busy) Error() string {
	return fmt.Sprintf("a %s that %s began at %s has not ended: if it does not run any more, finish it first, with clickagg %[1]s --resume",
		b.Other.What, b.Other.By, moment(b.Other.Since))
}

func moment(ms int64) string { return time.UnixMilli(ms).UTC().Format(time.RFC3339) }

// Publisher publishes corrections. It is safe for concurrent use.
type Publisher struct {
	Log      stream.Log
	Store    storage.Store
	Topics   click.Topics
	Reducers int32  // partitions of the partials topic
	Window   int64  // size of windows, ms
	Top      int    // ads of a ranked list that is made without counting
	Pace     int    // most rows that are said in a second, give or take one record
	Dir      string // where the file of a job lies; the system's place for temporary files when empty
	Clock    stream.Clock
	Metrics  *Metrics
	Logger   *zap.Logger
}

// Job is one correction at work. It is used by one goroutine.
type Job struct {
	*Publisher
	// Correction is what it is about. Its Hold is known once it is published.
	Correction control.Correction
	facts      control.Facts
	looked     time.Time
	spool      *spool
}

// Begin takes the place of the one correction that is at work. What it is about stands in c, whose ID
// and Owner are made here. It returns a [Busy] while another has it. Close the job in the end.
func (p *Publisher) Begin(ctx context.Context, c control.Correction) (*Job, error) {
	c.ID, c.Owner = rand.Text(), rand.Text()
	return p.claim(ctx, func(facts *control.Facts) (control.Correction, error) {
		if other, busy := facts.Correcting(); busy {
			return c, &Busy{other}
		}
		return c, nil
	})
}

// Resume takes over the correction that has not ended, whatever became of who worked on it. What is what it must be,
// as in [control.Correction], and by names who does. It returns [ErrNone] when there is none, and
// leaves one that is [ErrOther] to whoever works on it.
func (p *Publisher) Resume(ctx context.Context, what, by string) (*Job, error) {
	return p.claim(ctx, func(facts *control.Facts) (control.Correction, error) {
		c, busy := facts.Correcting()
		if !busy {
			return c, ErrNone
		}
		if c.What != what {
			return c, fmt.Errorf("%w: finish it with clickagg %s --resume", ErrOther, c.What)
		}
		c.Owner, c.By = rand.Text(), by
		return c, nil
	})
}

func (p *Publisher) claim(ctx context.Context, want func(*control.Facts) (control.Correction, error)) (*Job, error) {
	facts, err := control.Load(ctx, p.Log, p.Topics.Control)
	if err != nil {
		return nil, err
	}
	c, err := want(&facts)
	if err != nil {
		return nil, err
	}
	spool, err := newSpool(p.Dir) // before anything is said, as it may fail every time
	if err != nil {
		return nil, err
	}
	j := &Job{Publisher: p, Correction: c, facts: facts, spool: spool}
	if err = control.NoteCorrection(ctx, p.Log, p.Topics.Control, c); err == nil {
		err = j.look(ctx)
	}
	if err != nil {
		_ = j.Close()
		if now, busy := j.facts.Correcting(); busy && now.ID != c.ID {
			return nil, &Busy{now} // it was there first
		}
		return nil, err
	}
	p.Metrics.begun.Inc()
	return j, nil
}

// Close frees what the job holds. Where it was not ended, it can be resumed.
func (j *Job) Close() error { return j.spool.close() }

// Facts are what the control topic said when the job last looked.
func (j *Job) Facts() *control.Facts { return &j.facts }

// look reads whether the job still has the place, and returns [ErrTaken] when not.
func (j *Job) look(ctx context.Context) (err error) {
	if j.facts, err = control.Refresh(ctx, j.Log, j.Topics.Control, j.facts); err != nil {
		return err
	}
	now, busy := j.facts.Correcting()
	if !busy || now.ID != j.Correction.ID || now.Owner != j.Correction.Owner {
		return ErrTaken
	}
	j.Correction, j.looked = now, j.Clock.Now()
	return nil
}

// Add takes in what must change of one window under one filter. It is said by Publish.
func (j *Job) Add(d *Diff) error {
	if d.None() {
		return nil
	}
	return j.spool.add(d)
}

// End says that the correction has ended, and how. Without Publish before it, nothing has changed.
func (j *Job) End(ctx context.Context, outcome string) error {
	if err := control.NoteCorrected(ctx, j.Log, j.Topics.Control, &j.Correction, outcome); err != nil {
		return err
	}
	j.Metrics.ended.Inc()
	return nil
}

// endWait is how long saying that a correction was given up may take.
const endWait = 10 * time.Second

// GiveUp ends a correction that failed, and returns why it did, unless a part of it may be stored already: what has a hold must be
// resumed. So nobody has to finish what cannot be done. It is said also when ctx is done.
func (j *Job) GiveUp(ctx context.Context, why error) error {
	switch h := &j.Correction.Hold; {
	case errors.Is(why, ErrTaken):
		return why
	case h.Number > 0:
		return fmt.Errorf("%w; a part of the %s was published already, so answers from %s to %s stay provisional until clickagg %[2]s --resume has finished it, "+
			"or, if its clicks are gone for good, with --as-stored has ended it with the counts as they are", why, j.Correction.What, moment(h.From), moment(h.To))
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endWait)
	defer cancel()
	return errors.Join(why, j.End(ctx, "given up: "+why.Error()))
}
