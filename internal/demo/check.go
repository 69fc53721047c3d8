package demo

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/clickagg/clickagg/internal/api"
	"github.com/clickagg/clickagg/internal/api/client"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/gen"
	"github.com/clickagg/clickagg/internal/progress"
)

// topLength is how long the ranked lists are that are compared.
const topLength = 100

// line is one thing that was compared.
type line struct {
	what      string
	want, got int64
	ok        bool
	detail    string
}

// verdict is a comparison of what the server says with the truth.
type verdict struct{ lines []line }

func (v *verdict) equal(what string, want, got int64) {
	v.lines = append(v.lines, line{what: what, want: want, got: got, ok: want == got})
}

func (v *verdict) ok() bool {
	for _, l := range v.lines {
		if !l.ok {
			return false
		}
	}
	return len(v.lines) > 0
}

// compare asks the server everything and compares it with the truth: each count,
// each minute's ranked list, and the accounts.
func compare(ctx context.Context, c *client.Client, truth *gen.Truth, sent, marks int64) (*verdict, error) {
	v := &verdict{}
	if err := v.counts(ctx, c, truth); err != nil {
		return nil, err
	}
	if err := v.rankings(ctx, c, truth); err != nil {
		return nil, err
	}
	s, err := settled(ctx, c, sent+marks)
	if err != nil {
		return nil, err
	}
	v.accounts(s, truth, sent, marks)
	return v, nil
}

// settled asks for the status until every part has published what it has
// judged: parts do so a few times a second, so it is a little behind the counts.
func settled(ctx context.Context, c *client.Client, records int64) (*api.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		s, err := c.Status(ctx)
		if err != nil {
			return nil, err
		}
		var received, pending int64
		for _, a := range s.Accounting {
			received += a.Received
			pending += a.Pending
		}
		if received >= records && pending == 0 {
			return &s, nil
		}
		select {
		case <-ctx.Done():
			return &s, nil // as far as it came: the comparison tells
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (v *verdict) counts(ctx context.Context, c *client.Client, truth *gen.Truth) error {
	e, err := c.Export(ctx, client.ExportRange{})
	if err != nil {
		return err
	}
	defer func() { _ = e.Close() }()
	got, err := gen.ReadCSV(e)
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	r := gen.Compare(&truth.Counts, got)
	l := line{what: "counts per ad and minute", want: int64(truth.Counts.Len()), got: int64(got.Len()), ok: r.Equal() && e.Status == api.Final}
	switch {
	case !r.Equal():
		l.detail = r.String()
	case e.Status != api.Final:
		l.detail = "the export is " + e.Status
	}
	v.lines = append(v.lines, l)
	v.equal("clicks in them", truth.Counts.Total(), got.Total())
	return nil
}

func (v *verdict) rankings(ctx context.Context, c *client.Client, truth *gen.Truth) error {
	minutes := truth.Counts.Minutes()
	l := line{what: fmt.Sprintf("top %d of each minute", topLength), want: int64(len(minutes))}
	for _, m := range minutes {
		at := time.UnixMilli(m).UTC()
		top, err := c.Top(ctx, topLength, client.Range{From: at.Format(time.RFC3339), To: at.Add(time.Minute).Format(time.RFC3339)})
		if err != nil {
			return err
		}
		if fault := differs(truth.Counts.Top(m, topLength), &top); fault == "" {
			l.got++
		} else if l.detail == "" {
			l.detail = at.Format(time.RFC3339) + ": " + fault
		}
	}
	l.ok = l.want == l.got
	v.lines = append(v.lines, l)
	return nil
}

// differs says how a ranked answer differs from the right one; empty is not at all.
func differs(want []click.Row, got *api.Top) string {
	if !got.Exact || got.Status != api.Final || len(got.Ads) != len(want) {
		return fmt.Sprintf("%d ads, %s, exact %v; the truth has %d", len(got.Ads), got.Status, got.Exact, len(want))
	}
	for i := range want {
		if got.Ads[i].AdID != string(want[i].Ad) || got.Ads[i].Count != want[i].Count {
			return fmt.Sprintf("place %d: %s with %d, the truth has %s with %d", i+1, got.Ads[i].AdID, got.Ads[i].Count, want[i].Ad, want[i].Count)
		}
	}
	return ""
}

func (v *verdict) accounts(s *api.Status, truth *gen.Truth, sent, marks int64) {
	var sum api.Accounting
	holds := true
	for _, a := range s.Accounting {
		sum.Received += a.Received
		sum.Marks += a.Marks
		sum.Late += a.Late
		sum.Counted += a.Counted
		sum.Duplicate += a.Duplicate
		sum.Conflict += a.Conflict
		sum.Rejected += a.Rejected
		sum.Crowded += a.Crowded
		sum.Stale += a.Stale
		holds = holds && a.Holds && a.Pending == 0
	}
	v.equal("records received", sent+marks, sum.Received)
	v.equal("clicks counted", truth.Clicks, sum.Counted)
	v.equal("duplicates", truth.Duplicates, sum.Duplicate)
	v.equal("conflicts", truth.Conflicts, sum.Conflict)
	v.equal("too late", 0, sum.Late+sum.Stale)
	v.equal("rejected", truth.RejectedTotal(), sum.Rejected)
	for r, n := range truth.Rejected {
		if n > 0 {
			v.equal("  "+click.Reason(r).String(), n, s.Rejected[click.Reason(r).String()])
		}
	}
	l := line{what: "accounts that add up", want: int64(len(s.Accounting)), got: int64(len(s.Accounting)), ok: holds}
	if !holds {
		l.got, l.detail = 0, "see clickagg status"
	}
	v.lines = append(v.lines, l)
}

// print writes the summary table.
func (v *verdict) print(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "compared\ttruth\tclickagg\t")
	for _, l := range v.lines {
		mark := "ok"
		if !l.ok {
			mark = "WRONG"
			if l.detail != "" {
				mark += ": " + progress.Clean(strings.ReplaceAll(l.detail, "\n", "; "))
			}
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", l.what, progress.Group(l.want), progress.Group(l.got), mark)
	}
	_ = t.Flush() // w is the user's screen: there is nobody else to tell
}
