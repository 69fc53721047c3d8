package status

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/clickagg/clickagg/internal/api"
	"github.com/clickagg/clickagg/internal/stream"
)

// silentAfter is after how long without a word a part is called silent.
const silentAfter = 10 * time.Second

// Installation is what there should be.
type Installation struct {
	Parts map[string][]stream.Partition // of each role, in the order of the pipeline's topics
}

// order is the roles that it takes to count, as the pipeline has them.
var order = []string{RoleMapper, RoleAggregator, RoleReducer, RoleWriter}

// Merge draws up the status at a moment from what the parts said. Of two entries
// of one part the newer counts. A part that nobody works on is listed as such.
func Merge(now time.Time, entries []Entry, in Installation) api.Status {
	st := api.Status{At: now.UTC(), Rejected: map[string]int64{}}
	newest := map[part]*Entry{}
	for i := range entries {
		e := &entries[i]
		if old := newest[partOf(e)]; old == nil || !e.Said.Before(old.Said) {
			newest[partOf(e)] = e
		}
	}
	for _, name := range order {
		st.Roles = append(st.Roles, role(name, now, newest, in.Parts[name]))
	}
	st.HoldsBack = heldBack(st.Roles)
	// Raw records may be kept or not, and no window waits for them.
	if r := role(RoleRaw, now, newest, nil); len(r.Partitions) > 0 {
		st.Roles = append(st.Roles, role(RoleRaw, now, newest, in.Parts[RoleRaw]))
	}
	account(&st, newest)
	return st
}

// part is what an entry is about.
type part struct {
	role, topic, group string
	number             int32
}

// String is the key of the part's records in the status topic.
func (p part) String() string { return fmt.Sprintf("%s/%s/%d/%s", p.role, p.topic, p.number, p.group) }

func partOf(e *Entry) part {
	return part{e.Role, e.Partition.Topic, e.Partition.Group, e.Partition.Partition}
}

func role(name string, now time.Time, newest map[part]*Entry, wanted []stream.Partition) api.Role {
	r := api.Role{Name: name, Partitions: []api.Partition{}}
	seen := map[stream.Partition]bool{}
	for p, e := range newest {
		if p.role != name {
			continue
		}
		v := e.Partition
		if silent := now.Sub(e.Said); silent > silentAfter {
			v.State = "silent for " + silent.Round(time.Second).String()
		}
		r.Partitions = append(r.Partitions, v)
		seen[stream.Partition{Topic: p.topic, Number: p.number}] = true
	}
	for _, w := range wanted {
		if !seen[w] {
			r.Partitions = append(r.Partitions, api.Partition{
				Topic: w.Topic, Partition: w.Number, State: "nobody works on it", Next: -1, End: -1, Lag: -1,
				HoldsBack: "no " + name + " works on it",
			})
		}
	}
	slices.SortFunc(r.Partitions, func(a, b api.Partition) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Group, b.Group))
	})
	return r
}

// heldBack says what keeps the windows from closing: a role that is missing or
// silent, in the order of the pipeline, else what the slowest shard waits for.
func heldBack(roles []api.Role) string {
	for _, r := range roles {
		alive := map[stream.Partition]bool{} // by some group
		for i := range r.Partitions {
			p := &r.Partitions[i]
			key := stream.Partition{Topic: p.Topic, Number: p.Partition}
			alive[key] = alive[key] || p.Next >= 0 && !isSilent(p)
		}
		for i := range r.Partitions {
			p := &r.Partitions[i]
			if !alive[stream.Partition{Topic: p.Topic, Number: p.Partition}] {
				return fmt.Sprintf("%s %s/%d: %s", r.Name, p.Topic, p.Partition, p.State)
			}
		}
	}
	var slowest *api.Partition
	for i := range roles[1].Partitions {
		if p := &roles[1].Partitions[i]; slowest == nil || earlier(p.Watermark, slowest.Watermark) {
			slowest = p
		}
	}
	if slowest == nil {
		return ""
	}
	return slowest.HoldsBack
}

func isSilent(p *api.Partition) bool { return len(p.State) > 6 && p.State[:6] == "silent" }

// earlier orders watermarks; none is before all others.
func earlier(a, b *time.Time) bool {
	if a == nil || b == nil {
		return a == nil && b != nil
	}
	return a.Before(*b)
}

// account adds the shards' tallies to the mappers' halves. Where a shard has a
// standby, the one that is further speaks for it.
func account(st *api.Status, newest map[part]*Entry) {
	accounts := map[string]*Account{} // by source and incarnation
	shards := map[int32]*Entry{}
	broken := map[string]bool{}
	for p, e := range newest {
		switch {
		case e.Account != nil:
			further(accounts, e.Account)
		case p.role == RoleAggregator:
			if old := shards[p.number]; old == nil || e.Partition.Next > old.Partition.Next {
				shards[p.number] = e
			}
		case e.Broken != "":
			broken[e.Broken] = true
		}
	}
	tallies := map[string]Tally{}
	for _, e := range shards {
		for i := range e.Tallies {
			t := &e.Tallies[i]
			// A shard may have got further than the mapper had when it last spoke.
			further(accounts, &t.Account)
			sum := tallies[t.Account.key()]
			sum.Counted += t.Counted
			sum.Duplicate += t.Duplicate
			sum.Conflict += t.Conflict
			sum.Crowded += t.Crowded
			sum.Stale += t.Stale
			tallies[t.Account.key()] = sum
		}
	}
	for _, key := range slices.Sorted(maps.Keys(accounts)) {
		a := accounts[key]
		row := accounting(a, tallies[key])
		row.Holds = row.Holds && !broken[a.Source]
		st.Accounting = append(st.Accounting, row)
		for reason, n := range a.Rejected {
			st.Rejected[reason] += n
		}
	}
}

func (a *Account) key() string { return a.Source + " " + a.Incarnation }

func further(accounts map[string]*Account, a *Account) {
	if old := accounts[a.key()]; old == nil || a.Received > old.Received {
		accounts[a.key()] = a
	}
}

func accounting(a *Account, t Tally) api.Accounting {
	row := api.Accounting{
		Source: a.Source, Received: a.Received, Marks: a.Marks, Late: a.Late,
		Counted: t.Counted, Duplicate: t.Duplicate, Conflict: t.Conflict, Crowded: t.Crowded, Stale: t.Stale,
	}
	for _, n := range a.Rejected {
		row.Rejected += n
	}
	row.Pending = a.Routed - t.Counted - t.Duplicate - t.Conflict - t.Crowded - t.Stale
	row.Holds = row.Pending >= 0 && a.Received == a.Marks+a.Late+row.Rejected+a.Routed
	return row
}
