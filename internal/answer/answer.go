package answer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/clickagg/clickagg/internal/calendar"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/storage"
)

// ErrNoWindow: both ends of the range lie in the same window, so that it holds
// no whole one.
var ErrNoWindow = errors.New("no whole window in the range")

// AdsMost is how many ads the clicks of one question are added up for at most, some 500 MB of memory.
const AdsMost = 4_000_000

// ErrTooManyAds: more ads than [AdsMost] would have to be added up.
var ErrTooManyAds = errors.New("too many ads in the range")

// Frame is what every answer says of itself: the windows it covers and what
// they are worth.
type Frame struct {
	From, To      int64 // Unix ms, whole windows: [From, To)
	CompleteUntil int64 // Unix ms; click.None when the store does not know
	held          storage.Held
}

// Final tells whether every window of the frame was complete when it was read, and nothing of
// a correction was missing.
func (f Frame) Final() bool {
	return f.CompleteUntil != click.None && f.To <= f.CompleteUntil && !f.Held()
}

// Held tells whether windows of the frame are being corrected, so that counts may be there
// as they were, and others as they will be.
func (f Frame) Held() bool { return f.held.Holds(f.From, f.To) }

// Count is how many clicks one ad got.
type Count struct {
	Frame
	Clicks   int64
	Revision int64 // 1, and 1 more for every correction of a window counted; 0 without a click
}

// Top is which ads got the most clicks.
type Top struct {
	Frame
	Rows     []click.Row // greater count first, then ad by bytes; only ads with a click
	Exact    bool        // no ad outside the rows has a better claim to be in them
	MaxError int64       // by how much one outside may have more clicks than the last row; 0 when exact
	Revision int64       // 1, and 1 more for every correction of a window ranked; 0 without a click
}

// Reader reads answers off a store. It is safe for concurrent use.
type Reader struct {
	store   storage.Store
	window  int64                       // ms
	filters atomic.Pointer[filterTable] // nil until asked for
	effort  effort
}

// New makes a reader of a store whose windows have the given size, a positive
// whole number of milliseconds.
func New(store storage.Store, window time.Duration) *Reader {
	if window < time.Millisecond {
		panic(fmt.Sprintf("answer: window size %v is under a millisecond", window))
	}
	return &Reader{store: store, window: window.Milliseconds(), effort: usual}
}

// Window is the size of the store's windows.
func (r *Reader) Window() time.Duration { return time.Duration(r.window) * time.Millisecond }

// Frame rounds both ends of [from, to) down to whole windows and reads how far
// the store is complete. Whoever reads rows for an answer asks for its frame
// first, and has it confirmed when it has them. It returns ErrNoWindow when nothing is left between the ends.
func (r *Reader) Frame(ctx context.Context, from, to int64) (Frame, error) {
	f := Frame{From: calendar.Floor(from, r.window), To: calendar.Floor(to, r.window)}
	if f.From >= f.To {
		return Frame{}, ErrNoWindow
	}
	marks, err := r.store.Marks(ctx)
	if err != nil {
		return Frame{}, fmt.Errorf("read how far the store is complete: %w", err)
	}
	f.CompleteUntil, _ = storage.Until(marks)
	f.held = storage.HeldBy(marks)
	return f, nil
}

// Confirm takes back that a frame is final when a correction has begun since it was made: the rows
// that were read meanwhile may be of before and of after. One that it does not touch is not told apart.
func (r *Reader) Confirm(ctx context.Context, f *Frame) error {
	if !f.Final() {
		return nil
	}
	marks, err := r.store.Marks(ctx)
	if err != nil {
		return fmt.Errorf("read whether a correction began: %w", err)
	}
	if storage.HeldBy(marks).Newest != f.held.Newest {
		f.held.From, f.held.To = f.From, f.To
	}
	return nil
}

// Count adds up the clicks of one ad in [from, to), Unix ms.
func (r *Reader) Count(ctx context.Context, filter string, ad []byte, from, to int64) (Count, error) {
	f, err := r.Frame(ctx, from, to)
	if err != nil {
		return Count{}, err
	}
	c, err := r.count(ctx, filter, ad, f)
	if err != nil {
		return Count{}, err
	}
	if err := r.Confirm(ctx, &c.Frame); err != nil {
		return Count{}, err
	}
	return c, nil
}

func (r *Reader) count(ctx context.Context, filter string, ad []byte, f Frame) (Count, error) {
	cells, err := r.cut(ctx, filter, ad, f, storage.Cut{Longest: storage.Day})
	if err != nil {
		return Count{}, err
	}
	return total(f, cells), nil
}

// total is the count of a frame that some cells are.
func total(f Frame, cells []storage.Cell) Count {
	c := Count{Frame: f}
	c.Clicks, c.Revision = sum(cells)
	return c
}

// cut reads the counts of one ad in the pieces of a frame, in the order of time.
func (r *Reader) cut(ctx context.Context, filter string, ad []byte, f Frame, c storage.Cut) ([]storage.Cell, error) {
	pieces, err := storage.Pieces(ctx, r.store, filter, f.From, f.To, c)
	if err != nil {
		return nil, err
	}
	return r.cells(ctx, filter, ad, pieces)
}

// sum is how many clicks are in some cells, and their revision; 0 without any.
func sum(cells []storage.Cell) (clicks, revision int64) {
	for i := range cells {
		clicks += cells[i].Count
		revision += cells[i].Revision - 1
	}
	if len(cells) > 0 {
		revision++
	}
	return clicks, revision
}

// cells reads the counts of one ad in all pieces of a range.
func (r *Reader) cells(ctx context.Context, filter string, ad []byte, pieces []storage.Piece) ([]storage.Cell, error) {
	var all []storage.Cell
	for i := range pieces {
		p := &pieces[i]
		cells, err := r.store.Count(ctx, p.Unit.Series(filter), ad, p.From, p.To)
		if err != nil {
			return nil, fmt.Errorf("read counts: %w", err)
		}
		all = append(all, slices.DeleteFunc(cells, func(c storage.Cell) bool { return !p.Has(c.Start) })...)
	}
	return all, nil
}

// Scan calls f for every count in a frame, by window, then by ad, as
// [storage.Store] does.
func (r *Reader) Scan(ctx context.Context, filter string, f Frame, each func(*storage.Cell) error) error {
	if err := r.store.Scan(ctx, filter, f.From, f.To, each); err != nil {
		return fmt.Errorf("scan counts: %w", err)
	}
	return nil
}

// Stored returns the range [from, to) of everything stored under a filter, and
// false when there is nothing.
func (r *Reader) Stored(ctx context.Context, filter string) (from, to int64, ok bool, err error) {
	first, last, ok, err := r.store.Span(ctx, filter)
	if err != nil {
		return 0, 0, false, fmt.Errorf("read what is stored: %w", err)
	}
	return first, last + r.window, ok, nil
}

// Lineage returns what the counts of the window that a moment, Unix ms, lies in are
// made of, and the window's start; false when that is not stored.
func (r *Reader) Lineage(ctx context.Context, at int64) (l click.Lineage, start int64, ok bool, err error) {
	start = calendar.Floor(at, r.window)
	if l, ok, err = r.store.Lineage(ctx, start); err != nil {
		return click.Lineage{}, start, false, fmt.Errorf("read lineage: %w", err)
	}
	return l, start, ok, nil
}
