package sim

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/control"
	"github.com/clickagg/clickagg/internal/correct"
	"github.com/clickagg/clickagg/internal/reconcile"
	"github.com/clickagg/clickagg/internal/recount"
	"github.com/clickagg/clickagg/internal/replay"
	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/mapper/rule"
	"github.com/clickagg/clickagg/storage"
)

// damage spoils something that is stored of a closed window while nobody corrects: what a
// correction is for. What readers were told before counts no more.
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
	switch w.choose(6, "how") {
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
	case 5: // as it may have been while the window was open
		c.State, c.Revision = click.Provisional, 1
	}
	w.db.cells[k] = c
}

// clicks counts from the input topics, as one process reads them.
type clicks struct{ p *proc }

// Recount implements [replay.Clicks] and [reconcile.Clicks].
func (c clicks) Recount(ctx context.Context, span recount.Range, o recount.Options, watch func(done, total int64) error, sink func(*recount.Window) error) (recount.Report, error) {
	w := c.p.w
	facts, err := control.Load(ctx, handle(c), w.topics.Control)
	if err != nil {
		return recount.Report{}, err
	}
	rules := recount.Rules{
		Judge: w.judge(w.cfg.rules), Trusted: func(string) bool { return true }, Live: facts.LiveSince,
		Late: o.Late, Gathered: o.Gathered, Witness: o.Witness, Hole: o.Hole,
		Turn: 20, // so that a history has many
	}
	for _, s := range facts.FilterSpans(span.From) {
		set, err := s.Compile()
		if err != nil {
			return recount.Report{}, err
		}
		if s.From < s.Until || s.Until == click.None {
			rules.Filters = append(rules.Filters, rule.FilterSpan{From: s.From, Until: s.Until, Set: set})
		}
	}
	forgets := w.mutant == forgetsLate && w.gathered[o.Gathered]
	w.gathered[o.Gathered] = true
	return recount.Run(ctx, []recount.Input{c.input()}, span, rules, watch, func(win *recount.Window) error {
		if forgets {
			win.Late = nil
		}
		for i := range win.Rows {
			if w.mutant == totalsOnly {
				win.Rows[i].Digest = 0
			}
		}
		return sink(win)
	})
}

func (c clicks) log() recount.Input {
	w := c.p.w
	var sources []click.Source
	for i := range w.cfg.sources {
		sources = append(sources, click.Source{Topic: input, ID: w.log.topics[input].id, Partition: int32(i)})
	}
	if w.mutant == halfRecount {
		sources = sources[1:]
	}
	return recount.FromLog(handle(c), sources, w.now)
}

// input is where operators read clicks from.
func (c clicks) input() recount.Input {
	if w := c.p.w; w.weather.archives {
		return w.kept(c.p, c.log())
	}
	return c.log()
}

// InLog implements [reconcile.Clicks].
func (c clicks) InLog(ctx context.Context, s click.Source, from, to int64, f func(*click.Record) error) (bool, error) {
	return true, c.log().Read(ctx, s, from, to, f)
}

// Restore implements [reconcile.Clicks].
func (c clicks) Restore(ctx context.Context, s click.Source, from, to int64) error {
	_, err := c.InLog(ctx, s, from, to, func(r *click.Record) error { return rawStore(c).Put(ctx, s, []click.Record{*r}) })
	return err
}

// operator replays what is closed, or reconciles and repairs it, again and again, and finishes what broke off.
type operator struct {
	p *proc
	*replay.Replayer
	*reconcile.Reconciler
}

