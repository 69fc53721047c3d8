package sim

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/control"
	"github.com/clickagg/clickagg/internal/correct"
	"github.com/clickagg/clickagg/internal/recount"
	"github.com/clickagg/clickagg/internal/replay"
	"github.com/clickagg/clickagg/mapper/rule"
	"github.com/clickagg/clickagg/storage"
)

// damage spoils something that is stored of a closed window while nobody corrects: what a
// replay is for. What readers were told before counts no more.
func (w *world) damage() {
	facts := w.facts()
	_, closed := w.db.until()
	if _, busy := facts.Correcting(); busy || w.db.held() != (storage.Held{Newest: w.db.held().Newest}) {
		return
	}
	var keys []cellKey
	for k, c := range w.db.cells {
		if k.start+w.cfg.size <= closed && c.Count > 0 {
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 {
		return
	}
	slices.SortFunc(keys, cellKey.compare)
	k := keys[w.choose(len(keys), "what is spoilt")]
	w.damages++
	w.db.spoilt[k], w.answers = true, map[question]asked{}
	c := w.db.cells[k]
	switch w.choose(5, "how") {
	case 0:
		c.Count, c.Digest = 0, 0
	case 1:
		c.Count++
		c.Digest += 12345
	case 2: // as many, but other clicks
		c.Digest++
	case 3:
		list := w.db.rankings[listKey{k.filter, k.start}]
		list.Clicks++
		w.db.rankings[listKey{k.filter, k.start}] = list
	case 4:
		k.ad = "nobody's"
		if old, ok := w.db.cells[k]; ok {
			c = old // its version stays
		}
		c.Ad, c.Count, c.Digest = []byte(k.ad), 3, 17
		w.db.spoilt[k] = true
	}
	w.db.cells[k] = c
}

// clicks counts from the input topics, as one process reads them.
type clicks struct{ p *proc }

// Recount implements [replay.Clicks].
func (c clicks) Recount(ctx context.Context, span recount.Range, _ recount.Options, watch func(done, total int64) error, sink func(*recount.Window) error) (recount.Report, error) {
	w, log := c.p.w, handle{c.p}
	facts, err := control.Load(ctx, log, w.topics.Control)
	if err != nil {
		return recount.Report{}, err
	}
	rules := recount.Rules{Judge: w.judge(w.cfg.rules), Trusted: func(string) bool { return true }, Live: facts.LiveSince}
	for _, s := range facts.FilterSpans(span.From) {
		set, err := s.Compile()
		if err != nil {
			return recount.Report{}, err
		}
		if s.From < s.Until || s.Until == click.None {
			rules.Filters = append(rules.Filters, rule.FilterSpan{From: s.From, Until: s.Until, Set: set})
		}
	}
	var sources []click.Source
	for i := range w.cfg.sources {
		sources = append(sources, click.Source{Topic: input, ID: w.log.topics[input].id, Partition: int32(i)})
	}
	if w.mutant == halfRecount {
		sources = sources[1:]
	}
	inputs := []recount.Input{recount.FromLog(log, sources, w.now)}
	return recount.Run(ctx, inputs, span, rules, watch, func(win *recount.Window) error {
		for i := range win.Rows {
			if w.mutant == totalsOnly {
				win.Rows[i].Digest = 0
			}
		}
		return sink(win)
	})
}

// replay is an operator who replays what is closed, again and again, and finishes what broke off.
func (w *world) replay(ctx context.Context, p *proc) error {
	r := &replay.Replayer{
		Clicks: clicks{p}, Control: w.topics.Control, Size: w.cfg.size, Top: ranked,
		Publisher: &correct.Publisher{
			Log: w.mutant.log(handle{p}, w), Store: w.mutant.store(client{p: p}), Topics: w.topics, Reducers: int32(w.cfg.reducers), Pace: 1000,
			Clock: clock{p}, Metrics: correct.NewMetrics(nil), Logger: zap.NewNop(),
		},
	}
	for ctx.Err() == nil {
		pause := 10 * second
		if !w.resting {
			pause = time.Duration(w.choose(w.weather.replays, "until the next replay")) * time.Millisecond
		}
		if err := (clock{p}).Sleep(ctx, pause); err != nil {
			return nil
		}
		if err := w.replayOnce(ctx, p, r); err != nil && !passing(err) && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

// passing tells whether an error of a replay is one after which another is tried.
func passing(err error) bool {
	_, busy := errors.AsType[*correct.Busy](err)
	_, inexact := errors.AsType[*replay.Inexact](err)
	return busy || inexact || errors.Is(err, storage.ErrUnavailable) || errors.Is(err, replay.ErrRange) ||
		errors.Is(err, correct.ErrTaken) || errors.Is(err, correct.ErrStuck) // time may pass while nobody runs
}

func (w *world) replayOnce(ctx context.Context, p *proc, r *replay.Replayer) error {
	facts, err := control.Load(ctx, handle{p}, w.topics.Control)
	if err != nil {
		return err
	}
	watch := func(string, int64, int64) error { return nil }
	if _, busy := facts.Correcting(); busy {
		_, err := r.Resume(ctx, "operator", false, watch)
		return err
	}
	first, closed := w.db.span()
	if closed == click.None || w.resting && !w.finale || w.replayed {
		return nil
	}
	from, to := first-w.cfg.size, closed-closed%w.cfg.size
	if !w.finale {
		if n := int(max(0, to-from) / w.cfg.size); n > 1 && w.choose(2, "a part of it") == 1 {
			from += int64(w.choose(n, "where it begins")) * w.cfg.size
		}
	}
	report, err := r.Run(ctx, replay.Question{From: max(0, from), To: to, By: "operator"}, watch)
	if err == nil && report.Number > 0 {
		w.replays++
	}
	if err == nil && w.finale {
		w.replayed = true
	}
	return err
}

// released looks at what is stored when a hold has ended: all of the correction must be there.
func (w *world) released() {
	facts := w.facts()
	for _, c := range slices.Backward(facts.Corrections()) {
		if c.Hold.Number != w.db.held().Newest {
			continue
		}
		a := w.oracle()
		for k, got := range w.db.cells {
			if k.start >= c.Hold.From && k.start < c.Hold.To && got.Sum() != a.counts[k] {
				w.db.broken("P2: %s at %d under %s is %+v when its correction is said to be done, the log says %+v", k.ad, k.start, k.filter, got.Sum(), a.counts[k])
			}
		}
		for k, want := range a.counts {
			if _, ok := w.db.cells[k]; !ok && k.start >= c.Hold.From && k.start < c.Hold.To {
				w.db.broken("P2: %s at %d under %s is missing when its correction is said to be done, the log says %+v", k.ad, k.start, k.filter, want)
			}
		}
		break
	}
	for _, r := range w.reading {
		r.may = append(r.may, w.db.sum(r.question))
	}
}

// question is one that a reader asks.
type question struct {
	ad       string
	from, to int64
}

// asked is what a reader was told, and called final.
type asked struct{ clicks, revision int64 }

// reading is a question that is being answered.
type reading struct {
	question
	may []int64 // answers that are right: what was stored while nothing was held
}

// span is the start of the first window and the time until which windows are closed.
func (d *database) span() (first, closed int64) {
	first = math.MaxInt64
	for k := range d.cells {
		first = min(first, k.start)
	}
	_, closed = d.until()
	return first, closed
}

// sum is the answer to a question as things stand.
func (d *database) sum(q question) (clicks int64) {
	for k, c := range d.cells {
		if k.filter == click.FilterAll && k.ad == q.ad && k.start >= q.from && k.start < q.to {
			clicks += c.Count
		}
	}
	return clicks
}

func (q question) String() string { return fmt.Sprintf("%s from %d to %d", q.ad, q.from, q.to) }
