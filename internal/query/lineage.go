package query

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/clickagg/clickagg/internal/api"
	"github.com/clickagg/clickagg/internal/api/client"
	"github.com/clickagg/clickagg/internal/progress"
)

// LineageOptions says what Lineage asks.
type LineageOptions struct {
	Minute string // a moment in it, in the API's notation
	Output string // Table, JSON or CSV, which has the sources only
	Width  int    // columns a table may take; 0 for any number
}

// Lineage prints what the counts of a minute are made of: how far every log had been
// read when it became final or was last corrected, and whether the accounts add up.
func Lineage(ctx context.Context, c *client.Client, o LineageOptions, w io.Writer) error {
	if err := checkOutput(o.Output, Table, JSON, CSV); err != nil {
		return err
	}
	if o.Minute == "" {
		return fmt.Errorf("%w: say which minute, as in --minute 2019-11-24T00:00:00Z", ErrUsage)
	}
	a, err := c.Lineage(ctx, o.Minute)
	if err != nil {
		return blameOn(map[string]string{"start_time": "--minute"}, err)
	}
	switch o.Output {
	case JSON:
		return printJSON(w, a)
	case CSV:
		return printCSV(w, sourceRows(&a), false)
	}
	_, err = io.WriteString(w, lineageText(&a, o.Width))
	return err
}

func sourceRows(a *api.Lineage) [][]string {
	rows := [][]string{{
		"source", "topic_id", "heard", "settled", "received", "counted", "duplicate", "conflict", "late", "rejected", "crowded", "stale", "marks",
	}}
	for i := range a.Sources {
		s := &a.Sources[i]
		row := []string{s.Source, s.TopicID}
		for _, n := range []int64{
			s.Heard, s.Settled, s.Received, s.Counted, s.Duplicate, s.Conflict, s.Late, s.Rejected, s.Crowded, s.Stale, s.Marks,
		} {
			row = append(row, strconv.FormatInt(n, 10))
		}
		rows = append(rows, row)
	}
	return rows
}

func lineageText(a *api.Lineage, width int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s to %s, %s, version %d of reducer %d/%d\n\n",
		instant(&a.StartTime), instant(&a.ToTime), progress.Clean(a.State), a.Version, a.Reducer, a.Reducers)
	shards := table{columns: []column{{title: "SHARD", right: true}, {title: "POSITION", right: true}}}
	for _, s := range a.Shards {
		shards.add(strconv.Itoa(int(s.Shard)), progress.Group(s.Position))
	}
	sources := table{columns: []column{
		{title: "SOURCE", shrinks: true}, {title: "HEARD", right: true}, {title: "SETTLED", right: true}, {title: "TOPIC ID", drops: true},
	}}
	for _, s := range a.Sources {
		sources.add(s.Source, progress.Group(s.Heard), progress.Group(s.Settled), s.TopicID)
	}
	b.WriteString(shards.render(width) + "\n" + sources.render(width) + "\n")
	for i := range a.Sources {
		b.WriteString(accountLine(&a.Sources[i].Accounting) + "\n")
	}
	return b.String()
}
