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
	hold    int64 // ms for which a window is kept, because what is valid may strike a late click of it
}

// part is one window under one filter.
type part struct {
	start  int64
	filter string
}

type counts struct {
	state click.State
	rows  map[string]click.Sum // by ad
	late  []*latecomer
}

// window returns what is known of one.
func (t *tally) window(p part) *counts {
	c := t.windows[p]
	if c == nil {
		if t.windows == nil {
			t.windows = map[part]*counts{}
		}
		c = &counts{state: click.Final, rows: map[string]click.Sum{}}
		t.windows[p] = c
	}
	return c
}

// expect takes a click that came too late.
func (t *tally) expect(late *latecomer, filter string) {
	c := t.window(part{late.start, filter})
	c.late = append(c.late, late)
}

// take takes in what is new; a newer count of an ad takes the place of the older.
func (t *tally) take(p *click.Partial) {
	for i := range p.Windows {
		w := &p.Windows[i]
		if w.Start < t.span.From || w.Start >= t.span.To {
			continue
		}
		c := t.window(part{w.Start, w.Filter})
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
		w.Late = c.missed()
		if len(w.Rows) == 0 && len(w.Late) == 0 {
			continue // all that came too late repeats what was counted elsewhere
		}
		if err := t.sink(&w); err != nil {
			return err
		}
	}
	return nil
}

// missed adds up what came too late and repeats nothing.
func (c *counts) missed() (rows []click.Row) {
	sums := map[string]click.Sum{}
	for _, late := range c.late {
		if !late.struck {
			sum := sums[late.ad]
			sum.Add(click.Sum{Count: 1, Digest: late.digest})
			sums[late.ad] = sum
		}
	}
	for _, ad := range slices.Sorted(maps.Keys(sums)) {
		rows = append(rows, click.Row{Ad: []byte(ad), Count: sums[ad].Count, Digest: sums[ad].Digest})
	}
	return rows
}
