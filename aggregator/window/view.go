package window

import "github.com/clickagg/clickagg/internal/click"

// view is a window's ads as one filter sees them.
type view struct {
	*counts
	places []uint32 // of the ads that have a click, when it is not all of them
	sums   []sum    // by place
	clicks int64
}

// sum is what an ad has under one filter.
type sum struct {
	click.Sum
	changed bool
}

// under adds up what passed a filter. It uses the memory of the view before, which ends.
func (v view) under(ads *counts, m *masked, filter string) view {
	for _, place := range v.places {
		v.sums[place] = sum{}
	}
	for len(v.sums) < len(ads.entries) {
		v.sums = append(v.sums, sum{})
	}
	bit := make([]uint64, len(m.sets))
	for i, s := range m.sets {
		bit[i] = s.has(filter)
	}
	v.counts, v.places, v.clicks = ads, v.places[:0], 0
	for i := range m.cells {
		c := &m.cells[i]
		if c.mask&bit[c.set] == 0 {
			continue
		}
		s := &v.sums[c.place]
		if s.Count == 0 {
			v.places = append(v.places, c.place)
		}
		s.Add(c.Sum)
		s.changed = s.changed || c.changed
		v.clicks += c.Count
	}
	return v
}

// whole tells whether it is the view of all clicks.
func (v *view) whole() bool { return v.sums == nil }

// ads is how many ads have a click.
func (v *view) ads() int {
	if v.whole() {
		return len(v.entries)
	}
	return len(v.places)
}

// at is the place of the i-th of them.
func (v *view) at(i int) uint32 {
	if v.whole() {
		return uint32(i)
	}
	return v.places[i]
}

// sum is what the ad at a place has.
func (v *view) sum(place uint32) click.Sum {
	if v.whole() {
		return v.entries[place].Sum
	}
	return v.sums[place].Sum
}

// count is how many clicks that is.
func (v *view) count(place uint32) int64 {
	if v.whole() {
		return v.entries[place].Count
	}
	return v.sums[place].Count
}

// changed tells whether that was not said yet.
func (v *view) changed(place uint32) bool {
	if v.whole() {
		return v.entries[place].changed
	}
	return v.sums[place].changed
}

// row is what is said of the ad at a place.
func (v *view) row(place uint32) click.Row {
	s := v.sum(place)
	return click.Row{Ad: v.ad(&v.entries[place]), Count: s.Count, Digest: s.Digest}
}
