package copies

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/clickagg/clickagg/internal/calendar"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/storage"
)

const (
	// cellsMost is how many counts by ad are held at once, unless one window has more.
	cellsMost = 1 << 18
	// looks is after how many counts tick is called.
	looks = 1 << 12
)

// Part is one window, hour or day of a series.
type Part struct {
	Start  int64 // Unix ms
	Series string
}

// Compare orders parts by their time.
func (p Part) Compare(o Part) int {
	return cmp.Or(cmp.Compare(p.Start, o.Start), strings.Compare(p.Series, o.Series))
}

// Odd is a count whose copies are not the same. A copy that is not there is 0.
type Odd struct {
	Ad       string
	ByAd     click.Count // what a question about the ad is answered from
	ByWindow click.Count // what is read window by window
}

// Found is where copies are not the same.
type Found struct {
	Odd map[Part][]Odd // in the order of ads
	// Rest are those in which counts differ as well that were not looked into, as there are too many; in the order of
	// their time.
	Rest []Part
	// Moving are those that were being changed, so that nobody can tell.
	Moving []Part
}

// Parts lists those that have an [Odd] in the order of their time.
func (f *Found) Parts() []Part { return slices.SortedFunc(maps.Keys(f.Odd), Part.Compare) }

// Find compares the copies of all counts of windows that are closed for good, and of hours and days that are answered
// from, which start in [from, to). It calls tick now and then; an error of it ends the search.
func Find(ctx context.Context, s storage.Store, from, to int64, tick func() error) (Found, error) {
	if twice, err := s.Copies(ctx, 0, 0, nil); !twice || err != nil {
		return Found{}, err
	}
	marks, err := s.Marks(ctx)
	if err != nil {
		return Found{}, fmt.Errorf("read how far the store is complete: %w", err)
	}
	_, closed := storage.Until(marks)
	f := finder{store: s, from: from, to: min(to, closed), sums: map[Part]sum{}, tick: tick}
	if f.from >= f.to {
		return Found{}, nil
	}
	found, err := f.find(ctx)
	if err != nil {
		return Found{}, fmt.Errorf("compare counts by ad with those by window: %w", err)
	}
	return found, nil
}

// sum is how the copies of a part differ: 0 where they do not, but by a chance of 2^-64.
type sum struct {
	hash  uint64
	cells int64 // by ad
}

type finder struct {
	store    storage.Store
	from, to int64
	sums     map[Part]sum
	tick     func() error
	n        int
}

// look calls tick, but not for every count.
func (f *finder) look() error {
	if f.n++; f.n%looks != 1 {
		return nil
	}
	return f.tick()
}

func (f *finder) find(ctx context.Context) (Found, error) {
	before, err := f.state(ctx)
	if err != nil {
		return Found{}, err
	}
	_, err = f.store.Copies(ctx, f.from, f.to, func(series string, c *storage.Cell) error {
		s := f.sums[Part{c.Start, series}]
		f.sums[Part{c.Start, series}] = sum{s.hash + hash(c), s.cells + 1}
		return f.look()
	})
	if err != nil {
		return Found{}, err
	}
	if err := f.subtract(ctx); err != nil {
		return Found{}, err
	}
	var differ []Part
	for _, p := range slices.SortedFunc(maps.Keys(f.sums), Part.Compare) {
		if f.sums[p].hash != 0 && before.answers(p) {
			differ = append(differ, p)
		}
	}
	found := Found{Odd: map[Part][]Odd{}}
	differ, found.Rest = f.share(differ)
	if len(differ) == 0 {
		return found, nil
	}
	if err := f.detail(ctx, differ, found.Odd); err != nil {
		return Found{}, err
	}
	after, err := f.state(ctx)
	if err != nil {
		return Found{}, err
	}
	moves := func(p Part) bool {
		if before.same(&after, p) {
			return false
		}
		found.Moving = append(found.Moving, p)
		return true
	}
	for _, p := range found.Parts() {
		if moves(p) {
			delete(found.Odd, p)
		}
	}
	found.Rest = slices.DeleteFunc(found.Rest, moves)
	return found, nil
}

// hash is a count in one number. Where one of its numbers is another, it is another too.
func hash(c *storage.Cell) uint64 {
	const spread = 0x9e3779b97f4a7c15 // odd, so that no two revisions come to the same
	said := uint64(c.Revision)<<2 | uint64(c.State)
	return click.HashAd(c.Ad, uint64(c.Count)) + (click.HashAd(c.Ad, 0)|1)*(c.Digest+spread*said)
}

