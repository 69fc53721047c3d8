package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/clickagg/clickagg/internal/correct"
	"github.com/clickagg/clickagg/internal/recount"
	"github.com/clickagg/clickagg/internal/replay"
)

// Replayer replays clicks, as [replay.Replayer] does.
type Replayer interface {
	Compare(ctx context.Context, q replay.Question, watch replay.Watch, each func(*correct.Diff) error) (replay.Report, error)
	Run(ctx context.Context, q replay.Question, watch replay.Watch) (replay.Report, error)
	Resume(ctx context.Context, by string, inexact bool, watch replay.Watch) (replay.Report, error)
}

// ReplayLine is one line of the answer of /v1/replay and /v1/replays: how far it is, a count that
// differs, or, in the last line, the outcome, or why there is none. Without either the whole did not come.
type ReplayLine struct {
	Progress *StepProgress `json:"progress,omitempty"`
	Change   *Change       `json:"change,omitempty"`
	Outcome  *Replay       `json:"outcome,omitempty"`
	Problem  *Problem      `json:"problem,omitempty"`
}

// StepProgress is how far a step of a replay or a reconciliation is.
type StepProgress struct {
	Step string `json:"step"`
	Progress
}

// Change is a count that a replay would change; without an ad, a ranked list that is not that
// of its counts.
type Change struct {
	Window time.Time `json:"window_start"`
	Filter string    `json:"filter_identifier"`
	AdID   string    `json:"ad_id,omitempty"`
	Stored int64     `json:"stored"`
	Count  int64     `json:"count"` // that it should be
}

// Replay is what a replay found, and whether it was published.
type Replay struct {
	StartTime time.Time `json:"start_time"`
	ToTime    time.Time `json:"to_time"` // exclusive
	Windows   int64     `json:"windows"` // in which something differs, each filter's apart
	Counts    int64     `json:"counts"`  // that differ
	Stored    int64     `json:"stored"`  // clicks of the whole range, as they were stored
	Clicks    int64     `json:"clicks"`  // as they should be
	Exact     bool      `json:"exact"`   // it is known that all clicks were counted
	Published bool      `json:"published"`
	Number    int64     `json:"correction"` // of what was published; 0 when nothing had to be
	Scanned   Scanned   `json:"scanned"`
}

// compare streams what a replay would change.
func (s *Server) compare(w http.ResponseWriter, c *call) error {
	q, err := s.replayed(c)
	if err != nil {
		return err
	}
	return s.replaying(w, c, func(ctx context.Context, watch replay.Watch, line func(ReplayLine) error) (replay.Report, error) {
		return s.replayer.Compare(ctx, q, watch, func(d *correct.Diff) error {
			change := Change{Window: *Time(d.Start), Filter: d.Filter, Stored: d.OldClicks, Count: d.Clicks}
			if len(d.Changes) == 0 {
				return line(ReplayLine{Change: &change})
			}
			for i := range d.Changes {
				change.AdID, change.Stored, change.Count = string(d.Changes[i].Ad), d.Changes[i].Old, d.Changes[i].New
				if err := line(ReplayLine{Change: &change}); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// replay replays, and publishes what differs.
func (s *Server) replay(w http.ResponseWriter, c *call) error {
	resume, err := c.params.flag("resume")
	if err != nil {
		return err
	}
	inexact, err := c.params.flag("inexact")
	if err != nil {
		return err
	}
	if resume {
		for name := range c.params {
			if name != "resume" && name != "inexact" {
				return badRange.about(name, "what is resumed is what was begun; give no %s", name)
			}
		}
		return s.replaying(w, c, func(ctx context.Context, watch replay.Watch, _ func(ReplayLine) error) (replay.Report, error) {
			return s.replayer.Resume(ctx, c.by(), inexact, watch)
		})
	}
	q, err := s.replayed(c)
	if err != nil {
		return err
	}
	q.Inexact = inexact
	return s.replaying(w, c, func(ctx context.Context, watch replay.Watch, _ func(ReplayLine) error) (replay.Report, error) {
		return s.replayer.Run(ctx, q, watch)
	})
}

// by names who asks, for whoever looks later.
func (c *call) by() string {
	if who := c.asker(); who != "" {
		return who
	}
	return "somebody at " + c.RemoteAddr
}

// replayed reads what is to be replayed.
func (s *Server) replayed(c *call) (q replay.Question, err error) {
	if s.replayer == nil {
		return q, notFound.about("", "this process cannot read clicks")
	}
	if q.From, q.To, err = c.params.span(s.now(), s.answers.Window()); err != nil {
		return q, err
	}
	if len(c.params["ad_id"]) > 0 {
		if q.Ads, err = c.params.ads(adsMax); err != nil {
			return q, err
		}
	}
	if _, given := c.params.one("filter_identifier"); given {
		f, err := s.filter(c)
		if err != nil {
			return q, err
		}
		q.Filters = []string{f.id}
	}
	var given bool
	if q.Source, given = c.params.one("source"); given && !slices.Contains(recount.SourceNames, q.Source) {
		return q, badSource.about("source", "source is %s; there are %s", quote(q.Source), strings.Join(recount.SourceNames, ", "))
	}
	q.By = c.by()
	q.Late, err = c.params.flag("late")
	return q, err
}

// replaying streams how far a replay is, and its outcome.
func (s *Server) replaying(w http.ResponseWriter, c *call, work func(context.Context, replay.Watch, func(ReplayLine) error) (replay.Report, error)) error {
	if s.replayer == nil {
		return notFound.about("", "this process cannot read clicks")
	}
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
	line := func(l ReplayLine) error { return out.Encode(l) }
	var said time.Time
	step := ""
	report, err := work(c.Context(), func(now string, done, total int64) error {
		if now == step && time.Since(said) < recountPace {
			return c.Context().Err()
		}
		said, step = time.Now(), now
		return errors.Join(line(ReplayLine{Progress: &StepProgress{now, Progress{done, total}}}), control.Flush())
	}, line)
	if err != nil {
		if c.Context().Err() != nil {
			return err
		}
		p := problemOf(replayProblem(err))
		s.log.Warn("not replayed", zap.String("request_id", c.id), zap.String("who", c.asker()), zap.Error(err))
		p.RequestID = c.id
		return line(ReplayLine{Problem: p})
	}
	return line(ReplayLine{Outcome: replayOf(&report, c.Method == http.MethodPost)})
}

// replayProblem says why there is no outcome.
func replayProblem(err error) error {
	inexact, isInexact := errors.AsType[*replay.Inexact](err)
	busy, isBusy := errors.AsType[*correct.Busy](err)
	switch {
	case isInexact:
		return notExact.about("", "%v", inexact)
	case isBusy:
		return unfinished.about("", "%v", busy)
	case errors.Is(err, correct.ErrNone), errors.Is(err, correct.ErrTaken), errors.Is(err, correct.ErrStuck), errors.Is(err, correct.ErrOther):
		return unfinished.about("", "%v", err)
	case errors.Is(err, replay.ErrRange):
		return badRange.about("", "%v", err)
	case errors.Is(err, recount.ErrLate):
		return badRange.about("", "%v", recount.ErrLate)
	case errors.Is(err, recount.ErrSource):
		return badSource.about("source", "%v", err)
	}
	return err
}

func replayOf(r *replay.Report, published bool) *Replay {
	return &Replay{
		StartTime: *Time(r.From), ToTime: *Time(r.To), Windows: r.Windows, Counts: r.Counts, Stored: r.Before, Clicks: r.After,
		Exact: r.Exact(), Published: published, Number: r.Number, Scanned: scannedOf(&r.Recount),
	}
}
