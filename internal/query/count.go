package query

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/clickagg/clickagg/internal/api"
	"github.com/clickagg/clickagg/internal/api/client"
	"github.com/clickagg/clickagg/internal/progress"
)

// CountOptions says what Count asks.
type CountOptions struct {
	Ads         []string // at least one
	Granularity string   // 1m, 1h or 1d splits the count of one ad into steps; empty does not
	Range       client.Range
	Output      string // Table, CSV or JSON
	Width       int    // columns a table may take; 0 for any number
	Again       bool   // leaves out the header of CSV, which stands above already
}

// Count prints how many clicks ads got.
func Count(ctx context.Context, c *client.Client, o CountOptions, w io.Writer) error {
	if err := checkOutput(o.Output, Table, CSV, JSON); err != nil {
		return err
	}
	switch {
	case len(o.Ads) == 0 || slices.Contains(o.Ads, ""):
		return fmt.Errorf("%w: the ad id is empty", ErrUsage)
	case len(o.Ads) > 1 && o.Granularity != "":
		return fmt.Errorf("%w: --granularity splits the count of one ad, and %d are named", ErrUsage, len(o.Ads))
	case len(o.Ads) > 1:
		return countMany(ctx, c, o, w)
	case o.Granularity != "":
		return countSteps(ctx, c, o, w)
	}
	a, err := c.Count(ctx, o.Ads[0], o.Range)
	if err != nil {
		return blame(err)
	}
	switch o.Output {
	case JSON:
		return printJSON(w, a)
	case CSV:
		return printCSV(w, [][]string{countHeader, countRow(a.AdID, a.Count, &a.Frame, a.Status, a.Revision)}, o.Again)
	}
	_, err = fmt.Fprintf(w, "%s  %s %s\n%s\n", progress.Clean(a.AdID), progress.Group(a.Count), plural(a.Count, "click"), describe(&a.Frame))
	return err
}

var countHeader = []string{"ad_id", "count", "start_time", "to_time", "status", "revision"}

func countRow(ad string, count int64, f *api.Frame, status string, revision int64) []string {
	return []string{ad, strconv.FormatInt(count, 10), instant(&f.StartTime), instant(&f.ToTime), status, strconv.FormatInt(revision, 10)}
}

// countMany prints the counts of several ads, in the order they were named.
func countMany(ctx context.Context, c *client.Client, o CountOptions, w io.Writer) error {
	a, err := c.Counts(ctx, o.Ads, o.Range)
	if err != nil {
		return blame(err)
	}
	switch o.Output {
	case JSON:
		return printJSON(w, a)
	case CSV:
		rows := [][]string{countHeader}
		for _, ad := range a.Ads {
			rows = append(rows, countRow(ad.AdID, ad.Count, &a.Frame, ad.Status, ad.Revision))
		}
		return printCSV(w, rows, o.Again)
	}
	t := table{columns: []column{{title: "CLICKS", right: true}, {title: "AD", shrinks: true, middle: true}}}
	for _, ad := range a.Ads {
		t.add(progress.Group(ad.Count), ad.AdID)
	}
	_, err = fmt.Fprintf(w, "%s%s\n", t.render(o.Width), describe(&a.Frame))
	return err
}

// countSteps prints the count of an ad step by step, and their sum.
func countSteps(ctx context.Context, c *client.Client, o CountOptions, w io.Writer) error {
	a, err := c.Series(ctx, o.Ads[0], o.Granularity, o.Range)
	if err != nil {
		return blame(err)
	}
	var steps []api.Step
	if a.Series != nil {
		steps = *a.Series
	}
	switch o.Output {
	case JSON:
		return printJSON(w, a)
	case CSV:
		rows := [][]string{countHeader}
		for _, s := range steps {
			rows = append(rows, countRow(a.AdID, s.Count, &api.Frame{StartTime: s.StartTime, ToTime: s.ToTime}, s.Status, s.Revision))
		}
		return printCSV(w, rows, o.Again)
	}
	t := table{columns: []column{{title: "FROM"}, {title: "CLICKS", right: true}, {title: "STATUS", drops: true}}}
	for _, s := range steps {
		t.add(instant(&s.StartTime), progress.Group(s.Count), s.Status)
	}
	text := t.render(o.Width)
	if len(steps) == 0 {
		text = ""
	}
	_, err = fmt.Fprintf(w, "%s%s  %s %s\n%s\n", text, progress.Clean(a.AdID), progress.Group(a.Count), plural(a.Count, "click"), describe(&a.Frame))
	return err
}