// subtract takes the counts by window off the sums.
func (f *finder) subtract(ctx context.Context) error {
	filters, err := f.store.Counted(ctx)
	if err != nil {
		return err
	}
	for p := range f.sums {
		filters = append(filters, storage.FilterOf(p.Series))
	}
	slices.Sort(filters)
	for _, filter := range slices.Compact(filters) {
		for u := storage.Window; u <= storage.Day; u++ {
			series := u.Series(filter)
			err := f.store.Scan(ctx, series, f.from, f.to, func(c *storage.Cell) error {
				s := f.sums[Part{c.Start, series}]
				f.sums[Part{c.Start, series}] = sum{s.hash - hash(c), s.cells}
				return f.look()
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// share takes as many parts as can be looked into at once.
func (f *finder) share(parts []Part) (some, rest []Part) {
	cells := int64(0)
	for i, p := range parts {
		if cells += f.sums[p].cells; i > 0 && cells > cellsMost {
			return parts[:i], parts[i:]
		}
	}
	return parts, nil
}

// detail reads both copies of some parts again and lists the counts that differ.
func (f *finder) detail(ctx context.Context, parts []Part, odd map[Part][]Odd) error {
	byAd := map[Part]map[string]click.Count{}
	from, to := int64(math.MaxInt64), int64(math.MinInt64)
	for _, p := range parts {
		byAd[p] = map[string]click.Count{}
		from, to = min(from, p.Start), max(to, p.Start+1)
	}
	_, err := f.store.Copies(ctx, from, to, func(series string, c *storage.Cell) error {
		if counts, wanted := byAd[Part{c.Start, series}]; wanted {
			counts[string(c.Ad)] = c.Whole()
		}
		return f.look()
	})
	if err != nil {
		return err
	}
	for _, p := range parts {
		counts := byAd[p]
		var list []Odd
		err := f.store.Scan(ctx, p.Series, p.Start, p.Start+1, func(c *storage.Cell) error {
			if copied := counts[string(c.Ad)]; copied != c.Whole() {
				list = append(list, Odd{string(c.Ad), copied, c.Whole()})
			}
			delete(counts, string(c.Ad))
			return f.look()
		})
		if err != nil {
			return err
		}
		for ad, copied := range counts {
			list = append(list, Odd{Ad: ad, ByAd: copied})
		}
		if len(list) > 0 {
			slices.SortFunc(list, func(a, b Odd) int { return strings.Compare(a.Ad, b.Ad) })
			odd[p] = list
		}
	}
	return nil
}

// state is what tells whether something changes.
type state struct {
	touches []storage.Touch
	rollups map[Part]storage.Rollup
}

func (f *finder) state(ctx context.Context) (s state, err error) {
	if s.touches, err = f.store.Touches(ctx, f.from, f.to); err != nil {
		return s, err
	}
	filters, err := f.store.Counted(ctx)
	if err != nil {
		return s, err
	}
	s.rollups = map[Part]storage.Rollup{}
	for _, filter := range filters {
		for u := storage.Hour; u <= storage.Day; u++ {
			rolled, err := f.store.Rollups(ctx, u.Series(filter), f.from, f.to)
			if err != nil {
				return s, err
			}
			for _, r := range rolled {
				s.rollups[Part{r.Start, u.Series(filter)}] = r
			}
		}
	}
	return s, nil
}

// version is that of the time of a part, and false while that is being changed.
func (s *state) version(p Part) (int64, bool) {
	if r, rolled := s.rollups[p]; rolled {
		return storage.VersionOf(s.touches, r.Start, r.End)
	}
	hour := calendar.Hour(p.Start)
	return storage.VersionOf(s.touches, hour.From, hour.To)
}

// answers tells whether a part is one that questions are answered from: an hour or a day is only while nothing
// in it has changed since it was added up.
func (s *state) answers(p Part) bool {
	if u, _ := storage.UnitOf(p.Series); u == storage.Window {
		return true
	}
	r, there := s.rollups[p]
	version, settled := s.version(p)
	return there && settled && r.Version == version
}

// same tells whether a part cannot have changed between two states.
func (s *state) same(after *state, p Part) bool {
	was, settled := s.version(p)
	is, still := after.version(p)
	return settled && still && was == is
}
