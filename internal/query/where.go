package query

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/clickagg/clickagg/internal/api"
	"github.com/clickagg/clickagg/internal/api/client"
	"github.com/clickagg/clickagg/internal/progress"
)

// WhereOptions says what Where asks.
type WhereOptions struct {
	Question client.ClicksQuestion
	Output   string                          // Table, CSV or JSON
	Width    int                             // columns a table may take; 0 for any number
	Progress func(total int64) *progress.Bar // begins to show how far it is; nil shows nothing
}

// Where prints how many clicks a predicate is true of, counted from the clicks
// themselves, and what it was counted from.
func Where(ctx context.Context, c *client.Client, o WhereOptions, w io.Writer) error {
	if err := checkOutput(o.Output, Table, CSV, JSON); err != nil {
		return err
	}
	var bar *progress.Bar
	a, err := c.Clicks(ctx, o.Question, func(done, total int64) {
		if bar == nil && o.Progress != nil {
			bar = o.Progress(total)
		}
		if bar != nil {
			bar.Set(done, done)
		}
	})
	if bar != nil {
		bar.Finish()
	}
	if err != nil {
		return blame(err)
	}
	switch o.Output {
	case JSON:
		return printJSON(w, a)
	case CSV:
		rows := [][]string{{"ad_id", "count"}}
		for _, ad := range a.Ads {
			rows = append(rows, []string{ad.AdID, strconv.FormatInt(ad.Count, 10)})
		}
		return printCSV(w, rows, false)
	}
	t := table{columns: []column{{title: "CLICKS", right: true}, {title: "AD", shrinks: true}}}
	for _, ad := range a.Ads {
		t.add(progress.Group(ad.Count), ad.AdID)
	}
	text := ""
	if len(a.Ads) > 0 {
		text = t.render(o.Width)
	}
	_, err = fmt.Fprintf(w, "%s%s %s of %s %s, %s to %s, %s\n%s\n", text, progress.Group(a.Count), plural(a.Count, "click"),
		progress.Group(a.AdsCounted), plural(a.AdsCounted, "ad"), a.StartTime.Format(time.RFC3339), a.ToTime.Format(time.RFC3339), a.Status, scanned(a.Exact, &a.Scanned))
	return err
}

// scanned says what an answer was counted from, and whether that was all.
func scanned(exact bool, s *api.Scanned) string {
	text := fmt.Sprintf("counted from %s %s in %s %s of the %s: ", progress.Group(s.Records), plural(s.Records, "record"),
		progress.Group(int64(s.Sources)), plural(int64(s.Sources), "partition"), s.Source)
	switch {
	case exact:
		return text + "exact"
	case !s.Whole:
		return text + "not exact, records of this range, or before it, are not kept any more"
	case s.Unsure > 0:
		return text + fmt.Sprintf("exact but for %s %s of which it is not known whether they came too late", progress.Group(s.Unsure), plural(s.Unsure, "click"))
	}
	if s.Crowded == 0 {
		return text + "not exact, what was read is behind the input topics, or there is nothing to read"
	}
	return text + fmt.Sprintf("not exact, %s %s found no room (aggregator.max_ids, aggregator.max_ads)", progress.Group(s.Crowded), plural(s.Crowded, "click"))
}
