package query

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/clickagg/clickagg/internal/api"
	"github.com/clickagg/clickagg/internal/api/client"
	"github.com/clickagg/clickagg/internal/progress"
)

// ErrDifferences: what is stored is not what the clicks come to, or that is not known.
var ErrDifferences = errors.New("what is stored is not known to be what the clicks come to; what to do: \"Reconcile\" in docs/OPERATIONS.md")

// ReconcileOptions says what Reconcile asks.
type ReconcileOptions struct {
	Range    client.Range // without a filter
	Source   string       // where the clicks are read from; empty leaves it to the API
	Repair   bool         // put right what is wrong
	Resume   bool         // finish the repair that was left unfinished: neither range nor source is used
	AsStored bool         // with Resume: end it with the counts as they are stored
	Output   string       // Table, JSON or CSV
	Limit    int          // most differences that a table lists; 0 for all
	Width    int          // columns a table may take; 0 for any number
	Progress func(step string, total int64) *progress.Bar
}

// reconciliation is the outcome and all differences, as JSON.
type reconciliation struct {
	api.Reconciliation
	All []*api.Difference `json:"all_differences"`
}

// Reconcile prints how what is stored differs from the clicks, with causes and sizes, and puts it right if told to. It returns
// ErrDifferences, after printing, when something is wrong, or is not known to be right.
func Reconcile(ctx context.Context, c *client.Client, o ReconcileOptions, w io.Writer) error {
	if err := checkOutput(o.Output, Table, JSON, CSV); err != nil {
		return err
	}
	if o.Limit < 0 {
		return fmt.Errorf("%w: --limit %d is less than nothing", ErrUsage, o.Limit)
	}
	if o.Resume && (o.Repair || o.Range != (client.Range{}) || o.Source != "") {
		return fmt.Errorf("%w: --resume goes with --as-stored only: what it is about was said when it began", ErrUsage)
	} else if o.AsStored && !o.Resume {
		return fmt.Errorf("%w: --as-stored goes with --resume", ErrUsage)
	}
	out := reconciliation{All: []*api.Difference{}}
	bar := steps{start: o.Progress}
	var err error
	line := func(l *api.ReconcileLine) error {
		if l.Progress != nil {
			bar.set(l.Progress)
		}
		if l.Difference != nil {
			out.All = append(out.All, l.Difference)
		}
		return nil
	}
	switch {
	case o.Resume:
		out.Reconciliation, err = c.ResumeRepair(ctx, o.AsStored, line)
	case o.Repair:
		out.Reconciliation, err = c.Repair(ctx, o.Range, o.Source, line)
	default:
		out.Reconciliation, err = c.Reconcile(ctx, o.Range, o.Source, line)
	}
	bar.finish()
	if err != nil {
		return blame(err)
	}
	switch o.Output {
	case JSON:
		err = printJSON(w, &out)
	case CSV:
		err = printCSV(w, differenceRows(out.All), false)
	default:
		_, err = io.WriteString(w, out.text(o.Limit, o.Width))
	}
	if err == nil && !out.Clean {
		return ErrDifferences
	}
	return err
}

// steps shows how far each step is.
type steps struct {
	start func(step string, total int64) *progress.Bar
	step  string
	bar   *progress.Bar
}

func (s *steps) set(p *api.StepProgress) {
	if s.start == nil || p.Total == 0 {
		return // a step that has nothing to do here
	}
	if s.bar == nil || s.step != p.Step {
		s.finish()
		s.step, s.bar = p.Step, s.start(p.Step, p.Total)
	}
	s.bar.Set(p.Done, p.Done)
}

func (s *steps) finish() {
	if s.bar != nil {
		s.bar.Finish()
		s.bar = nil
	}
}

