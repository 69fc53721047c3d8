package query

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"

	"github.com/clickagg/clickagg/internal/api"
	"github.com/clickagg/clickagg/internal/api/client"
	"github.com/clickagg/clickagg/internal/progress"
)

// ErrDiffers: a replay would change something.
var ErrDiffers = errors.New("what is stored differs from what the clicks come to")

// ErrDeclined: whoever was asked did not want it published.
var ErrDeclined = errors.New("not published")

// ReplayOptions says what Replay does.
type ReplayOptions struct {
	Question client.ReplayQuestion
	DryRun   bool                                         // only print what differs
	Agree    func(found string) (bool, error)             // asked before something is published; nil agrees
	Output   string                                       // Table, JSON, or CSV of a dry run
	Progress func(total int64, unit string) *progress.Bar // begins to show how far a step is; nil shows nothing
}

// Check returns an ErrUsage if the options do not go together.
func (o *ReplayOptions) Check() error {
	switch q := &o.Question; {
	case q.Resume && (o.DryRun || q.Range != (client.Range{}) || len(q.Ads) > 0 || q.Source != "" || q.Late):
		return fmt.Errorf("%w: --resume goes with --inexact or --as-stored only: what it is about was said when it began", ErrUsage)
	case q.AsStored && (!q.Resume || q.Inexact):
		return fmt.Errorf("%w: --as-stored goes with --resume, and counts nothing, so there is nothing --inexact", ErrUsage)
	case o.Output == CSV && !o.DryRun:
		return fmt.Errorf("%w: -o csv lists what differs, which is for --dry-run", ErrUsage)
	}
	return checkOutput(o.Output, Table, CSV, JSON)
}

// Replay has the clicks of a range counted once more. A dry run prints each count that differs as it is found, then the
// totals, and returns ErrDiffers if there is one. Otherwise what differs is published, after Agree was told what that is.
func Replay(ctx context.Context, c *client.Client, o ReplayOptions, w io.Writer) error {
	if err := o.Check(); err != nil {
		return err
	}
	steps := stepper{start: o.Progress}
	defer steps.finish()
	if o.DryRun {
		return dryRun(ctx, c, &o, &steps, w)
	}
	if o.Agree != nil {
		found, err := c.Compare(ctx, o.Question, steps.line)
		steps.finish()
		if err != nil {
			return blame(err)
		}
		if found.Windows == 0 {
			return o.print(w, &found)
		}
		agreed, err := o.Agree(differs(&found))
		if err == nil && !agreed {
			err = ErrDeclined
		}
		if err != nil {
			return err
		}
	}
	done, err := c.Replay(ctx, o.Question, steps.line)
	steps.finish()
	if err != nil {
		return blame(err)
	}
	return o.print(w, &done)
}

// print says what came of it.
func (o *ReplayOptions) print(w io.Writer, r *api.Replay) error {
	if o.Output == JSON {
		return printJSON(w, r)
	}
	text := differs(r)
	switch {
	case r.AsStored:
		text = ended("replay", &r.StartTime, &r.ToTime, r.Windows)
	case r.Number > 0:
		text += fmt.Sprintf("published as correction %d\n", r.Number)
	}
	_, err := io.WriteString(w, text)
	return err
}

// dryRun prints what differs, line by line: there may be more of it than memory.
func dryRun(ctx context.Context, c *client.Client, o *ReplayOptions, steps *stepper, w io.Writer) error {
	buf := bufio.NewWriter(w)
	rows := changesTo(buf, o.Output)
	found, err := c.Compare(ctx, o.Question, func(l *api.ReplayLine) error {
		if l.Change == nil {
			return steps.line(l)
		}
		return rows.add(l.Change)
	})
	steps.finish()
	if err != nil {
		return errors.Join(buf.Flush(), blame(err))
	}
	if err := errors.Join(rows.end(&found), buf.Flush()); err != nil {
		return err
	}
	if found.Windows > 0 {
		return ErrDiffers
	}
	return nil
}

// stepper shows how far each step is.
type stepper struct {
	start func(total int64, unit string) *progress.Bar
	step  string
	bar   *progress.Bar
}

