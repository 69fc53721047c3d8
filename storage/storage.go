package storage

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/clickagg/clickagg/internal/click"
)

// ErrUnavailable: the store cannot be reached now; the same call may succeed later.
var ErrUnavailable = errors.New("store unavailable")

// ErrInvalid: the batch is none this store can hold; the same call never succeeds.
var ErrInvalid = errors.New("invalid batch")

// ErrOtherSize is the [ErrInvalid] of a store that keeps windows of another size: it is
// another installation's, and takes nothing of this one.
var ErrOtherSize = fmt.Errorf("%w: windows of another size", ErrInvalid)

// Mark says that every result of the windows that end at or before Watermark,
// as far as reducer Reducer of Reducers sends them to partition Partition of
// Partitions of the results topic, is stored. Watermarks only rise.
type Mark struct {
	Partition, Partitions int32
	Reducer, Reducers     int32
	Watermark             int64 // Unix ms
	// Closed is the time before which no window changes any more, as far as this reducer
	// sends results to this partition; at most Watermark, click.None when it did not say.
	Closed int64
	// Hold is the newest hold of a correction that this reducer sent to this partition, done
	// once all that it says under it is stored: see [HeldBy]. Number 0 says nothing of holds.
	Hold click.Hold
}

// Batch is what one Apply stores. Results and rankings have the name of their series as
// their filter, see [Unit.Series].
type Batch struct {
	Results  []click.Result
	Rankings []click.Ranking // one of a roll-up leaves a [Rollup] as well
	Lineages []click.Lineage
	Marks    []Mark
	Touches  []Touch // what the results change that was closed; none is open
}

// Cell is a stored count. Ad may be a view that is valid only during the call
// it was handed to.
type Cell struct {
	Ad       []byte
	Start    int64 // of the window, Unix ms
	Count    int64
	Digest   uint64 // of the clicks, see [click.Sum]
	Revision int64
	State    click.State
	Version  int64
}

// Sum is what the ad has.
func (c *Cell) Sum() click.Sum { return click.Sum{Count: c.Count, Digest: c.Digest} }

// Whole is that, and what it is worth.
func (c *Cell) Whole() click.Count {
	return click.Count{Sum: c.Sum(), Standing: click.Standing{State: c.State, Revision: c.Revision}}
}

// WholeList asks for all ads of ranked lists.
const WholeList = math.MaxInt

// Store keeps results and answers from them. It is safe for concurrent use.
// Only windows of one size are kept in one Store, and roll-ups of them: whoever asks for a
// filter asks for windows, and with the name of a series ([Unit.Series]) in its place for
// hours or days. Windows and watermarks are
// times of the years 0 to 9999, ads and filters are UTF-8 and a filter is not
// empty; a store may refuse others with ErrInvalid. Ranges may reach further.
type Store interface {
	FilterStore
	// Apply stores a batch, durably when it returns nil. For each (ad, window,
	// filter), each (window, filter) and, of lineages, each window the greatest version
	// wins; an equal version has equal content, and storing it again changes nothing. The marks
	// and roll-ups are visible no sooner than the results of the same batch; its touches are
	// no later, open ones until the results are stored. After an error
	// any part may have been stored; applying the batch again is safe. What was
	// stored never gives way to an older version, so that to a reader counts of
	// one row only get newer.
	Apply(ctx context.Context, b *Batch) error
	// Count returns the cells of one ad in the windows that start in [from, to),
	// in ascending order of time. Windows without a click have no cell.
	Count(ctx context.Context, filter string, ad []byte, from, to int64) ([]Cell, error)
	// Scan calls f for every cell with a positive count of the windows that start in [from, to),
	// ordered by window, then by the ad's bytes, until f returns an error, which it
	// returns. Every cell is whole, of one version, and at least as new as when the
	// scan began. The embedded store's cells are of one moment: what is applied
	// during the scan is not seen. A cluster's are not: a scan may see one row
	// of a batch and not the other.
	Scan(ctx context.Context, filter string, from, to int64, f func(*Cell) error) error
	// Copies calls f for every cell with a positive count that Count returns, of every filter and series, of what
	// starts in [from, to), each once and in any order, until f returns an error, which it returns. It is for
	// a store that keeps what Count returns apart from what Scan reads; any other does nothing and
	// returns false; an empty range tells which. It may read all that Count could ever return, and is as little
	// of one moment as a scan.
	Copies(ctx context.Context, from, to int64, f func(series string, c *Cell) error) (kept bool, err error)
	// Ads returns the first limit ads, in the order of bytes, that begin with a prefix and
	// have a positive count in a window that starts in [from, to). What it costs grows with
	// the windows and the limit, not with the ads.
	Ads(ctx context.Context, filter, prefix string, from, to int64, limit int) ([]string, error)
	// Lineage returns what the counts of the window that starts there are made of, and
	// false when that is not stored: the window is not final, it has no click, or what is
	// stored of it has ended.
	Lineage(ctx context.Context, start int64) (l click.Lineage, ok bool, err error)
	// Rankings returns the ranked lists of the windows that start in [from, to), in
	// ascending order of time: of each the first most ads, at least 0, and [WholeList] for all.
	// The fewer, the less it costs.
	Rankings(ctx context.Context, filter string, from, to int64, most int) ([]click.Ranking, error)
	// Rollups returns what is rolled up of a series within [from, to), in ascending order
	// of time. What it is worth says [Rollup].
	Rollups(ctx context.Context, series string, from, to int64) ([]Rollup, error)
	// Touches returns the newest touch of every hour and partition, of the hours that
	// have a part of [from, to).
	Touches(ctx context.Context, from, to int64) ([]Touch, error)
	// Counted returns the filters that have a count, in the order of their bytes. It may
	// name one that has a ranked list only.
	Counted(ctx context.Context) ([]string, error)
	// Marks returns the newest mark of every partition and reducer, see [Until] and [HeldBy]. Marks
	// with lesser numbers of partitions or reducers may be missing.
	Marks(ctx context.Context) ([]Mark, error)
	// CompleteUntil is the first that [Until] says of the marks.
	CompleteUntil(ctx context.Context) (int64, error)
	// Span returns the start of the first and of the last window that has a cell
	// under the filter, and false when there is none.
	Span(ctx context.Context, filter string) (first, last int64, ok bool, err error)
	// ID names this very store, never empty: one that was emptied or restored from
	// nothing has another. Whoever remembers how much is stored remembers the ID too.
	ID() string
	// Close frees the store. Its use afterwards is an error.
	Close() error
}

// FirstAds puts ads in the order of bytes, each once, and keeps the first limit of
// them. It is for those who implement [Store].
func FirstAds(ads []string, limit int) []string {
	slices.Sort(ads)
	ads = slices.Compact(ads)
	return ads[:min(limit, len(ads))]
}
