package query

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/clickagg/clickagg/internal/api"
	"github.com/clickagg/clickagg/internal/api/client"
	"github.com/clickagg/clickagg/internal/progress"
)

// ErrFindings: an audit found what must not be.
var ErrFindings = errors.New("the audit found what must not be; what to do: \"accounting broken\" in docs/OPERATIONS.md")

// ErrIncomplete: no minute of what was to be audited is complete.
var ErrIncomplete = errors.New("no minute of the range is complete, so nothing is proven")

// AuditOptions says what Audit asks.
type AuditOptions struct {
	Range    client.Range                      // without a filter
	Output   string                            // Table or JSON
	Progress func(minutes int64) *progress.Bar // starts to show how far it is; nil shows nothing
}

// Audit prints whether what is stored of a range holds: counts against what was
// published with them, and the account of every source. It returns ErrFindings,
// after printing, when it does not, and ErrIncomplete when there is nothing of it yet.
func Audit(ctx context.Context, c *client.Client, o AuditOptions, w io.Writer) error {
	if err := checkOutput(o.Output, Table, JSON); err != nil {
		return err
	}
	var bar *progress.Bar
	a, err := c.Audit(ctx, o.Range, func(l *api.AuditLine) {
		if bar == nil && o.Progress != nil {
			bar = o.Progress(l.All)
		}
		if bar != nil {
			bar.Set(l.Passed, l.Passed)
		}
	})
	if bar != nil {
		bar.Finish()
	}
	if err != nil {
		return blame(err)
	}
	nothing := !a.StartTime.Before(a.ToTime)
	if a.CompleteUntil != nil && !nothing {
		a.CompleteUntil = &a.ToTime // it moves on by the second, and what is said of the range does not
	}
	var whole bytes.Buffer
	if err := printJSON(&whole, a); err != nil {
		return err
	}
	if o.Output == JSON {
		_, err = w.Write(whole.Bytes())
	} else {
		_, err = fmt.Fprintf(w, "%sSHA-256 of the same as JSON: %x\n", auditText(&a), sha256.Sum256(whole.Bytes()))
	}
	switch {
	case err != nil:
		return err
	case !a.Holds:
		return ErrFindings
	case nothing:
		return ErrIncomplete
	}
	return nil
}

// auditText is a page for whoever has to be convinced.
func auditText(a *api.Audit) string {
	var b strings.Builder
	fmt.Fprintf(&b, "audit of %s to %s, %s\n\n", instant(&a.StartTime), instant(&a.ToTime), completeness(a.CompleteUntil))
	n := int64(a.Windows)
	fmt.Fprintf(&b, "%s %s with a click, %s %s counted, %s %s\n", progress.Group(n), plural(n, "minute"),
		progress.Group(a.Clicks), plural(a.Clicks, "click"), progress.Group(a.Corrections), plural(a.Corrections, "correction"))
	if a.Unsigned > 0 {
		fmt.Fprintf(&b, "%s of them without a lineage: it has ended (cassandra.lineage_ttl)\n", progress.Group(int64(a.Unsigned)))
	}
	for i := range a.Sources {
		b.WriteString("\n" + auditSource(&a.Sources[i]))
	}
	b.WriteString("\n")
	for _, f := range a.Findings {
		place := f.Window.UTC().Format(time.RFC3339)
		if f.Source != "" {
			place += ", " + progress.Clean(f.Source)
		}
		b.WriteString("✗ " + place + ": " + progress.Clean(f.Text) + "\n")
	}
	switch more := a.Found - len(a.Findings); {
	case more > 0:
		fmt.Fprintf(&b, "✗ and %s more\n", progress.Group(int64(more)))
	case a.Windows == 0:
		b.WriteString("there is nothing to hold against anything\n")
	case a.Holds:
		b.WriteString("✓ the counts of every minute add up to what was published with them\n" +
			"✓ every record of every source has one verdict, and no offset is missing between the minutes\n")
	}
	return b.String()
}

func auditSource(s *api.AuditSource) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, topic id %s\n", progress.Clean(s.Source), progress.Clean(s.TopicID))
	part := func(title string, from, skipped int64, a *api.Accounting) {
		sign, sum := identity(a)
		fmt.Fprintf(&b, "%s %s, offsets %s to %s%s: %s\n", sign, title, progress.Group(from), progress.Group(s.To), without(skipped), sum)
	}
	part("in the range", s.From, s.Skipped, &s.Accounting)
	part("since ever", s.Total.From, s.Total.Skipped, &s.Total.Accounting)
	if len(s.RejectedBy) > 0 {
		var reasons []string
		for _, r := range slices.Sorted(maps.Keys(s.RejectedBy)) {
			reasons = append(reasons, progress.Clean(r)+" "+progress.Group(s.RejectedBy[r]))
		}
		b.WriteString("  rejected in the range: " + strings.Join(reasons, ", ") + "\n")
	}
	return b.String()
}

func without(skipped int64) string {
	if skipped == 0 {
		return ""
	}
	return fmt.Sprintf(", %s of them without a record", progress.Group(skipped))
}
