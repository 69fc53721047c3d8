package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/reconcile"
	"github.com/clickagg/clickagg/internal/reconcile/cause"
	"github.com/clickagg/clickagg/internal/recount"
)

// Reconciler holds what is stored against the records of the clicks.
type Reconciler interface {
	// Run is that of [reconcile.Reconciler].
	Run(ctx context.Context, q reconcile.Question, watch func(s reconcile.Step, done, total int64) error,
		each func(*reconcile.Difference) error) (reconcile.Report, error)
}

// ReconcileLine is one line of the answer of /v1/reconcile: how far it is, a difference, or, in
// the last line, the outcome. An answer without an outcome was broken off.
type ReconcileLine struct {
	Progress   *ReconcileProgress `json:"progress,omitempty"`
	Difference *Difference        `json:"difference,omitempty"`
	Outcome    *Reconciliation    `json:"outcome,omitempty"`
}

// ReconcileProgress is how many offsets were read of how many in a step.
type ReconcileProgress struct {
	Step string `json:"step"`
	Progress
}

// Difference is one thing that is stored and is not as the records say.
type Difference struct {
	Kind    string       `json:"kind"`             // count, list, rollup, or record: one that the raw store has lost
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
	if s.reconciler == nil {
		return notFound.about("", "this process cannot read clicks")
	}
	from, to, err := c.params.span(s.now(), s.answers.Window())
	if err != nil {
		return err
	}
	source, given := c.params.one("source")
	if given && !slices.Contains(recount.SourceNames, source) {
		return badSource.about("source", "source is %s; there are %s", quote(source), strings.Join(recount.SourceNames, " and "))
	}
	select {
	case s.recounting <- struct{}{}:
		defer func() { <-s.recounting }()
	default:
		return tooMany.about("", "another question is being answered from the clicks themselves; ask again when it is done")
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	if c.Method == http.MethodHead {
		return nil
	}
	control := http.NewResponseController(w)
	out := json.NewEncoder(&patient{w: w, control: control})
	said := time.Time{}
	report, err := s.reconciler.Run(c.Context(), reconcile.Question{From: from, To: to, Source: source},
		func(step reconcile.Step, done, total int64) error {
			if done < total && time.Since(said) < recountPace {
				return c.Context().Err()
			}
			said = time.Now()
			return errors.Join(out.Encode(ReconcileLine{Progress: &ReconcileProgress{string(step), Progress{done, total}}}), control.Flush())
		},
		func(d *reconcile.Difference) error { return out.Encode(ReconcileLine{Difference: differenceOf(d)}) })
	switch {
	case errors.Is(err, recount.ErrSource):
		return badSource.about("source", "%v", err)
	case errors.Is(err, recount.ErrLate):
		return badRange.about("", "%v", recount.ErrLate)
	case err != nil:
		return err
	}
	return out.Encode(ReconcileLine{Outcome: reconciliationOf(&report)})
}

func differenceOf(d *reconcile.Difference) *Difference {
	out := &Difference{
		Kind: string(d.Kind), Time: *Time(d.Start), Filter: d.Filter, Ad: d.Ad,
		Stored: d.Stored.Count, Records: d.Raw.Count, Late: d.Late.Count, Causes: d.Parts, Explained: d.Explained(),
	}
	if d.Kind == reconcile.Count {
		hex := func(s click.Sum) string { return fmt.Sprintf("%016x", s.Digest) }
		out.Digests = &Digests{hex(d.Stored), hex(d.Raw), hex(d.Row.Late)}
	}
	return out
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
