package recount

import (
	"bytes"
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
	rows  []click.Row // as they were said; what was said again is there again
	texts []byte      // room for their ads
	again bool        // not in the order of ads
	late  []*latecomer
}

// window returns what is known of one.
func (t *tally) window(p part) *counts {
	c := t.windows[p]
	if c == nil {
		if t.windows == nil {
			t.windows = map[part]*counts{}
		}
		c = &counts{state: click.Final}
		t.windows[p] = c
	}
	return c
}

// expect takes a click that came too late, under all filters that are true of it.
func (t *tally) expect(late *latecomer) {
	under := func(filter string) {
		c := t.window(part{late.start, filter})
		c.late = append(c.late, late)
	}
	under(click.FilterAll)
	for i, filter := range late.filters {
		if late.mask>>i&1 == 1 {
			under(filter)
		}
	}
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
			c.add(w.Rows[j])
		}
	}
}

// add takes in a row, of which it copies the ad.
func (c *counts) add(row click.Row) {
	const room = 32 << 10
	if len(row.Ad) > cap(c.texts)-len(c.texts) {
		c.texts = make([]byte, 0, max(room, len(row.Ad)))
	}
	from := len(c.texts)
	c.texts = append(c.texts, row.Ad...)
	row.Ad = c.texts[from:len(c.texts):len(c.texts)]
	c.again = c.again || len(c.rows) > 0 && byAd(c.rows[len(c.rows)-1], row) >= 0
	c.rows = append(c.rows, row)
}

func byAd(a, b click.Row) int { return bytes.Compare(a.Ad, b.Ad) }

// newest are the rows in the order of ads, each as it was said last.
func (c *counts) newest() []click.Row {
	if !c.again {
		return c.rows
	}
	slices.SortStableFunc(c.rows, byAd)
	rows := c.rows[:0]
	for i, row := range c.rows {
		if i+1 == len(c.rows) || byAd(row, c.rows[i+1]) != 0 {
			rows = append(rows, row)
		}
	}
	return rows
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
		w := Window{Start: key.start, Filter: key.filter, State: c.state, Rows: c.newest(), Late: c.missed()}
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
