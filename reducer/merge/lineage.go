package merge

import "github.com/clickagg/clickagg/internal/click"

// trace adds the lineage of a window of which a ranking, final or corrected, was
// just sent: one for all its filters, which come one after the other. Correction is the number
// of the hold under which that was, or 0.
func (r *Reducer) trace(start, size int64, state click.State, correction int64) {
	l := click.Lineage{
		Start: start, Size: size, State: state, Version: r.position, Correction: correction,
		Reducer: r.cfg.Reducer, Reducers: r.cfg.Reducers,
	}
	if n := len(r.out.Lineages); n > 0 && r.out.Lineages[n-1].Version == r.position {
		last := &r.out.Lineages[n-1]
		if last.Start == start && last.Size == size {
			return
		}
		l.Shards, l.Sources = last.Shards, last.Sources // of the same moment
	} else {
		l.Shards, l.Sources = r.positions(), r.origins()
	}
	r.out.Lineages = append(r.out.Lineages, l)
}

func (r *Reducer) positions() []int64 {
	positions := make([]int64, len(r.shards))
	for i := range r.shards {
		positions[i] = r.shards[i].said
	}
	return positions
}

func (r *Reducer) origins() []click.Origin {
	origins := make([]click.Origin, len(r.sources))
	for i, s := range r.sources {
		origins[i] = click.Origin{
			Source: s.name, Heard: s.heard(len(r.shards)),
			Settled: s.agreed.High, Account: s.agreed.Account, Tally: s.agreed.Tally,
		}
	}
	return origins
}

// heard is the offset before which all shards have everything.
func (s *source) heard(shards int) int64 {
	if len(s.seats) < shards {
		return 0
	}
	least := s.high
	for i := range s.seats {
		least = min(least, s.seats[i].high)
	}
	return least
}
