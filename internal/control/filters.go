package control

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/zeebo/xxh3"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/filter"
	"github.com/clickagg/clickagg/internal/stream"
)

// Filter is one filter that clicks are counted by, as it was written. Whether its
// predicate means something is not judged here.
type Filter struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Where string `json:"where"`
}

// FilterSet is all filters that clicks are counted by at one time.
type FilterSet struct {
	Filters []Filter          `json:"filters"`         // in the order of their ids
	Types   map[string]string `json:"types,omitempty"` // of further fields of a click, by field
}

// NewFilterSet puts the filters in order.
func NewFilterSet(filters []Filter, types map[string]string) FilterSet {
	sorted := slices.SortedFunc(slices.Values(filters), func(a, b Filter) int { return cmp.Compare(a.ID, b.ID) })
	return FilterSet{Filters: sorted, Types: types}
}

// Fingerprint names the set in 16 hex digits: sets that say the same have the same.
func (s *FilterSet) Fingerprint() string {
	b := click.AppendBytes(nil, "filters")
	for _, f := range s.Filters {
		b = click.AppendBytes(click.AppendBytes(click.AppendBytes(b, f.ID), f.Name), f.Where)
	}
	b = click.AppendBytes(b, "types")
	for _, field := range slices.Sorted(maps.Keys(s.Types)) {
		b = click.AppendBytes(click.AppendBytes(b, field), s.Types[field])
	}
	return fmt.Sprintf("%016x", xxh3.Hash(b))
}

// Compile makes of the set what clicks are held against. It fails when a predicate
// means nothing to this release.
func (s *FilterSet) Compile() (*filter.Set, error) {
	types := filter.Types{}
	for field, name := range s.Types {
		t, err := filter.ParseType(name)
		if err != nil {
			return nil, fmt.Errorf("field %s: %w", field, err)
		}
		types[field] = t
	}
	definitions := make([]filter.Definition, len(s.Filters))
	for i, f := range s.Filters {
		definitions[i] = filter.Definition(f)
	}
	return filter.NewSet(definitions, types)
}

// FilterSpan is a set with the stretch of event time whose clicks are counted by it. Its
// ends are windows' ends.
type FilterSpan struct {
	FilterSet
	From    int64 // Unix ms
	Until   int64 // Unix ms, not in it; [click.None] while it has no end; From if it was replaced before it held
	Since   int64 // broker's time, Unix ms, when it was said
	Version int64 // where in the control topic it was said
}

// FilterSpans lists the sets that hold at or after an event time, in the order of
// time; for click.None all there ever were, with those that never held. A minute before
// the first has no filters. What was listed never changes but for the last end.
func (f *Facts) FilterSpans(after int64) []FilterSpan {
	for i := range f.filters {
		if s := &f.filters[i]; after == click.None || s.Until == click.None || s.Until > after {
			return f.filters[i:]
		}
	}
	return nil
}

// Filters is the set that holds from the end of what is open on, and false when there
// never was one.
func (f *Facts) Filters() (FilterSpan, bool) {
	if len(f.filters) == 0 {
		return FilterSpan{}, false
	}
	return f.filters[len(f.filters)-1], true
}

// filter takes a set. It holds from the end of what is open, as what is said of hot
// ads does, and for the same reason. One that says what holds already changes nothing.
func (f *Facts) filter(r *click.Record) error {
	var set FilterSet
	if err := json.Unmarshal(r.Value, &set); err != nil {
		return fmt.Errorf("filters record: %w", err)
	}
	if f.Cluster == nil {
		return fmt.Errorf("filters record: before the installation's identity")
	}
	last, said := f.Filters()
	switch {
	case f.opened == click.None:
		return nil // nobody knows what was mapped before
	case said && last.Fingerprint() == set.Fingerprint():
		return nil
	}
	from := f.opensNext()
	f.filters = slices.Clone(f.filters) // facts read earlier keep theirs
	if said {
		f.filters[len(f.filters)-1].Until = from
	}
	f.filters = append(f.filters, FilterSpan{FilterSet: set, From: from, Until: click.None, Since: r.Append, Version: r.Offset})
	return nil
}

// NoteFilters states by which filters clicks are counted from the end of what is open
// on. While nothing is open it says nothing: see [Open].
func NoteFilters(ctx context.Context, log stream.Log, topic string, set FilterSet) error {
	value, err := json.Marshal(set)
	if err != nil {
		return fmt.Errorf("control: encode: %w", err)
	}
	return note(ctx, log, topic, keyFilters, value)
}
