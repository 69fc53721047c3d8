package sim

import (
	"strconv"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/control"
)

// truth is what the raw log says, found the slow and obvious way.
type truth struct {
	counts   map[cellKey]click.Sum
	admitted map[cellKey]click.Sum // with late clicks
	valid    int64                 // distinct valid clicks
	repeats  int64
	late     int64
	rejected int64
	marks    int64
	filters  []control.FilterSpan
}

// oracle reads the input from its start, partition by partition. It knows nothing
// of shards, crashes, or the order between partitions. Since when the topic is
// live, and which filters hold when, it takes from the control topic, which is part of the log, and where a source
// was handed over to other rules from its positions.
func (w *world) oracle() truth {
	a := truth{counts: map[cellKey]click.Sum{}, admitted: map[cellKey]click.Sum{}}
	seen, met := map[string]bool{}, map[string]bool{}
	live := int64(click.None)
	for _, r := range w.log.topics[w.topics.Control].partitions[0] {
		if string(r.Key[:min(5, len(r.Key))]) == "live/" && live == click.None {
			live = r.Append
		}
	}
	facts := w.facts()
	a.filters = facts.FilterSpans(click.None)
	for p, partition := range w.log.topics[input].partitions {
		w.recount(partition, w.produced[p], w.eras[p], live, seen, met, &a)
	}
	return a
}

func (w *world) recount(partition []click.Record, produced []event, eras []era, live int64, seen, met map[string]bool, a *truth) {
	c := w.cfg
	var now rules
	mark, last, closed := int64(click.None), int64(click.None), int64(click.None)
	move := func(at int64) { // the partition was silent: its mark moved with the clock
		follows := live != click.None && at >= live+c.idle
		switch silent := at - last; {
		case mark == click.None && follows:
			mark = at
		case mark != click.None && silent >= c.idle && follows && last < live: // its clicks are from before
			mark = max(mark, at)
		case mark != click.None && silent >= c.idle && follows:
			mark = min(mark+silent, max(mark, at))
		case mark != click.None && silent >= c.idle: // history may go on after any pause
			mark = min(mark+min(silent, now.lateness), max(mark, at))
		}
		last = max(last, at)
	}
	for i := range partition {
		r, e := &partition[i], produced[i]
		era := eraOf(eras, r.Offset)
		now, closed = era.rules, max(closed, era.closed)
		switch e.kind {
		case garbage:
			a.rejected++
		case closing:
			move(r.Append)
			mark = max(mark, min(e.at, r.Append)+now.delay)
			a.marks++
		default:
			if e.at > r.Append+c.future {
				a.rejected++
				continue
			}
			move(r.Append)
			end := e.at - e.at%c.size + c.size
			if mark != click.None {
				closed = max(closed, mark-now.delay-now.lateness)
			}
			isLate := end <= closed
			mark = max(mark, min(e.at, r.Append))
			id := e.ad + "\n" + strconv.Itoa(e.id)
			if !met[id] {
				met[id] = true
				a.add(a.admitted, &e, end-c.size)
			}
			switch {
			case isLate:
				a.late++
			case seen[id]:
				a.repeats++
			default:
				seen[id] = true
				a.valid++
				a.add(a.counts, &e, end-c.size)
			}
		}
	}
}

// add counts a click of a window, under each filter that it passed.
func (a *truth) add(counts map[cellKey]click.Sum, e *event, start int64) {
	_, id := click.NewRouter(secret, 1).Route([]byte(e.ad), []byte(strconv.Itoa(e.id)))
	for _, filter := range passed(a.filters, e, start) {
		k := cellKey{filter, e.ad, start}
		sum := counts[k]
		sum.Add(click.Sum{Count: 1, Digest: id.Digest()})
		counts[k] = sum
	}
}
