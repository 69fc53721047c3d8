package answer

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/rank"
	"github.com/clickagg/clickagg/storage"
)

// rankingsAtOnce bounds how many windows' lists are in memory at a time.
const rankingsAtOnce = 64

// effort is how much is done to rank ads.
type effort struct {
	// The head of a list is so many ads, and so many times as many as are asked for: mostly
	// enough, and ten times less work than the whole list.
	headLeast, headTimes int
	// headSums is of how many ads the exact sums are read at most with heads; if more are
	// open, whole lists are the better way.
	headSums int64
	// scanMost is how many counts are read at most to make an answer exact.
	scanMost int64
	// adsMost is of how many ads the sums are held at most.
	adsMost int
}

var usual = effort{headLeast: 60, headTimes: 4, headSums: 100, scanMost: 50_000_000, adsMost: AdsMost}

// Top ranks the ads by their clicks in [from, to), Unix ms, and returns the
// first n.
//
// A threshold algorithm over the stored lists, of days, hours and windows: adding them
// up gives each listed
// ad a least and a greatest possible count, and ads in no list a greatest one.
// Exact sums are read for those the lists leave open, best first, until none
// left can be among the first n. The heads of the lists are tried first, then the whole
// lists. Where they cannot prove the answer, or
// where proving it costs more than reading everything, everything is read. Where that is
// more than 50 million counts the answer is not exact: its counts are, but an ad outside may
// have more clicks than the last, by no more than it says. It returns [ErrTooManyAds] where
// more ads would have to be added up.
func (r *Reader) Top(ctx context.Context, filter string, n int, from, to int64) (Top, error) {
	f, err := r.Frame(ctx, from, to)
	if err != nil || n <= 0 {
		return Top{Frame: f, Exact: err == nil}, err
	}
	pieces, err := storage.Pieces(ctx, r.store, filter, f.From, f.To, storage.Cut{Longest: storage.Day})
	if err != nil {
		return Top{}, err
	}
	q := ranked{
		r: r, frame: f, filter: filter, n: n, pieces: pieces,
		depth: max(r.effort.headLeast, r.effort.headTimes*n), scanMost: r.effort.headSums * readsOf(pieces, r.window),
	}
	t := Top{Frame: f}
	if t.Rows, t.Exact, err = q.lookUp(ctx); err != nil {
		return Top{}, err
	}
	if !t.Exact {
		q.depth, q.scanMost = storage.WholeList, r.effort.scanMost
		if t.Rows, t.Exact, err = q.lookUp(ctx); err != nil {
			return Top{}, err
		}
	}
	switch {
	case t.Exact:
	case q.cells <= q.scanMost:
		t.Rows, err = q.addAll(ctx)
		t.Exact = true
	default:
		t.Rows, t.MaxError, err = q.estimate(ctx)
	}
	if err != nil {
		return Top{}, err
	}
	t.Revision = q.revision()
	if err := r.Confirm(ctx, &t.Frame); err != nil {
		return Top{}, err
	}
	return t, nil
}

// bounds is what the lists say of one ad: at least sum, and at most sum plus
// the last counts of those lists that do not show it.
type bounds struct {
	sum   int64
	shown int64 // last counts of the cut lists that do show it; all of them once the sum is exact
}

// ranked is one question for the first n.
type ranked struct {
	r      *Reader
	frame  Frame
	filter string
	n      int
	pieces []storage.Piece

	depth     int // how many ads of each list are looked at
	ads       map[string]*bounds
	outside   int64           // sum of the last counts of the cut lists: the most an ad in none can have
	last      []byte          // greatest bytes among the last ads of the cut lists, see beats
	cells     int64           // how many counts a full scan would read
	scanMost  int64           // how many it may read
	revisions map[int64]int64 // of windows and roll-ups, by their start, that were corrected
}

// lookUp finds the first n from the lists to a depth, and returns false when they do not
// prove them.
func (q *ranked) lookUp(ctx context.Context) ([]click.Row, bool, error) {
	q.ads, q.revisions, q.outside, q.last, q.cells = map[string]*bounds{}, map[int64]int64{}, 0, nil, 0
	for i := range q.pieces {
		if err := q.addPiece(ctx, &q.pieces[i]); err != nil {
			return nil, false, err
		}
	}
	return q.prove(ctx)
}

