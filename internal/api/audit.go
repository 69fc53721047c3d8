package api

import (
	"encoding/hex"
	"encoding/json"
	"net/http"
	"time"

	"github.com/clickagg/clickagg/internal/audit"
	"github.com/clickagg/clickagg/internal/click"
)

// AuditLine is one line of the answer of /v1/audit: how far it is, and at last the
// outcome. An answer without an outcome was broken off.
type AuditLine struct {
	Passed int64  `json:"passed"` // windows that were looked at, of All
	All    int64  `json:"all"`
	Audit  *Audit `json:"audit,omitempty"`
}

// Audit says whether what is stored of the complete windows of a range holds.
type Audit struct {
	StartTime     time.Time      `json:"start_time"`
	ToTime        time.Time      `json:"to_time"`        // exclusive; not after CompleteUntil
	CompleteUntil *time.Time     `json:"complete_until"` // nil when not known
	Holds         bool           `json:"holds"`
	Windows       int            `json:"windows"`     // with a click
	Corrected     int            `json:"corrected"`   // of these: since they became final
	Corrections   int64          `json:"corrections"` // how many, over all windows
	Unsigned      int            `json:"unsigned"`    // of these: without a stored lineage
	Clicks        int64          `json:"clicks"`
	Sources       []AuditSource  `json:"sources"`
	Found         int            `json:"found"`    // how many findings there are
	Findings      []AuditFinding `json:"findings"` // the first hundred of them
}

// AuditSource accounts for the records of a source from offset From to offset To,
// without the latter: where it was when the first and the last window were signed off.
type AuditSource struct {
	TopicID string `json:"topic_id"` // which of all topics that ever had the name, in hex
	From    int64  `json:"from_offset"`
	To      int64  `json:"to_offset"`
	Skipped int64  `json:"skipped"` // offsets without a record
	Accounting
	RejectedBy map[string]int64 `json:"rejected_by_reason"`
	Total      AuditTotal       `json:"total"`
}

// AuditTotal accounts for all records from the first that was ever read.
type AuditTotal struct {
	From    int64 `json:"from_offset"`
	Skipped int64 `json:"skipped"`
	Accounting
}

// AuditFinding is something that must not be.
type AuditFinding struct {
	Window time.Time `json:"window_start"`
	Source string    `json:"source,omitempty"`
	Text   string    `json:"text"`
}

// audit streams how far it is, and then the outcome, as JSON lines.
func (s *Server) audit(w http.ResponseWriter, c *call) error {
	from, to, err := c.params.span(s.now(), s.answers.Window())
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	if c.Method == http.MethodHead {
		return nil
	}
	control := http.NewResponseController(w)
	out := json.NewEncoder(&patient{w: w, control: control})
	frame, report, err := s.answers.Audit(c.Context(), from, to, func(passed, all int64) error {
		if err := out.Encode(AuditLine{Passed: passed, All: all}); err != nil {
			return err
		}
		return control.Flush()
	})
	if err != nil {
		return err
	}
	a := auditOf(&report)
	a.StartTime, a.ToTime, a.CompleteUntil = *Time(frame.From), *Time(frame.To), Time(frame.CompleteUntil)
	all := (frame.To - frame.From) / s.answers.Window().Milliseconds()
	return out.Encode(AuditLine{Passed: all, All: all, Audit: a})
}

func auditOf(r *audit.Report) *Audit {
	a := &Audit{
		Holds: r.Holds(), Windows: r.Windows, Corrected: r.Corrected, Corrections: r.Corrects, Unsigned: r.Unsigned,
		Clicks: r.Clicks, Found: r.Found, Sources: make([]AuditSource, len(r.Sources)), Findings: make([]AuditFinding, len(r.Findings)),
	}
	for i := range r.Sources {
		s := &r.Sources[i]
		a.Sources[i] = AuditSource{
			TopicID: hex.EncodeToString(s.Source.ID[:]), From: s.From, To: s.To, Skipped: s.Account.Skipped,
			Accounting: accountingOf(s.Source, &s.Account, &s.Tally), RejectedBy: map[string]int64{},
			Total: AuditTotal{From: s.Base, Skipped: s.Total.Skipped, Accounting: accountingOf(s.Source, &s.Total, &s.Totals)},
		}
		for reason, n := range s.Account.Rejected {
			if n != 0 {
				a.Sources[i].RejectedBy[click.Reason(reason).String()] = n
			}
		}
	}
	for i, f := range r.Findings {
		a.Findings[i] = AuditFinding{Window: *Time(f.Start), Source: f.Source, Text: f.Text}
	}
	return a
}

// accountingOf is an account with the verdicts of all shards and nothing pending.
func accountingOf(s click.Source, a *click.Account, t *click.Tally) Accounting {
	return Accounting{
		Source: s.String(), Received: a.Received, Marks: a.Marks, Late: a.Late, Rejected: a.RejectedTotal(),
		Counted: t.Counted, Duplicate: t.Duplicate, Conflict: t.Conflict, Crowded: t.Crowded, Stale: t.Stale,
		Holds: a.Holds() && a.Routed == t.Total(),
	}
}