func differenceRows(all []*api.Difference) [][]string {
	rows := [][]string{{"kind", "time", "filter", "ad_id", "stored", "records", "late", "cause", "clicks", "explained"}}
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	for _, d := range all {
		for _, c := range d.Causes {
			rows = append(rows, []string{
				d.Kind, d.Time.Format(time.RFC3339), d.Filter, d.Ad, number(d.Stored), number(d.Records), number(d.Late),
				c.Cause.String(), number(c.Clicks), strconv.FormatBool(c.Cause.Explained()),
			})
		}
	}
	return rows
}

// text is a page for whoever has to decide what to do.
func (r *reconciliation) text(limit, width int) string {
	if d := r.Repaired; d != nil && d.AsStored {
		return ended("repair", &r.StartTime, &r.ToTime, d.Lists)
	}
	var b strings.Builder
	t := table{columns: []column{
		{title: "TIME"}, {title: "FILTER"}, {title: "AD", shrinks: true, middle: true}, {title: "STORED", right: true}, {title: "CLICKS", right: true},
		{title: "LATE", right: true}, {title: "CAUSES"},
	}}
	shown := r.All
	if limit > 0 {
		shown = shown[:min(limit, len(shown))]
	}
	for _, d := range shown {
		t.add(d.Time.Format(time.RFC3339), d.Filter, d.Ad, progress.Group(d.Stored), progress.Group(d.Records), progress.Group(d.Late), causes(d))
	}
	if len(shown) > 0 {
		b.WriteString(t.render(width))
	}
	if more := len(r.All) - len(shown) + int(r.LeftOut); more > 0 {
		fmt.Fprintf(&b, "… and %s more\n", progress.Group(int64(more)))
	}
	if d := r.Repaired; d != nil {
		fmt.Fprintf(&b, "repaired: %s %s changed, %s %s put back into the raw store; since then:\n",
			progress.Group(d.Counts), plural(d.Counts, "count"), progress.Group(d.Records), plural(d.Records, "record"))
	}
	fmt.Fprintf(&b, "%s to %s: %s %s compared, %s clicks stored, %s by the records\n", instant(&r.StartTime), instant(&r.ToTime),
		progress.Group(r.Counts), plural(r.Counts, "count"), progress.Group(r.Stored), progress.Group(r.Records))
	for _, c := range r.Causes {
		sign := "✗"
		if c.Explained {
			sign = "·"
		}
		fmt.Fprintf(&b, "%s %s: %s %s, %s %s\n", sign, c.Cause, progress.Group(c.Differences), plural(c.Differences, "difference"),
			progress.Group(c.Clicks), plural(c.Clicks, "click"))
	}
	b.WriteString(r.verdict())
	return b.String()
}

// causes are those of one difference, in words.
func causes(d *api.Difference) string {
	var out []string
	for _, c := range d.Causes {
		text := c.Cause.String()
		if c.Clicks > 0 {
			text += " " + progress.Group(c.Clicks)
		}
		if len(c.Where) > 0 {
			text += " (" + strings.Join(c.Where, " ") + ")"
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}

// verdict says what it all comes to, and what it was counted from.
func (r *reconciliation) verdict() string {
	from := ""
	switch {
	case r.StartTime.Equal(r.ToTime):
		return "no minute of the range is closed for good yet: there is nothing to compare\n"
	case r.Exact || !r.Scanned.Whole || r.Scanned.Unsure > 0 || r.Scanned.Crowded > 0:
		from = scanned(r.Exact, &r.Scanned)
	case r.Unknown > 0:
		from = fmt.Sprintf("%s, but for %s offsets that it has no records of and the input topics do not hold any more", scanned(true, &r.Scanned), progress.Group(r.Unknown))
	default:
		from = scanned(true, &r.Scanned) + ", but for clicks that may come from sources that are behind"
	}
	switch {
	case r.Clean && r.Differences == 0:
		return "✓ every count, list, hour and day is what the clicks come to\n" + from + "\n"
	case r.Clean:
		return "✓ nothing is wrong\n" + from + "\n"
	case r.Unexplained == 0:
		return "✗ nothing wrong was found, but not everything is known\n" + from + "\n"
	}
	return "✗ right until " + instant(&r.ExactUntil) + "\n" + from + "\n"
}
