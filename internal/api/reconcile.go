package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/correct"
	"github.com/clickagg/clickagg/internal/reconcile"
	"github.com/clickagg/clickagg/internal/reconcile/cause"
	"github.com/clickagg/clickagg/internal/recount"
	"github.com/clickagg/clickagg/internal/replay"
)

// Reconciler holds what is stored against the records of the clicks.
type Reconciler interface {
	// Run is that of [reconcile.Reconciler].
	Run(ctx context.Context, q reconcile.Question, watch func(s reconcile.Step, done, total int64) error,
		each func(*reconcile.Difference) error) (reconcile.Report, error)
	// Repair is that of [reconcile.Reconciler].
	Repair(ctx context.Context, q reconcile.Question, by string, resume bool, watch func(s reconcile.Step, done, total int64) error,
		each func(*reconcile.Difference) error) (reconcile.Repaired, reconcile.Report, error)
}

// ReconcileLine is one line of the answer of /v1/reconcile and /v1/repairs: how far it is, a difference, or, in
// the last line, the outcome, or why there is none. An answer without either was broken off.
type ReconcileLine struct {
	Progress   *StepProgress   `json:"progress,omitempty"`
	Difference *Difference     `json:"difference,omitempty"`
	Outcome    *Reconciliation `json:"outcome,omitempty"`
	Problem    *Problem        `json:"problem,omitempty"`
}

// Difference is one thing that is stored and is not as the records say.
type Difference struct {
	Kind    string       `json:"kind"`             // count, list, rollup, copy: what answers for one ad, or record: one that the raw store has lost
	Time    time.Time    `json:"time"`             // when the window, hour or day begins; of a record, when it was received
	Filter  string       `json:"filter,omitempty"` // with its unit, as in 000/1h, where hours or days are meant
	Ad      string       `json:"ad_id,omitempty"`
	Stored  int64        `json:"stored"`
	Records int64        `json:"records"` // valid clicks, by the records
	Late    int64        `json:"late"`    // and such that came too late
	Digests *Digests     `json:"digests,omitempty"`
	Causes  []cause.Part `json:"causes"`
	// Explained: nothing is wrong, although the numbers differ.
	Explained bool `json:"explained"`
}

// Digests tell lots of as many clicks apart; 16 hexadecimal digits each, 0 for unknown or none.
type Digests struct {
	Stored  string `json:"stored"`
	Records string `json:"records"`
	Late    string `json:"late"`
}

// Reconciliation sums up how what is stored of the closed windows of a range is to the records.
type Reconciliation struct {
	StartTime   time.Time    `json:"start_time"`
	ToTime      time.Time    `json:"to_time"` // exclusive; not after what is closed for good
	Clean       bool         `json:"clean"`   // nothing is wrong, and that is known for sure
	Exact       bool         `json:"exact"`   // all records are there
	ExactUntil  time.Time    `json:"exact_until"`
	Counts      int64        `json:"counts"`  // that were compared
	Stored      int64        `json:"stored"`  // clicks in them
	Records     int64        `json:"records"` // valid clicks, by the records
	Differences int64        `json:"differences"`
	Unexplained int64        `json:"unexplained"` // of these
	LeftOut     int64        `json:"left_out"`    // of these: not looked into, as they are too many
	Unknown     int64        `json:"unknown_offsets"`
	Causes      []CauseTotal `json:"causes"`
	Scanned     Scanned      `json:"scanned"`
	Repaired    *Repaired    `json:"repaired,omitempty"` // what was put right before, if that was asked for
}

// Repaired is what a repair did.
type Repaired struct {
	Counts  int64 `json:"counts"`  // that were changed
	Records int64 `json:"records"` // that were put back into the raw store
	// AsStored: what was unfinished was ended without counting, and nothing was compared. Counts are as they were stored, and so many ranked lists were put in order.
	AsStored bool  `json:"as_stored,omitempty"`
	Lists    int64 `json:"lists,omitempty"`
}

// CauseTotal is how much has a cause.
type CauseTotal struct {
	Cause       string `json:"cause"`
	Differences int64  `json:"differences"`
	Clicks      int64  `json:"clicks"`
	Explained   bool   `json:"explained"`
}