func (s *stepper) line(l *api.ReplayLine) error {
	p := l.Progress
	if p == nil || s.start == nil || p.Total == 0 {
		return nil
	}
	if p.Step != s.step {
		s.finish()
		unit := "steps, " + p.Step
		switch p.Step {
		case "counting":
			unit = "records"
		case "publishing":
			unit = "counts published"
		}
		s.step, s.bar = p.Step, s.start(p.Total, unit)
	}
	s.bar.Set(p.Done, p.Done)
	return nil
}

func (s *stepper) finish() {
	if s.bar != nil {
		s.bar.Finish()
	}
	s.bar, s.step = nil, ""
}

// differs sums up what was found.
func differs(r *api.Replay) string {
	from, to := r.StartTime.UTC().Format(time.RFC3339), r.ToTime.UTC().Format(time.RFC3339)
	text := fmt.Sprintf("%s to %s: ", from, to)
	if r.Windows == 0 {
		text += fmt.Sprintf("nothing differs; %s %s stored\n", progress.Group(r.Clicks), plural(r.Clicks, "click"))
	} else {
		text += fmt.Sprintf("%s %s in %s %s differ; %s clicks are stored, and should be %s\n", progress.Group(r.Counts), plural(r.Counts, "count"),
			progress.Group(r.Windows), plural(r.Windows, "window"), progress.Group(r.Stored), progress.Group(r.Clicks))
	}
	return text + scanned(r.Exact, &r.Scanned) + "\n"
}

// ended says that something was ended with the counts as they are stored.
func ended(what string, from, to *time.Time, lists int64) string {
	return fmt.Sprintf("the %s of %s to %s was ended with the counts as they are stored; %s ranked %s put in order\n"+
		"what they should be is not known: hold them against what clicks there are with clickagg reconcile\n",
		what, instant(from), instant(to), progress.Group(lists), plural(lists, "list"))
}

// changes writes counts that differ, one after the other, and the totals.
type changes struct {
	add func(*api.Change) error
	end func(*api.Replay) error
}

func changesTo(w *bufio.Writer, output string) changes {
	minute := func(c *api.Change) string { return c.Window.UTC().Format(time.RFC3339) }
	switch output {
	case CSV:
		out := csv.NewWriter(w)
		// Not before there is an answer: a header without rows says that nothing differs.
		head := sync.OnceValue(func() error {
			return out.Write([]string{"window_start", "filter_identifier", "ad_id", "stored", "count"})
		})
		return changes{
			func(c *api.Change) error {
				return errors.Join(head(), out.Write([]string{minute(c), c.Filter, c.AdID, strconv.FormatInt(c.Stored, 10), strconv.FormatInt(c.Count, 10)}))
			},
			func(*api.Replay) error { err := head(); out.Flush(); return errors.Join(err, out.Error()) },
		}
	case JSON:
		between := `{"changes":[`
		return changes{
			func(c *api.Change) error {
				b, err := json.Marshal(c)
				_, werr := fmt.Fprintf(w, "%s\n%s", between, b)
				between = ","
				return errors.Join(err, werr)
			},
			func(r *api.Replay) error {
				b, err := json.Marshal(r)
				if between != "," {
					_, _ = w.WriteString(between)
				}
				_, werr := fmt.Fprintf(w, "\n],\"outcome\":%s}\n", b)
				return errors.Join(err, werr)
			},
		}
	}
	const line = "%-20s  %-10s  %12s  %12s  %s\n"
	first := true
	return changes{
		func(c *api.Change) error {
			if first {
				first = false
				fmt.Fprintf(w, line, "MINUTE", "FILTER", "STORED", "CLICKS", "AD")
			}
			ad := progress.Clean(c.AdID)
			if ad == "" {
				ad = "(its ranked list)"
			}
			_, err := fmt.Fprintf(w, line, minute(c), progress.Clean(c.Filter), progress.Group(c.Stored), progress.Group(c.Count), ad)
			return err
		},
		func(r *api.Replay) error {
			_, err := w.WriteString(differs(r))
			return err
		},
	}
}
