package recount

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/clickagg/clickagg/internal/click"
)

// tally gathers what the shard says of the windows of a range.
type tally struct {
	span    Range
	sink    func(*Window) error
	windows map[part]*counts
}

// part is one window under one filter.
type part struct {
	start  int64
	filter string
}

type counts struct {
	state click.State
	rows  map[string]click.Sum // by ad
}

// take takes in what is new; a newer count of an ad takes the place of the older.
func (t *tally) take(p *click.Partial) {
	if t.windows == nil {
		t.windows = map[part]*counts{}
	}
	for i := range p.Windows {
		w := &p.Windows[i]
		if w.Start < t.span.From || w.Start >= t.span.To {
			continue
		}
		key := part{w.Start, w.Filter}
		c := t.windows[key]
		if c == nil {
			c = &counts{rows: map[string]click.Sum{}}
			t.windows[key] = c
		}
		c.state = click.Provisional
		if w.State != click.Provisional {
			c.state = click.Final
		}
		for j := range w.Rows {
			c.rows[string(w.Rows[j].Ad)] = w.Rows[j].Sum()
		}
	}
}

// deliver hands out the windows that start before a time and forgets them.
func (t *tally) deliver(before int64) error {
	for _, key := range slices.SortedFunc(maps.Keys(t.windows), func(a, b part) int {
		return cmp.Or(cmp.Compare(a.start, b.start), strings.Compare(a.filter, b.filter))
	}) {
		if key.start >= before {
			break
		}
		c := t.windows[key]
		delete(t.windows, key)
		w := Window{Start: key.start, Filter: key.filter, State: c.state}
		for _, ad := range slices.Sorted(maps.Keys(c.rows)) {
			s := c.rows[ad]
			w.Rows = append(w.Rows, click.Row{Ad: []byte(ad), Count: s.Count, Digest: s.Digest})
		}
		if err := t.sink(&w); err != nil {
			return err
		}
	}
	return nil
}
