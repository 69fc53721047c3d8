package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/clickagg/clickagg/internal/correct"
	"github.com/clickagg/clickagg/internal/reconcile"
	"github.com/clickagg/clickagg/internal/recount"
	"github.com/clickagg/clickagg/internal/replay"
)

// StepProgress is how far a step of a replay or a reconciliation is.
type StepProgress struct {
	Step string `json:"step"`
	Progress
}

// stepLine is what lines of all that is done in steps have in common: how far it is, or why there is no outcome.
type stepLine struct {
	Progress *StepProgress `json:"progress,omitempty"`
	Problem  *Problem      `json:"problem,omitempty"`
}

// stepWork does something in steps: it tells watch how far it is, says lines of what it finds, and returns the last line.
type stepWork func(ctx context.Context, watch replay.Watch, line func(any) error) (last any, err error)

// steps streams what work says. A problem is the whole answer where nothing was said before it, else the last line.
func (s *Server) steps(w http.ResponseWriter, c *call, work stepWork) error {
	select {
	case s.recounting <- struct{}{}:
		defer func() { <-s.recounting }()
	default:
		return tooMany.about("", "another question is being answered from the clicks themselves; ask again when it is done")
	}
	w.Header().Set("Content-Type", mediaJSONLines)
	if c.Method == http.MethodHead {
		return nil
	}
	control := http.NewResponseController(w)
	out := json.NewEncoder(&patient{w: w, control: control})
	out.SetEscapeHTML(false)
	begun := false
	line := func(l any) error {
		begun = true
		return out.Encode(l)
	}
	var said time.Time
	step := ""
	last, err := work(c.Context(), func(now string, done, total int64) error {
		if now == step && time.Since(said) < recountPace {
			return c.Context().Err()
		}
		said, step = time.Now(), now
		return errors.Join(line(stepLine{Progress: &StepProgress{now, Progress{done, total}}}), control.Flush())
	}, line)
	if err == nil {
		return line(last)
	}
	if err = stepProblem(err); !begun || c.Context().Err() != nil {
		return err
	}
	p := problemOf(err)
	s.log.Warn("broken off", zap.String("path", c.URL.Path), zap.String("request_id", c.id), zap.String("who", c.asker()), zap.Error(err))
	p.RequestID = c.id
	return line(stepLine{Problem: p})
}

// Ender ends a correction that was left unfinished, as [correct.Publisher] does.
type Ender interface {
	// EndAsStored is that of [correct.Publisher].
	EndAsStored(ctx context.Context, what, by string, watch func(correct.Progress) error) (correct.Ended, error)
}

// resumes reads whether something is to be finished, and whether that is to end with the counts as they are stored. What was
// begun says the rest, but for the parameters in more, which make no difference to what is ended as stored.
func (c *call) resumes(more ...string) (resume, asStored bool, err error) {
	if resume, err = c.params.flag("resume"); err != nil {
		return false, false, err
	}
	if asStored, err = c.params.flag("as_stored"); err != nil {
		return false, false, err
	}
	known := []string{"resume", "as_stored"}
	switch {
	case asStored && !resume:
		return false, false, badRange.about("as_stored", "as_stored ends what was begun; it goes with resume=true")
	case !asStored:
		known = append(known, more...)
	}
	if resume {
		err = c.params.alone(known...)
	}
	return resume, asStored, err
}

// end streams how a correction is ended as stored.
func (s *Server) end(w http.ResponseWriter, c *call, what string, last func(*correct.Ended) any) error {
	if s.ender == nil {
		return noClicks()
	}
	return s.steps(w, c, func(ctx context.Context, watch replay.Watch, _ func(any) error) (any, error) {
		e, err := s.ender.EndAsStored(ctx, what, c.by(), func(p correct.Progress) error { return watch(p.Phase, p.Done, p.Total) })
		return last(&e), err
	})
}

// stepProblem says why there is no outcome.
func stepProblem(err error) error {
	_, isInexact := errors.AsType[*replay.Inexact](err)
	_, isBusy := errors.AsType[*correct.Busy](err)
	switch {
	case errors.Is(err, recount.ErrSource):
		return badSource.about("source", "%v", err)
	case errors.Is(err, recount.ErrLate), errors.Is(err, replay.ErrRange):
		return badRange.about("", "%v", err)
	case isInexact, errors.Is(err, reconcile.ErrInexact):
		return notExact.about("", "%v", err)
	case isBusy, errors.Is(err, correct.ErrNone), errors.Is(err, correct.ErrTaken), errors.Is(err, correct.ErrStuck), errors.Is(err, correct.ErrOther):
		return unfinished.about("", "%v", err)
	}
	return err
}