// reconcile streams how far it is, then the differences, then the outcome.
func (s *Server) reconcile(w http.ResponseWriter, c *call) error {
	q, err := s.reconciled(c)
	if err != nil {
		return err
	}
	return s.steps(w, c, func(ctx context.Context, watch replay.Watch, line func(any) error) (any, error) {
		report, err := s.reconciler.Run(ctx, q, reconcileWatch(watch), eachDifference(line))
		return ReconcileLine{Outcome: reconciliationOf(&report)}, err
	})
}

// repair does the same, then has what is wrong put right, and streams the outcome of a second
// comparison.
func (s *Server) repair(w http.ResponseWriter, c *call) error {
	resume, asStored, err := c.resumes()
	if err != nil {
		return err
	}
	if asStored {
		return s.end(w, c, reconcile.What, func(e *correct.Ended) any { return ReconcileLine{Outcome: endedRepair(e)} })
	}
	var q reconcile.Question
	if !resume {
		q, err = s.reconciled(c)
	} else if s.reconciler == nil {
		err = noClicks()
	}
	if err != nil {
		return err
	}
	return s.steps(w, c, func(ctx context.Context, watch replay.Watch, line func(any) error) (any, error) {
		done, report, err := s.reconciler.Repair(ctx, q, c.by(), resume, reconcileWatch(watch), eachDifference(line))
		outcome := reconciliationOf(&report)
		outcome.Repaired = &Repaired{Counts: done.Counts, Records: done.Records}
		return ReconcileLine{Outcome: outcome}, err
	})
}

func reconcileWatch(watch replay.Watch) func(reconcile.Step, int64, int64) error {
	return func(step reconcile.Step, done, total int64) error { return watch(string(step), done, total) }
}

func eachDifference(line func(any) error) func(*reconcile.Difference) error {
	return func(d *reconcile.Difference) error { return line(ReconcileLine{Difference: differenceOf(d)}) }
}

func noClicks() *Problem { return notFound.about("", "this process cannot read clicks") }

// reconciled reads what is to be compared.
func (s *Server) reconciled(c *call) (q reconcile.Question, err error) {
	if s.reconciler == nil {
		return q, noClicks()
	}
	if q.From, q.To, err = c.params.span(s.now(), s.answers.Window()); err != nil {
		return q, err
	}
	var given bool
	if q.Source, given = c.params.one("source"); given && !slices.Contains(recount.SourceNames, q.Source) {
		return q, badSource.about("source", "source is %s; there are %s", quote(q.Source), strings.Join(recount.SourceNames, ", "))
	}
	return q, nil
}

func differenceOf(d *reconcile.Difference) *Difference {
	out := &Difference{
		Kind: string(d.Kind), Time: *Time(d.Start), Filter: d.Filter, Ad: d.Ad,
		Stored: d.Stored.Count, Records: d.Raw.Count, Late: d.Late.Count, Causes: d.Parts, Explained: d.Explained(),
	}
	if d.Ad != "" {
		hex := func(s click.Sum) string { return fmt.Sprintf("%016x", s.Digest) }
		out.Digests = &Digests{hex(d.Stored), hex(d.Raw), hex(d.Row.Late)}
	}
	return out
}

func endedRepair(e *correct.Ended) *Reconciliation {
	return &Reconciliation{
		StartTime: *Time(e.From), ToTime: *Time(e.To), ExactUntil: *Time(e.From), Causes: []CauseTotal{}, Repaired: &Repaired{AsStored: true, Lists: e.Lists},
	}
}

func reconciliationOf(r *reconcile.Report) *Reconciliation {
	out := &Reconciliation{
		StartTime: *Time(r.From), ToTime: *Time(r.To), Clean: r.Clean(), Exact: r.Exact(), ExactUntil: *Time(r.ExactUntil),
		Counts: r.Rows, Stored: r.Stored, Records: r.Raw,
		Differences: r.Differences, Unexplained: r.Unexplained, LeftOut: r.LeftOut, Unknown: r.Unknown,
		Causes: []CauseTotal{}, Scanned: scannedOf(&r.Recount),
	}
	for _, c := range cause.All() {
		if size, ok := r.Causes[c]; ok {
			out.Causes = append(out.Causes, CauseTotal{c.String(), size.Differences, size.Clicks, c.Explained()})
		}
	}
	return out
}
