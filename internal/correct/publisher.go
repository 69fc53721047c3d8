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

// ErrTaken: somebody else has begun to finish this correction, or has ended it.
var ErrTaken = errors.New("another process finishes this correction")

// ErrStuck: what was said does not show in the store.
var ErrStuck = errors.New("the store does not show the correction: look whether every reducer and writer runs (clickagg status), then resume it")

// Busy is the error of a correction that cannot begin, since another one has not ended.
type Busy struct{ Other control.Correction }

func (b *Busy) Error() string {
	return fmt.Sprintf("a %s that %s began at %s has not ended: if it does not run any more, finish it first, with --resume",
		b.Other.What, b.Other.By, time.UnixMilli(b.Other.Since).UTC().Format(time.RFC3339))
}

// Publisher publishes corrections. It is safe for concurrent use.
type Publisher struct {
	Log      stream.Log
	Store    storage.Store
	Topics   click.Topics
	Reducers int32  // partitions of the partials topic
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

// Resume takes over the correction that has not ended, whatever became of who worked on it. By names who
// does. It returns [ErrNone] when there is none.
func (p *Publisher) Resume(ctx context.Context, by string) (*Job, error) {
	return p.claim(ctx, func(facts *control.Facts) (control.Correction, error) {
		c, busy := facts.Correcting()
		if !busy {
			return c, ErrNone
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
	if err := control.NoteCorrection(ctx, p.Log, p.Topics.Control, c); err != nil {
		return nil, err
	}
	j := &Job{Publisher: p, Correction: c, facts: facts}
	if err := j.look(ctx); err != nil {
		if now, busy := j.facts.Correcting(); busy && now.ID != c.ID {
			return nil, &Busy{now} // it was there first
		}
		return nil, err
	}
	if j.spool, err = newSpool(p.Dir); err != nil {
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

// Rows is how many counts were added.
func (j *Job) Rows() int64 { return j.spool.rows }

// End says that the correction has ended, and how. Without Publish before it, nothing has changed.
func (j *Job) End(ctx context.Context, outcome string) error {
	if err := control.NoteCorrected(ctx, j.Log, j.Topics.Control, &j.Correction, outcome); err != nil {
		return err
	}
	j.Metrics.ended.Inc()
	return nil
}
