package sim

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/control"
	"github.com/clickagg/clickagg/internal/stream"
)

// tags are what filters ask of a click.
type tags struct{ country, device int }

// predicates are what a filter may mean, as operators write it and as the oracle takes it.
var predicates = []struct {
	where string
	holds func(t tags) bool
}{
	{`country == "c1"`, func(t tags) bool { return t.country == 1 }},
	{`country != "c0"`, func(t tags) bool { return t.country != 0 }},
	{`device == "d0"`, func(t tags) bool { return t.device == 0 }},
	{`device == "d1" and country == "c0"`, func(t tags) bool { return t.device == 1 && t.country == 0 }},
}

// names are the identifiers of filters. One that comes or goes gives all behind it another bit.
var names = []string{"a", "b", "c"}

// sift lets an operator set other filters: some come, some go, some change their meaning.
func (w *world) sift() {
	var filters []control.Filter
	for _, name := range names {
		if i := w.choose(len(predicates)+2, "what "+name+" means"); i < len(predicates) {
			filters = append(filters, control.Filter{ID: name, Where: predicates[i].where})
		}
	}
	value, err := json.Marshal(control.NewFilterSet(filters, nil))
	if err != nil {
		panic(err)
	}
	w.log.land(w.now, w.topics.Control, []stream.Message{{Key: []byte("filters"), Value: value}})
}

// passed lists the filters, by what the control topic says, that an event of a window
// passed: that of all, and those whose predicate holds.
func passed(spans []control.FilterSpan, e *event, start int64) []string {
	passed := []string{click.FilterAll}
	for i := range spans {
		if s := &spans[i]; start < s.From || s.Until != click.None && start >= s.Until {
			continue
		}
		for _, f := range spans[i].Filters {
			for _, p := range predicates {
				if p.where == f.Where && p.holds(e.tags) {
					passed = append(passed, f.ID)
				}
			}
		}
	}
	return passed
}

// sieve is a process whose masks go wrong.
type sieve struct {
	handle
	m mutant
	w *world
}

func (s *sieve) Append(ctx context.Context, topic string, messages []stream.Message) error {
	messages = cloneMessages(messages)
	switch topic {
	case s.w.topics.Shuffle:
		for i := range messages {
			messages[i].Value = remask(messages[i].Value, s.mask)
		}
	case s.w.topics.Partials:
		for i := range messages {
			var p click.Partial
			if err := p.Parse(messages[i].Value); err == nil {
				for j := range p.Windows {
					s.mute(&p.Windows[j])
				}
				p.Windows = slices.DeleteFunc(p.Windows, func(w click.WindowPart) bool { return w.Size == 0 })
				messages[i].Value = p.Append(nil)
			}
		}
	}
	return s.handle.Append(ctx, topic, messages)
}

// mask changes what a section says of a click; first is its first click that has a mask.
func (s *sieve) mask(sec *click.Section, first, r *click.Routed) {
	switch shared := func(h click.Share) bool { return h.Ad == string(r.Ad) }; {
	case s.m == newestFilters:
		facts := s.w.facts()
		now, _ := facts.Filters()
		r.Filters = nil
		for _, f := range now.Filters {
			r.Filters = append(r.Filters, f.ID)
		}
	case s.m == oneSet:
		r.Filters = first.Filters
	case s.m == unmaskedShares && slices.ContainsFunc(sec.Shares, shared):
		r.Mask = 0
	}
	if len(r.Filters) == 0 {
		r.Mask = 0
	}
	r.Mask &= 1<<len(r.Filters) - 1
}

// remask says the clicks of a section anew.
func remask(section []byte, change func(sec *click.Section, first, r *click.Routed)) []byte {
	sec, err := click.ParseSection(section)
	if err != nil {
		return section
	}
	old := sec.Clicks
	sec.Clicks = click.Clicks{}
	sec.Clicks.Reset(sec.Start)
	var first, r click.Routed
	for old.Next(&r) {
		if first.Mask == 0 {
			first = r
		}
		if r.Mask != 0 {
			change(&sec, &first, &r)
		}
		sec.Clicks.Add(&r)
	}
	return sec.Append(nil)
}

// mute leaves out of what a shard says of a window under a filter a row, or all.
func (s *sieve) mute(w *click.WindowPart) {
	switch {
	case w.Filter == click.FilterAll:
	case s.m == finalRowsLost && w.State == click.Final && len(w.Rows) > 0:
		w.Rows = w.Rows[1:]
	case s.m == correctsAllOnly && w.State == click.Corrected:
		*w = click.WindowPart{}
	}
}

// unmask is what a shard has left of a log whose snapshots keep no masks. Planted fault: it
// begins at the log's start, but of what it had read before it was started it sees no masks, which comes
// to the same.
func (p *proc) unmask(records []click.Record) []click.Record {
	for i := range records {
		if records[i].Offset < p.unmasked {
			records[i].Value = remask(records[i].Value, func(_ *click.Section, _, r *click.Routed) { r.Mask = 0 })
		}
	}
	return records
}

// forget readies a shard for that.
func (p *proc) forget() {
	name, ok := strings.CutPrefix(p.role.name, "shard ")
	if !ok || p.w.mutant != forgetsMasks {
		return
	}
	shard, group, _ := strings.Cut(name, " ")
	prefix := "aggregator/" + shard + "/"
	if group != "" {
		prefix = "aggregator." + group + "/" + shard + "/"
	}
	p.unmasked = p.w.log.positions["aggregator"+group+"/"+p.w.topics.Shuffle+"/"+shard].Offset
	maps.DeleteFunc(p.w.snaps, func(name string, _ []byte) bool { return strings.HasPrefix(name, prefix) })
}
