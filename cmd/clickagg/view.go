package main

import (
	"context"
	"fmt"
	"time"

	"github.com/clickagg/clickagg/internal/api"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/status"
	"github.com/clickagg/clickagg/internal/stream"
)

// entries are what the parts of this process say of themselves.
func (p *process) entries() []status.Entry {
	out := status.Mapper(p.mapper)
	out = append(out, status.Aggregator(p.aggregator, p.topics, p.cfg.Aggregator.StandbyGroup)...)
	out = append(out, status.Reducer(p.reducer, p.topics)...)
	out = append(out, status.Stored(roleWriter, p.writer)...)
	out = append(out, status.Stored(roleRaw, p.raw)...)
	now := time.Now()
	for i := range out {
		out[i].Said = now
	}
	return out
}

// hotWait is how long a status waits for what is new of hot ads.
const hotWait = 2 * time.Second

// status puts together how the whole installation is.
func (p *process) status() api.Status {
	entries := p.entries()
	if p.board != nil {
		entries = append(p.board.Entries(), entries...)
	}
	st := status.Merge(time.Now(), entries, status.Installation{Parts: map[string][]stream.Partition{
		status.RoleMapper: p.inputs.partitions(), status.RoleRaw: p.inputs.partitions(), status.RoleAggregator: p.shuffle(), status.RoleReducer: p.partials(), status.RoleWriter: p.results(),
	}})
	ctx, cancel := context.WithTimeout(p.ctx, hotWait)
	defer cancel()
	st.Hot = p.hot.Ads(ctx)
	if until, err := p.store.CompleteUntil(p.ctx); err == nil && until != click.None {
		t := time.UnixMilli(until).UTC()
		st.CompleteUntil = &t
	}
	return st
}

// unready lists the roles of this process that do not do their work yet: those
// that have not been told what is theirs, and those with parts that have not done
// their first turn.
func (p *process) unready() []api.Unready {
	var out []api.Unready
	for _, r := range p.running {
		owned, told := r.owned()
		switch working := r.working(); {
		case !told:
			out = append(out, api.Unready{Part: r.name, Reason: "not told its partitions yet"})
		case working < owned:
			out = append(out, api.Unready{Part: r.name, Reason: fmt.Sprintf("%d of %d partitions are at work", working, owned)})
		}
	}
	return out
}