// correct notes the revision of what begins at a time.
func (q *ranked) correct(start, revision int64) {
	if revision > max(1, q.revisions[start]) {
		q.revisions[start] = revision
	}
}

func (q *ranked) revision() int64 {
	if len(q.ads) == 0 {
		return 0
	}
	sum := int64(1)
	for _, r := range q.revisions {
		sum += r - 1
	}
	return sum
}

// addPiece adds up the lists of a piece, a few at a time.
func (q *ranked) addPiece(ctx context.Context, p *storage.Piece) error {
	if p.Unit != storage.Window {
		return q.addRollups(ctx, p)
	}
	step := rankingsAtOnce * q.r.window
	for from := p.From; from < p.To; from += step {
		to := min(from+step, p.To)
		lists, err := q.lists(ctx, q.filter, from, to)
		if err != nil {
			return err
		}
		done := from
		for i := range lists {
			if !q.usable(&lists[i]) {
				continue
			}
			if err := q.addCells(ctx, p, done, lists[i].Start); err != nil {
				return err
			}
			q.addList(&lists[i])
			done = lists[i].Start + q.r.window
		}
		if err := q.addCells(ctx, p, done, to); err != nil {
			return err
		}
	}
	return nil
}

// addRollups adds up the lists of hours or days.
func (q *ranked) addRollups(ctx context.Context, p *storage.Piece) error {
	series := p.Unit.Series(q.filter)
	for some := range slices.Chunk(p.Rollups, rankingsAtOnce) {
		lists, err := q.lists(ctx, series, some[0].Start, some[len(some)-1].End)
		if err != nil {
			return err
		}
		for _, r := range some {
			i, ok := slices.BinarySearchFunc(lists, r.Start, func(l click.Ranking, start int64) int { return int(l.Start - start) })
			if ok && lists[i].Version >= r.Version && whole(&lists[i]) {
				q.addList(&lists[i])
			} else if err := q.addCells(ctx, p, r.Start, r.End); err != nil {
				return err
			}
		}
	}
	return nil
}

func (q *ranked) lists(ctx context.Context, series string, from, to int64) ([]click.Ranking, error) {
	lists, err := q.r.store.Rankings(ctx, series, from, to, q.depth)
	if err != nil {
		return nil, fmt.Errorf("read ranked lists: %w", err)
	}
	return lists, nil
}

// usable tells whether a list may stand for its window. Lists and counts reach
// the store by different ways, so that a window can be complete while its list
// is still that of a moment when it was open.
func (q *ranked) usable(l *click.Ranking) bool {
	if l.State == click.Provisional && q.frame.CompleteUntil != click.None && l.Start+q.r.window <= q.frame.CompleteUntil {
		return false
	}
	return whole(l)
}

// whole tells whether a list says something of every ad: those that it does not show
// have no more than its last.
func whole(l *click.Ranking) bool { return len(l.Top) > 0 || l.Ads == 0 }

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
	q.correct(l.Start, l.Revision)
}

