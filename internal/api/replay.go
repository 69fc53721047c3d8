package api

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

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
	// AsStored: what was unfinished was ended without counting. Counts are as they were stored; windows is how many
	// ranked lists were put in order, and the other numbers say nothing.
	AsStored bool `json:"as_stored,omitempty"`
}

// compare streams what a replay would change.
func (s *Server) compare(w http.ResponseWriter, c *call) error {
	q, err := s.replayed(c)
	if err != nil {
		return err
	}
	return s.steps(w, c, func(ctx context.Context, watch replay.Watch, line func(any) error) (any, error) {
		report, err := s.replayer.Compare(ctx, q, watch, func(d *correct.Diff) error {
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
		return ReplayLine{Outcome: replayOf(&report, false)}, err
	})
}

// replay replays, and publishes what differs.
func (s *Server) replay(w http.ResponseWriter, c *call) error {
	resume, asStored, err := c.resumes("inexact")
	if err != nil {
		return err
	}
	if asStored {
		return s.end(w, c, replay.What, func(e *correct.Ended) any { return ReplayLine{Outcome: endedReplay(e)} })
	}
	inexact, err := c.params.flag("inexact")
	if err != nil {
		return err
	}
	run := func(ctx context.Context, watch replay.Watch) (replay.Report, error) {
		return s.replayer.Resume(ctx, c.by(), inexact, watch)
	}
	if !resume {
		q, err := s.replayed(c)
		if err != nil {
			return err
		}
		q.Inexact = inexact
		run = func(ctx context.Context, watch replay.Watch) (replay.Report, error) {
			return s.replayer.Run(ctx, q, watch)
		}
	} else if s.replayer == nil {
		return noClicks()
	}
	return s.steps(w, c, func(ctx context.Context, watch replay.Watch, _ func(any) error) (any, error) {
		report, err := run(ctx, watch)
		return ReplayLine{Outcome: replayOf(&report, true)}, err
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
		return q, noClicks()
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

func replayOf(r *replay.Report, published bool) *Replay {
	return &Replay{
		StartTime: *Time(r.From), ToTime: *Time(r.To), Windows: r.Windows, Counts: r.Counts, Stored: r.Before, Clicks: r.After,
		Exact: r.Exact(), Published: published, Number: r.Number, Scanned: scannedOf(&r.Recount),
	}
}

func endedReplay(e *correct.Ended) *Replay {
	return &Replay{StartTime: *Time(e.From), ToTime: *Time(e.To), Windows: e.Lists, Published: true, Number: e.Number, AsStored: true}
}
