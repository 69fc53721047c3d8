package dimension

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/clickagg/clickagg/internal/api"
	"github.com/clickagg/clickagg/internal/control"
	"github.com/clickagg/clickagg/internal/progress"
	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/storage"
)

// List returns the filters that hold, will hold, or held once, in the order of their
// identifiers and of time.
func List(ctx context.Context, log stream.Log, topic string) ([]api.Filter, error) {
	facts, err := control.Load(ctx, log, topic)
	switch {
	case err != nil:
		return nil, err
	case facts.Cluster == nil:
		return nil, fmt.Errorf("%w: %s says nothing of an installation: is kafka.topic_prefix right?", ErrUsage, topic)
	}
	rows := Rows(&facts)
	slices.SortFunc(rows, func(a, b storage.Filter) int { return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.From, b.From)) })
	return api.Filters(rows), nil
}

// Print writes filters as JSON or as a table.
func Print(w io.Writer, list []api.Filter, asJSON bool) error {
	if asJSON {
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return e.Encode(list)
	}
	if len(list) == 0 {
		_, err := fmt.Fprintln(w, "clicks are counted by no filter")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "FILTER\tNAME\tCLICKS FROM\tUNTIL\tWHERE")
	for i := range list {
		f := &list[i]
		until := ""
		if f.Until != nil {
			until = f.Until.Format(time.RFC3339)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", f.ID, progress.Clean(f.Name), f.Since.Format(time.RFC3339), until, progress.Clean(f.Where))
	}
	return t.Flush()
}
