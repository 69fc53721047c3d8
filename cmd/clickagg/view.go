package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/clickagg/clickagg/aggregator"
	"github.com/clickagg/clickagg/internal/api"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/storage/writer"
)

// status puts together what the parts last said of themselves.
func (p *process) status() api.Status {
	st := api.Status{At: time.Now().UTC(), Rejected: map[string]int64{}}
	if until, err := p.store.CompleteUntil(p.ctx); err == nil {
		st.CompleteUntil = moment(until)
	}
	accounts := map[click.Source]click.Account{}
	st.Roles = []api.Role{p.mapperRole(&st, accounts), p.aggregatorRole(&st), p.reducerRole(), p.writerRole()}
	p.account(&st, accounts)
	for _, role := range st.Roles { // parts come in the order in which they started
		slices.SortFunc(role.Partitions, func(a, b api.Partition) int {
			return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
		})
	}
	return st
}

func (p *process) mapperRole(st *api.Status, accounts map[click.Source]click.Account) api.Role {
	role := api.Role{Name: "mapper"}
	for _, v := range p.mapper.Sources() {
		part := api.Partition{
			Topic: v.Source.Topic, Partition: v.Source.Partition,
			Next: v.Next, End: v.End, Lag: v.End - v.Next, Watermark: moment(v.Watermark),
		}
		switch {
		case v.Waiting:
			part.State = "waiting"
			part.HoldsBack = "waits for a slower partition"
		case v.Watermark == click.None:
			part.HoldsBack = "never had a click, and clicks do not arrive live yet"
		}
		role.Partitions = append(role.Partitions, part)
		accounts[v.Source] = v.Account
		for reason, n := range v.Account.Rejected {
			if n > 0 {
				st.Rejected[click.Reason(reason).String()] += n
			}
		}
	}
	return role
}

func (p *process) aggregatorRole(st *api.Status) api.Role {
	role := api.Role{Name: "aggregator"}
	least := int64(0)
	for i, v := range p.aggregator.Shards() {
		part := api.Partition{
			Topic: p.topics.Shuffle, Partition: v.Shard, Next: v.Position, End: v.End, Lag: v.End - v.Position,
			Watermark: moment(v.Watermark), WindowsOpen: int64(v.Windows), IDs: v.IDs, Ads: int64(v.Ads), Unsaid: int64(v.Unsaid),
		}
		switch {
		case v.Missing > 0:
			part.HoldsBack = fmt.Sprintf("%d input partitions not heard of yet", v.Missing)
		case len(v.Sources) > 0:
			part.HoldsBack = v.HeldBy.String()
		}
		if i == 0 || v.Watermark < least {
			least, st.HoldsBack = v.Watermark, part.HoldsBack
		}
		role.Partitions = append(role.Partitions, part)
	}
	return role
}

func (p *process) reducerRole() api.Role {
	role := api.Role{Name: "reducer"}
	for _, v := range p.reducer.Reducers() {
		part := api.Partition{
			Topic: p.topics.Partials, Partition: v.Reducer, Next: v.Position, End: v.End, Lag: v.End - v.Position,
			Watermark: moment(v.Watermark), WindowsOpen: int64(v.Windows),
		}
		if v.Slowest >= 0 {
			part.HoldsBack = fmt.Sprintf("shard %d", v.Slowest)
		}
		if v.Broken != nil {
			part.State = "accounting broken"
			part.HoldsBack = fmt.Sprintf("the accounts of %s do not add up at offset %d", v.Broken.Source, v.Broken.High)
		}
		role.Partitions = append(role.Partitions, part)
	}
	return role
}

func (p *process) writerRole() api.Role {
	role := api.Role{Name: "writer"}
	for _, v := range p.writer.Partitions() {
		role.Partitions = append(role.Partitions, writerPartition(v))
	}
	return role
}

func writerPartition(v *writer.View) api.Partition {
	return api.Partition{Topic: v.Topic, Partition: v.Partition, Next: v.Next, End: v.End, Lag: v.End - v.Next}
}

// account adds the shards' tallies to the mapper's half.
func (p *process) account(st *api.Status, accounts map[click.Source]click.Account) {
	tallies := tallied(accounts, p.aggregator.Shards())
	broken := map[click.Source]bool{}
	for _, v := range p.reducer.Reducers() {
		if v.Broken != nil {
			broken[v.Broken.Source] = true
		}
	}
	sources := slices.SortedFunc(maps.Keys(accounts), func(a, b click.Source) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	for _, source := range sources {
		a := accounts[source]
		row := api.NewAccounting(source, &a, tallies[source])
		row.Holds = row.Holds && !broken[source]
		st.Accounting = append(st.Accounting, row)
	}
}

// tallied adds up what the shards tallied. They may have got further than the
// mapper had when it was asked: then its half is the one they were told.
func tallied(accounts map[click.Source]click.Account, shards []*aggregator.View) map[click.Source]click.Tally {
	tallies := map[click.Source]click.Tally{}
	for _, v := range shards {
		for i := range v.Sources {
			g := &v.Sources[i]
			t := tallies[g.Source]
			t.Add(&g.Tally)
			tallies[g.Source] = t
			if a, ok := accounts[g.Source]; ok && g.Account.Received > a.Received {
				accounts[g.Source] = g.Account
			}
		}
	}
	return tallies
}

// unready lists the parts that have not done their first turn.
func (p *process) unready() []api.Unready {
	var sources int
	for _, t := range p.inputs {
		sources += int(t.Partitions)
	}
	cluster := p.facts.Cluster
	var out []api.Unready
	for _, r := range []struct {
		part        string
		ready, want int
	}{
		{"mapper", len(p.mapper.Sources()), sources},
		{"aggregator", len(p.aggregator.Shards()), int(cluster.Shards)},
		{"reducer", len(p.reducer.Reducers()), int(cluster.Reducers)},
		{"writer", len(p.writer.Partitions()), resultsPartitions + int(cluster.Reducers)},
	} {
		if r.ready < r.want {
			out = append(out, api.Unready{Part: r.part, Reason: fmt.Sprintf("%d of %d partitions are at work", r.ready, r.want)})
		}
	}
	return out
}

// moment is a time for people; nil stands for none.
func moment(ms int64) *time.Time {
	if ms == click.None {
		return nil
	}
	t := time.UnixMilli(ms).UTC()
	return &t
}
