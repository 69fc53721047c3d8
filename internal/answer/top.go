package answer

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/storage"
)

// rankingsAtOnce bounds how many windows' lists are in memory at a time.
const rankingsAtOnce = 64

// Top ranks the ads by their clicks in [from, to), Unix ms, and returns the
// first n.
//
// A threshold algorithm over the stored lists: adding them up gives each listed
// ad a least and a greatest possible count, and ads in no list a greatest one.
// Exact sums are read for those the lists leave open, best first, until none
// left can be among the first n. Where the lists cannot prove the answer, or
// where proving it costs more than reading everything, everything is read.
func (r *Reader) Top(ctx context.Context, filter string, n int, from, to int64) (Top, error) {
	f, err := r.Frame(ctx, from, to)
	if err != nil || n <= 0 {
		return Top{Frame: f, Exact: err == nil}, err
	}
	q := ranked{r: r, frame: f, filter: filter, n: n, ads: map[string]*bounds{}}
	if err := q.addLists(ctx); err != nil {
		return Top{}, err
	}
	rows, proven, err := q.prove(ctx)
	if err != nil {
		return Top{}, err
	}
	if !proven {
		if rows, err = q.addAll(ctx); err != nil {
			return Top{}, err
		}
	}
	return Top{Frame: f, Rows: rows, Exact: true, Revision: q.revision}, nil
}

// bounds is what the lists say of one ad: at least sum, and at most sum plus
// the last counts of those lists that do not show it.
type bounds struct {
	sum   int64
	shown int64 // last counts of the cut lists that do show it
}

// ranked is one question for the first n.
type ranked struct {
	r      *Reader
	frame  Frame
	filter string
	n      int

	ads      map[string]*bounds
	outside  int64  // sum of the last counts of the cut lists: the most an ad in none can have
	last     []byte // greatest bytes among the last ads of the cut lists, see beats
	cells    int64  // how many counts a full scan would read
	revision int64
}

// addLists adds up the lists of all windows, a few windows at a time.
func (q *ranked) addLists(ctx context.Context) error {
	step := rankingsAtOnce * q.r.window
	for from := q.frame.From; from < q.frame.To; from += step {
		to := min(from+step, q.frame.To)
		lists, err := q.r.store.Rankings(ctx, q.filter, from, to)
		if err != nil {
			return fmt.Errorf("read ranked lists: %w", err)
		}
		done := from
		for i := range lists {
			if !q.usable(&lists[i]) {
				continue
			}
			if err := q.addCells(ctx, done, lists[i].Start); err != nil {
				return err
			}
			q.addList(&lists[i])
			done = lists[i].Start + q.r.window
		}
		if err := q.addCells(ctx, done, to); err != nil {
			return err
		}
	}
	return nil
}

// usable tells whether a list may stand for its window. Lists and counts reach
// the store by different ways, so that a window can be complete while its list
// is still that of a moment when it was open.
func (q *ranked) usable(l *click.Ranking) bool {
	if l.State == click.Provisional && q.frame.CompleteUntil != click.None && l.Start+q.r.window <= q.frame.CompleteUntil {
		return false
	}
	return len(l.Top) > 0 || l.Ads == 0
}

func (q *ranked) addList(l *click.Ranking) {
	var least int64
	if l.Ads > int64(len(l.Top)) {
		end := &l.Top[len(l.Top)-1]
		least = end.Count
		if bytes.Compare(end.Ad, q.last) > 0 {
			q.last = bytes.Clone(end.Ad)
		}
	}
	for i := range l.Top {
		b := q.bounds(l.Top[i].Ad)
		b.sum += l.Top[i].Count
		b.shown += least
	}
	q.outside += least
	q.cells += l.Ads
	q.revision = max(q.revision, l.Revision)
}

// addCells stands in for the lists of windows that have none: it reads all
// their counts, which leaves nothing outside.
func (q *ranked) addCells(ctx context.Context, from, to int64) error {
	if from >= to {
		return nil
	}
	return q.r.Scan(ctx, q.filter, Frame{From: from, To: to}, func(c *storage.Cell) error {
		q.bounds(c.Ad).sum += c.Count
		q.cells++
		q.revision = max(q.revision, c.Revision)
		return nil
	})
}

func (q *ranked) bounds(ad []byte) *bounds {
	b := q.ads[string(ad)]
	if b == nil {
		b = &bounds{}
		q.ads[string(ad)] = b
	}
	return b
}

// addAll answers from every count of the range, read at one moment.
func (q *ranked) addAll(ctx context.Context) ([]click.Row, error) {
	clear(q.ads)
	q.revision = 0
	if err := q.addCells(ctx, q.frame.From, q.frame.To); err != nil {
		return nil, err
	}
	best := first{n: q.n}
	for ad, b := range q.ads {
		best.add(click.Row{Ad: []byte(ad), Count: b.sum})
	}
	return best.sorted(), nil
}

// prove finds the first n from the lists and the counts of the ads they leave
// open. It returns false when that is not certain to be right, or costs more
// than a scan.
func (q *ranked) prove(ctx context.Context) ([]click.Row, bool, error) {
	open := q.open()
	if q.outside > 0 && (len(open) < q.n || q.outside > open[q.n-1].Count) {
		return nil, false, nil // whatever the exact sums are, the last place is not safe
	}
	windows := (q.frame.To - q.frame.From) / q.r.window
	best := first{n: q.n}
	var read int64
	for i := range open {
		c := &open[i]
		if end, full := best.end(); full && c.Count < end.Count {
			break // nor can any after it
		}
		b := q.ads[string(c.Ad)]
		if b.shown == q.outside {
			best.add(click.Row{Ad: c.Ad, Count: b.sum})
			continue
		}
		if read += windows; read > q.cells {
			return nil, false, nil
		}
		cells, err := q.r.store.Count(ctx, q.filter, c.Ad, q.frame.From, q.frame.To)
		if err != nil {
			return nil, false, fmt.Errorf("read counts: %w", err)
		}
		clicks, revision := sum(cells)
		if clicks < b.sum || clicks > c.Count {
			return nil, false, nil // lists and counts are not of one moment
		}
		q.revision = max(q.revision, revision)
		best.add(click.Row{Ad: c.Ad, Count: clicks})
	}
	rows := best.sorted()
	if q.outside > 0 && (len(rows) < q.n || !q.beats(&rows[q.n-1])) {
		return nil, false, nil
	}
	return rows, true, nil
}

// open returns the listed ads that may be among the first n, with the most each
// can have, best first.
func (q *ranked) open() []click.Row {
	sure := first{n: q.n}
	for _, b := range q.ads {
		sure.add(click.Row{Count: b.sum})
	}
	end, _ := sure.end()
	var rows []click.Row
	for ad, b := range q.ads {
		if most := b.sum + q.outside - b.shown; most >= end.Count {
			rows = append(rows, click.Row{Ad: []byte(ad), Count: most})
		}
	}
	slices.SortFunc(rows, order)
	return rows
}

// beats tells whether a row comes before every ad that no list shows. Such an
// ad has at most outside clicks, and as many only if it ties with the last ad
// of every cut list, which it then follows by its bytes.
func (q *ranked) beats(row *click.Row) bool {
	return row.Count > q.outside || row.Count == q.outside && bytes.Compare(row.Ad, q.last) <= 0
}

// order puts the greater count first, then the ad whose bytes come first.
func order(a, b click.Row) int {
	if a.Count != b.Count {
		return cmp.Compare(b.Count, a.Count)
	}
	return bytes.Compare(a.Ad, b.Ad)
}
