package dimension

import (
	"context"
	"maps"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/control"
	"github.com/clickagg/clickagg/storage"
)

// Rows turns what was ever said into rows of the filter table, in the order they began.
// A filter that is the same in sets that follow each other is one row. It
// is a function of the facts, so whoever makes rows of the same facts makes the same, and
// of more facts the same or newer versions.
func Rows(facts *control.Facts) []storage.Filter {
	type name struct {
		id   string
		from int64
	}
	var rows []storage.Filter
	at := map[name]int{}     // where a row is
	open := map[string]int{} // the row of an identifier that has no end
	var types map[string]string
	for _, span := range facts.FilterSpans(click.None) {
		goes := maps.Clone(open)
		for _, f := range span.Filters {
			if i, ok := open[f.ID]; ok && rows[i].Name == f.Name && rows[i].Where == f.Where && maps.Equal(types, span.Types) {
				delete(goes, f.ID) // it stays
			}
		}
		for id, i := range goes {
			rows[i].Until, rows[i].Version = span.From, span.Version
			delete(open, id)
		}
		for _, f := range span.Filters {
			if _, stays := open[f.ID]; stays {
				continue
			}
			row := storage.Filter{ID: f.ID, Name: f.Name, Where: f.Where, From: span.From, Until: click.None, Version: span.Version}
			i, known := at[name{f.ID, span.From}]
			if known { // what was said before it never held
				rows[i] = row
			} else {
				i = len(rows)
				rows = append(rows, row)
				at[name{f.ID, span.From}] = i
			}
			open[f.ID] = i
		}
		types = span.Types
	}
	return rows
}

// Keep stores the filter table as of some facts. Repeating it changes nothing, and what
// older facts say takes nothing back.
func Keep(ctx context.Context, store storage.FilterStore, facts *control.Facts) error {
	rows := Rows(facts)
	if len(rows) == 0 {
		return nil
	}
	return store.PutFilters(ctx, rows)
}
