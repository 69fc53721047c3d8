package status

import (
	"encoding/hex"
	"fmt"
	"time"

	"github.com/clickagg/clickagg/aggregator"
	"github.com/clickagg/clickagg/internal/api"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/mapper"
	"github.com/clickagg/clickagg/reducer"
	"github.com/clickagg/clickagg/storage/carry"
)

// Names of the roles.
const (
	RoleMapper     = "mapper"
	RoleAggregator = "aggregator"
	RoleReducer    = "reducer"
	RoleWriter     = "writer"
	RoleRaw        = "raw"
)

// Entry is what one part says of itself: one partition of one role.
type Entry struct {
	Role      string        `json:"role"`
	Partition api.Partition `json:"partition"`
	Account   *Account      `json:"account,omitempty"` // a mapper's: what became of its source's records
	Tallies   []Tally       `json:"tallies,omitempty"` // an aggregator's: what became of each source's clicks
	Broken    string        `json:"broken,omitempty"`  // a reducer's: the source whose accounts do not add up
	Said      time.Time     `json:"-"`                 // when
}

// Account is a mapper's half of the account of a source.
type Account struct {
	Source      string           `json:"source"` // topic/partition
	Incarnation string           `json:"incarnation"`
	Received    int64            `json:"received"`
	Marks       int64            `json:"marks"`
	Late        int64            `json:"late"`
	Routed      int64            `json:"routed"`
	Rejected    map[string]int64 `json:"rejected"` // by reason
}

// Tally is one shard's half of it, with the mapper's half as the shard was told.
type Tally struct {
	Account   Account `json:"account"`
	Counted   int64   `json:"counted"`
	Duplicate int64   `json:"duplicate"`
	Conflict  int64   `json:"conflict"`
	Crowded   int64   `json:"crowded"`
	Stale     int64   `json:"stale"`
}

func newAccount(s click.Source, a *click.Account) Account {
	out := Account{
		Source: s.String(), Incarnation: hex.EncodeToString(s.ID[:]),
		Received: a.Received, Marks: a.Marks, Late: a.Late, Routed: a.Routed, Rejected: map[string]int64{},
	}
	for reason, n := range a.Rejected {
		if n > 0 {
			out.Rejected[click.Reason(reason).String()] = n
		}
	}
	return out
}

// Mapper collects what the sources of this process say.
func Mapper(m *mapper.Metrics) (out []Entry) {
	for _, v := range m.Sources() {
		p := api.Partition{
			Topic: v.Source.Topic, Partition: v.Source.Partition,
			Next: v.Next, End: v.End, Lag: v.End - v.Next, Watermark: moment(v.Watermark),
		}
		switch {
		case v.Waiting:
			p.State, p.HoldsBack = "waiting", "waits for a slower partition"
		case v.Watermark == click.None:
			p.HoldsBack = "never had a click, and clicks do not arrive live yet"
		}
		account := newAccount(v.Source, &v.Account)
		out = append(out, Entry{Role: RoleMapper, Partition: p, Account: &account})
	}
	return out
}

// Aggregator collects what the shards of this process say. Group is the standby
// group they belong to; empty is the first set.
func Aggregator(m *aggregator.Metrics, topics click.Topics, group string) (out []Entry) {
	for _, v := range m.Shards() {
		p := api.Partition{
			Topic: topics.Shuffle, Partition: v.Shard, Group: group, Next: v.Position, End: v.End, Lag: v.End - v.Position,
			Watermark: moment(v.Watermark), WindowsOpen: int64(v.Windows), IDs: v.IDs, Ads: int64(v.Ads), Unsaid: int64(v.Unsaid),
		}
		switch {
		case v.Missing > 0:
			p.HoldsBack = fmt.Sprintf("%d input partitions not heard of yet", v.Missing)
		case len(v.Sources) > 0:
			p.HoldsBack = v.HeldBy.String()
		}
		e := Entry{Role: RoleAggregator, Partition: p}
		for i := range v.Sources {
			s := &v.Sources[i]
			e.Tallies = append(e.Tallies, Tally{
				Account: newAccount(s.Source, &s.Account), Counted: s.Tally.Counted, Duplicate: s.Tally.Duplicate,
				Conflict: s.Tally.Conflict, Crowded: s.Tally.Crowded, Stale: s.Tally.Stale,
			})
		}
		out = append(out, e)
	}
	return out
}

// Reducer collects what the reducers of this process say.
func Reducer(m *reducer.Metrics, topics click.Topics) (out []Entry) {
	for _, v := range m.Reducers() {
		p := api.Partition{
			Topic: topics.Partials, Partition: v.Reducer, Next: v.Position, End: v.End, Lag: v.End - v.Position,
			Watermark: moment(v.Watermark), WindowsOpen: int64(v.Windows),
		}
		if v.Slowest >= 0 {
			p.HoldsBack = fmt.Sprintf("shard %d", v.Slowest)
		}
		e := Entry{Role: RoleReducer}
		if v.Broken != nil {
			e.Broken = v.Broken.Source.String()
			p.State = "accounting broken"
			p.HoldsBack = fmt.Sprintf("the accounts of %s do not add up at offset %d", e.Broken, v.Broken.High)
		}
		e.Partition = p
		out = append(out, e)
	}
	return out
}

// Stored collects what the parts of a role that stores what it reads say.
func Stored(role string, m *carry.Metrics) (out []Entry) {
	for _, v := range m.Partitions() {
		p := api.Partition{Topic: v.Topic, Partition: v.Partition, Next: v.Next, End: v.End, Lag: v.End - v.Next}
		if v.Fault != nil {
			p.State, p.HoldsBack = "store away", v.Fault.Error()
		}
		out = append(out, Entry{Role: role, Partition: p})
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