func (w *world) mend(ctx context.Context, p *proc) error {
	publisher := &correct.Publisher{
		Log: struck{w.mutant.log(handle{p}, w), p}, Store: client{p: p}, Topics: w.topics, Reducers: int32(w.cfg.reducers), Window: w.cfg.size, Top: ranked, Pace: w.weather.pace,
		Clock: clock{p}, Metrics: correct.NewMetrics(nil), Logger: zap.NewNop(),
	}
	o := operator{
		p,
		&replay.Replayer{Clicks: clicks{p}, Control: w.topics.Control, Publisher: publisher},
		&reconcile.Reconciler{
			Store: publisher.Store, Clicks: clicks{p}, Size: w.cfg.size, Horizon: w.cfg.rules.horizon, Top: ranked, Begin: reconcile.By(publisher),
		},
	}
	for ctx.Err() == nil {
		pause := 10 * second
		if !w.resting {
			pause = time.Duration(w.choose(w.weather.mends, "until the next correction")) * time.Millisecond
		}
		if err := (clock{p}).Sleep(ctx, pause); err != nil {
			return nil
		}
		if err := o.once(ctx); err != nil && !passing(err) && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

// errHungUp: whoever wanted a correction waits for it no longer.
var errHungUp = errors.New("the operator hung up")

// struck is the log of an operator who is struck, now and then, while a correction is being said: also when all else is calm.
type struck struct {
	stream.Log
	p *proc
}

// Append implements stream.Log.
func (s struck) Append(ctx context.Context, topic string, messages []stream.Message) error {
	w := s.p.w
	if topic != w.topics.Partials || w.strikes >= w.weather.strikes || w.choose(3, "the operator is struck") < 2 {
		return s.Log.Append(ctx, topic, messages)
	}
	w.strikes++
	switch w.choose(4, "how") {
	case 0:
		s.p.die()
	case 1:
		if err := s.Log.Append(ctx, topic, messages); err != nil {
			return err
		}
		s.p.die()
	case 2:
		err := errors.Join(s.Log.Append(ctx, topic, messages), errHungUp)
		if w.mutant == givesUp {
			err = errors.Join(err, s.giveUp(ctx))
		}
		return err
	default: // another one goes on meanwhile
		s.p.frozen = w.now + int64(w.choose(40_000, "for how long"))
		if s.p.role.now == s.p {
			w.orphan(s.p)
			w.start(s.p.role)
		}
		s.p.pass()
	}
	return s.Log.Append(ctx, topic, messages)
}

// giveUp says that the correction is over. Planted fault: though it may be stored in part.
func (s struck) giveUp(ctx context.Context) error {
	facts, err := control.Load(ctx, s, s.p.w.topics.Control)
	if c, busy := facts.Correcting(); busy && err == nil {
		err = control.NoteCorrected(ctx, s, s.p.w.topics.Control, &c, "given up")
	}
	return err
}

// passing tells whether an error of a correction is one after which another is tried.
func passing(err error) bool {
	_, busy := errors.AsType[*correct.Busy](err)
	_, inexact := errors.AsType[*replay.Inexact](err)
	return busy || inexact || slices.ContainsFunc([]error{
		storage.ErrUnavailable, errHungUp, replay.ErrRange, reconcile.ErrInexact, correct.ErrNone, correct.ErrTaken,
		correct.ErrStuck, // time may pass while nobody runs
	}, func(e error) bool { return errors.Is(err, e) })
}

// once makes one correction, or finishes one.
func (o operator) once(ctx context.Context) error {
	w := o.p.w
	facts, err := control.Load(ctx, handle{o.p}, w.topics.Control)
	if err != nil {
		return err
	}
	_, busy := facts.Correcting()
	_, closed := w.db.span()
	if !busy && (closed == click.None || w.resting && !w.finale || w.mended) {
		return nil
	}
	last := w.finale // one that was begun before may have counted too early

	from, to := began-int64(w.weather.history+1)*hour, closed-closed%w.cfg.size // late clicks may have windows of their own
	if n := int((to - from) / w.cfg.size); !w.finale && n > 1 && w.choose(2, "a part of it") == 1 {
		from += int64(w.choose(n, "where it begins")) * w.cfg.size
	}
	changed, err := o.correct(ctx, from, to, busy)
	if err != nil {
		return err
	}
	if changed {
		w.corrections++
	}
	if busy {
		w.resumed++
	}
	if !busy && last {
		w.mended, w.mendedTo = true, to
	}
	return nil
}

func (o operator) correct(ctx context.Context, from, to int64, resume bool) (changed bool, err error) {
	watch := func(string, int64, int64) error { return nil }
	switch {
	case o.p.w.weather.admits:
		done, _, err := o.Repair(ctx, reconcile.Question{From: from, To: to}, "operator", resume,
			func(reconcile.Step, int64, int64) error { return nil }, func(*reconcile.Difference) error { return nil })
		return done.Counts > 0, err
	case resume:
		report, err := o.Resume(ctx, "operator", false, watch)
		return report.Counts > 0, err
	}
	report, err := o.Replayer.Run(ctx, replay.Question{From: from, To: to, By: "operator"}, watch)
	return report.Counts > 0, err
}

// released looks at what is stored when a hold has ended: all of the correction must be there. Where it
// admits late clicks, some may have come since it counted.
func (w *world) released() {
	facts, newest := w.facts(), w.db.held().Newest
	for _, r := range w.reading {
		r.may = append(r.may, w.db.sum(r.question))
	}
	all := facts.Corrections()
	at := slices.IndexFunc(all, func(c control.Correction) bool { return c.Hold.Number == newest })
	if at < 0 {
		return
	}
	a, held := w.oracle(), all[at].Hold
	keys := slices.AppendSeq(slices.Collect(maps.Keys(w.db.cells)), maps.Keys(a.counts))
	for _, k := range keys {
		if k.start < held.From || k.start >= held.To {
			continue
		}
		cell := w.db.cells[k]
		got, least, most := cell.Sum(), a.counts[k], a.admitted[k]
		if !w.weather.admits && got != least || got.Count < least.Count || got.Count > most.Count {
			w.db.broken("P2: %s at %d under %s is %+v when its correction is said to be done, the log says %+v, with late clicks %+v",
				k.ad, k.start, k.filter, got, least, most)
		}
	}
	w.releasedLists(held)
}

// releasedLists looks at the ranked lists beside them.
func (w *world) releasedLists(held click.Hold) {
	clicks := map[listKey]int64{}
	for k, c := range w.db.cells {
		if k.start >= held.From && k.start < held.To {
			clicks[listKey{k.filter, k.start}] += c.Count
		}
	}
	for k, n := range clicks {
		if list := w.db.rankings[k]; list.Clicks != n {
			w.db.broken("P2: the list of %v has %d clicks when its correction is said to be done, its counts %d", k, list.Clicks, n)
		}
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