// addCells stands in for the lists of a part of a piece that has none: it reads all
// its counts, which leaves nothing outside.
func (q *ranked) addCells(ctx context.Context, p *storage.Piece, from, to int64) error {
	if from >= to {
		return nil
	}
	return q.r.Scan(ctx, p.Unit.Series(q.filter), Frame{From: from, To: to}, func(c *storage.Cell) error {
		if !p.Has(c.Start) {
			return nil
		}
		q.bounds(c.Ad).sum += c.Count
		if len(q.ads) > q.r.effort.adsMost {
			return ErrTooManyAds
		}
		q.cells++
		q.correct(c.Start, c.Revision)
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

// addAll answers from every count of the range.
func (q *ranked) addAll(ctx context.Context) ([]click.Row, error) {
	clear(q.ads)
	for i := range q.pieces {
		p := &q.pieces[i]
		if err := q.addCells(ctx, p, p.From, p.To); err != nil {
			return nil, err
		}
	}
	return q.best().Sorted(), nil
}

// best are the first n by what is known of the ads.
func (q *ranked) best() *rank.First {
	best := rank.NewFirst(q.n)
	for ad, b := range q.ads {
		if row := (click.Row{Count: b.sum}); best.Takes(row) {
			row.Ad = []byte(ad)
			best.Add(row)
		}
	}
	return best
}

// readsOf is how many counts of pieces are read to know an ad's sum.
func readsOf(pieces []storage.Piece, window int64) (n int64) {
	for i := range pieces {
		p := &pieces[i]
		if p.Unit == storage.Window {
			n += (p.To - p.From) / window
		}
		n += int64(len(p.Rollups))
	}
	return n
}

// prove finds the first n from the lists and the counts of the ads they leave
// open. It returns false when that is not certain to be right, or costs more
// than a scan.
func (q *ranked) prove(ctx context.Context) ([]click.Row, bool, error) {
	open := q.open()
	if q.outside > 0 && (len(open) < q.n || q.outside > open[q.n-1].Count) {
		return nil, false, nil // whatever the exact sums are, the last place is not safe
	}
	best := rank.NewFirst(q.n)
	reads, read := readsOf(q.pieces, q.r.window), int64(0)
	for i := range open {
		c := &open[i]
		if end, full := best.End(); full && c.Count < end.Count {
			break // nor can any after it
		}
		if b := q.ads[string(c.Ad)]; b.shown != q.outside {
			if read += reads; read > min(q.cells, q.scanMost) {
				return nil, false, nil
			}
			if ok, err := q.settle(ctx, c.Ad, b); !ok || err != nil {
				return nil, false, err
			}
			c.Count = b.sum
		}
		best.Add(*c)
	}
	rows := best.Sorted()
	if q.outside > 0 && (len(rows) < q.n || !q.beats(&rows[q.n-1])) {
		return nil, false, nil
	}
	return rows, true, nil
}

// settle reads the exact sum of an ad, and returns false when lists and counts are not
// of one moment.
func (q *ranked) settle(ctx context.Context, ad []byte, b *bounds) (bool, error) {
	cells, err := q.r.cells(ctx, q.filter, ad, q.pieces)
	if err != nil {
		return false, err
	}
	var clicks int64
	for i := range cells {
		clicks += cells[i].Count
		q.correct(cells[i].Start, cells[i].Revision)
	}
	ok := clicks >= b.sum && clicks <= b.sum+q.outside-b.shown
	b.sum, b.shown = clicks, q.outside
	return ok, nil
}

// estimate answers with the ads that have the most clicks for sure, and by how much
// another could have more than the last of them.
func (q *ranked) estimate(ctx context.Context) (rows []click.Row, most int64, err error) {
	rows = q.best().Sorted()
	chosen := map[string]bool{}
	for i := range rows {
		b := q.ads[string(rows[i].Ad)]
		if b.shown != q.outside {
			if _, err := q.settle(ctx, rows[i].Ad, b); err != nil {
				return nil, 0, err
			}
		}
		rows[i].Count = b.sum
		chosen[string(rows[i].Ad)] = true
	}
	slices.SortFunc(rows, rank.Order)
	most = q.outside
	for ad, b := range q.ads {
		if !chosen[ad] {
			most = max(most, b.sum+q.outside-b.shown)
		}
	}
	if len(rows) > 0 {
		most -= rows[len(rows)-1].Count
	}
	return rows, max(most, 0), nil
}

// open returns the listed ads that may be among the first n, with the most each
// can have, best first.
func (q *ranked) open() []click.Row {
	end, _ := q.best().End()
	var rows []click.Row
	for ad, b := range q.ads {
		if most := b.sum + q.outside - b.shown; most >= end.Count {
			rows = append(rows, click.Row{Ad: []byte(ad), Count: most})
		}
	}
	slices.SortFunc(rows, rank.Order)
	return rows
}

// beats tells whether a row comes before every ad that no list shows. Such an
// ad has at most outside clicks, and as many only if it ties with the last ad
// of every cut list, which it then follows by its bytes.
func (q *ranked) beats(row *click.Row) bool {
	return row.Count > q.outside || row.Count == q.outside && bytes.Compare(row.Ad, q.last) <= 0
}
