package sim

import (
	"errors"
	"fmt"
	"maps"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/control"
	"github.com/clickagg/clickagg/internal/stream"
)

// Result is what one history came to.
type Result struct {
	Steps, Kills, Zombies            int
	Counted, Repeats, Late, Rejected int64 // as the oracle says
	Corrected                        int64 // counts that changed after they were final
	Ruled, Refused                   int   // sources that were handed over to other rules; processes refused for theirs
	Parts                            int64 // records of what was too large for one
	Switches                         int   // spreads of hot ads that were begun or ended
	Shares                           int64 // counts of a spread ad that a shard told of
	Sets                             int   // sets of filters that held
	Filtered                         int64 // counts of an ad under a filter
	Corrections                      int   // replays and repairs that changed something
	Resumed                          int   // that another process had begun
	Slices                           int   // of clicks that were archived
	Finals                           int   // answers that a reader was told are final
}

// Add adds another history's.
func (r *Result) Add(o Result) {
	r.Steps += o.Steps
	r.Kills += o.Kills
	r.Zombies += o.Zombies
	r.Counted += o.Counted
	r.Repeats += o.Repeats
	r.Late += o.Late
	r.Rejected += o.Rejected
	r.Corrected += o.Corrected
	r.Ruled += o.Ruled
	r.Refused += o.Refused
	r.Parts += o.Parts
	r.Switches += o.Switches
	r.Shares += o.Shares
	r.Sets += o.Sets
	r.Filtered += o.Filtered
	r.Corrections += o.Corrections
	r.Resumed += o.Resumed
	r.Slices += o.Slices
	r.Finals += o.Finals
}

// Run plays one whole history and returns the first broken promise.
func Run(choose Chooser) (Result, error) { return run(choose, sound) }

func run(choose Chooser, m mutant) (Result, error) {
	weather := drawWeather(choose)
	if m == sameTerm || m == endsAnyhow {
		weather.handOvers() // one history in four has them, which is few to find these by
	}
	if m >= opensAlone && m <= ranksShares || m == unmaskedShares {
		weather.heat(choose) // nor in each an ad is hot
	}
	if m >= endsEarly {
		weather.ruled, weather.mends, weather.spoils, weather.freeze, weather.events = 0, 5_000, 100, 200, 30
		weather.archives = weather.archives || m == expiresEarly
	} else if m >= missesFilters {
		weather.sifts = 200 // nor do filters change
	}
	cfg := defaults()
	if weather.hot > 0 {
		cfg.shards += choose(2, "one shard more")
	}
	w := newWorld(choose, cfg, weather, m)
	err := w.play()
	for _, p := range w.procs {
		p.kill()
	}
	a := w.oracle()
	r := Result{
		Steps: w.steps, Kills: w.kills, Zombies: w.zombies,
		Counted: a.valid, Repeats: a.repeats, Late: a.late, Rejected: a.rejected, Refused: w.refused,
		Corrections: w.corrections, Resumed: w.resumed, Slices: w.slices, Finals: w.finals,
	}
	for _, eras := range w.eras {
		r.Ruled += max(0, len(eras)-1)
	}
	for _, partials := range w.log.topics[w.topics.Partials].partitions {
		for i := range partials {
			if p := new(click.Partial); p.Parse(partials[i].Value) == nil && !p.Last {
				r.Parts++
			}
		}
	}
	w.spread(&r)
	for k, c := range w.db.cells {
		if c.State == click.Corrected {
			r.Corrected++
		}
		if k.filter != click.FilterAll {
			r.Filtered++
		}
	}
	r.Sets = len(a.filters)
	return r, err
}

// mostSteps bounds a history: one that does not come to rest is a fault as well.
const mostSteps = 300_000

func (w *world) play() error {
	for _, r := range w.roles {
		w.start(r)
	}
	for made := 0; made < w.weather.events; {
		if w.choose(w.weather.produces, "produce now") == 0 {
			w.maker.produce()
			made++
		}
		if w.weather.oneIn(w, w.weather.pause, "nothing is produced for a while") {
			w.now += int64(w.choose(400_000, "for how long"))
		}
		if err := w.turn(); err != nil {
			return err
		}
	}
	if w.weather.mends > 0 {
		if err := w.aftermath(); err != nil {
			return err
		}
	}
	w.resting = true
	// Far enough that nothing produced so far can be held open, and every held
	// request has landed.
	for range 2 {
		w.now += w.cfg.size + longest.lateness + longest.delay + w.cfg.future + 60_000
		w.happen()
		if err := w.rest(); err != nil {
			return err
		}
		w.maker.finish()
	}
	if err := w.rest(); err != nil {
		return err
	}
	for w.finale = true; w.weather.mends > 0 && !w.mended; {
		if err := w.turn(); err != nil {
			return err
		}
	}
	return w.check()
}

// aftermath goes on after most windows were closed for good, with a click now and then.
func (w *world) aftermath() error {
	w.now += w.cfg.size + w.cfg.rules.lateness + w.cfg.rules.delay + w.cfg.future
	if w.weather.archives {
		w.now += hour // what came before is old enough
	}
	for range w.cfg.sources {
		w.maker.produce()
	}
	for range 500 + w.choose(2_000, "how long it goes on") {
		if w.choose(100, "produce now") == 0 {
			w.maker.produce()
		}
		if err := w.turn(); err != nil {
			return err
		}
	}
	return nil
}

// turn lets one thing happen.
func (w *world) turn() error {
	w.steps++
	w.happen()
	w.disturb()
	p := w.pick()
	if p == nil {
		return w.sleepOn()
	}
	p.next()
	if w.db.fault != nil {
		return w.failure("%w", w.db.fault)
	}
	if p.done {
		return w.bury(p)
	}
	if w.steps > mostSteps {
		return w.failure("liveness: the pipeline does not come to rest")
	}
	return nil
}

// bury deals with a process that ended: by a fault of ours, or killed or told to
// stop, in which case another takes its place.
func (w *world) bury(p *proc) error {
	w.forget(p)
	switch {
	case p.err == nil || p.killed || p.stopped:
	case errors.Is(p.err, stream.ErrNotOwner):
	case errors.Is(p.err, control.ErrRules):
		p.role.refuse(w)
	default:
		return w.failure("%s gave up: %w", p.role.name, p.err)
	}
	if p.role.now == p {
		w.start(p.role)
	}
	return nil
}

// pick chooses a process that can run.
func (w *world) pick() *proc {
	n := 0
	for _, p := range w.procs {
		if p.ready() {
			n++
		}
	}
	if n == 0 {
		return nil
	}
	n = w.choose(n, "who goes on")
	for _, p := range w.procs {
		if p.ready() {
			if n == 0 {
				return p
			}
			n--
		}
	}
	panic("sim: no process to pick")
}

// sleepOn moves time to when the next process wakes.
func (w *world) sleepOn() error {
	next := int64(0)
	for _, p := range w.procs {
		if next == 0 || p.due() < next {
			next = p.due()
		}
	}
	if next <= w.now {
		return w.failure("liveness: nobody can go on")
	}
	w.now = next
	return nil
}

// disturb kills, freezes and stops processes. A frozen process may be replaced
// and wake as a zombie, which lives until it is killed for good.
func (w *world) disturb() {
	if w.resting {
		return
	}
	if w.weather.oneIn(w, w.weather.kill, "somebody is killed") {
		p := w.procs[w.choose(len(w.procs), "who")]
		w.kills++
		p.kill()
		_ = w.bury(p)
	}
	if w.weather.oneIn(w, w.weather.freeze, "somebody is frozen") {
		p := w.anyone("who")
		p.frozen = w.now + int64(w.choose(20_000, "for how long"))
		if p.role.now == p && w.choose(3, "and replaced") > 0 {
			w.orphan(p)
			w.replace(p)
		}
	}
	if w.weather.oneIn(w, w.weather.moves, "a partition moves") {
		w.move()
	}
	if w.weather.oneIn(w, w.weather.term, "somebody is told to stop") {
		w.anyone("who").term()
	}
	if w.weather.oneIn(w, w.weather.pins, "an operator pins or unpins an ad") {
		w.pin()
	}
	if w.weather.oneIn(w, w.weather.sifts, "an operator sets other filters") {
		w.sift()
	}
	if w.weather.mends > 0 && w.weather.oneIn(w, w.weather.spoils, "something stored is spoilt") {
		w.damage()
	}
	if w.weather.oneIn(w, w.weather.wipe, "the snapshots are lost") {
		w.snaps = map[string][]byte{}
	}
}

// anyone picks a process, a mapper as often as any other.
func (w *world) anyone(what string) *proc {
	if w.choose(2, what+": a mapper or any") == 1 {
		return w.roles[w.choose(w.cfg.sources, what)].now
	}
	return w.procs[w.choose(len(w.procs), what)]
}

// move gives a partition to another process. The one before works on until it hears
// of that; or the partition comes back to it before it does.
func (w *world) move() {
	p := w.anyone("whose")
	if p.role.now != p {
		return
	}
	w.zombies++
	p.zombie = true
	back := w.choose(3, "and comes back") == 2
	w.later(int64(w.choose(40_000, "until it hears of it")), func() {
		switch {
		case p.done:
		case back:
			if q := p.role.now; q != p {
				p.role.now, p.zombie = p, false
				q.zombie = true
				q.term()
			}
		default:
			p.term()
		}
	})
	w.replace(p)
}

// replace starts the next owner of a partition, who may soon be told to stop, and be
// followed by one with other rules, while the one before is still there.
func (w *world) replace(p *proc) {
	w.start(p.role)
	if q := p.role.now; w.choose(2, "and the new owner is soon told to stop") == 1 {
		soon := []int{50, 500, 5_000}[w.choose(3, "or at once")]
		w.later(int64(w.choose(soon, "how soon")), func() {
			if !q.done {
				q.role.changes = w.weather.ruled > 0
				q.term()
			}
		})
	}
}

// rest runs without faults until everything is read, sent on and stored, and
// the watermark has passed what was produced.
func (w *world) rest() error {
	quiet := w.now + 30_000
	for w.now < quiet {
		if err := w.turn(); err != nil {
			return err
		}
	}
	return nil
}

// check compares the store with the oracle, cell by cell.
func (w *world) check() error {
	a := w.oracle()
	last := int64(click.None)
	counts := w.expected(&a)
	for k, want := range counts {
		got := w.db.cells[k]
		if got.Sum() != want {
			return w.failure("P1: %s at %d under %s: counted %+v, the log says %+v", k.ad, k.start, k.filter, got.Sum(), want)
		}
		if got.Count > 0 && !(click.Standing{State: got.State, Revision: got.Revision}).Ended() {
			return w.failure("liveness: %s at %d under %s is still %s, with revision %d", k.ad, k.start, k.filter, got.State, got.Revision)
		}
		last = max(last, k.start)
	}
	for k, got := range w.db.cells {
		if got.Count != 0 && counts[k].Count == 0 {
			return w.failure("P1: %s at %d under %s: counted %d, the log says none", k.ad, k.start, k.filter, got.Count)
		}
	}
	if h := w.db.held(); h.From != h.To {
		return w.failure("liveness: from %d to %d is still held", h.From, h.To)
	}
	if done, _ := w.db.until(); done < last+w.cfg.size {
		return w.failure("liveness: complete until %d, the last window ends at %d", done, last+w.cfg.size)
	}
	if err := w.checkRankings(counts); err != nil {
		return err
	}
	if w.weather.mends > 0 && w.weather.archives {
		if err := w.checkKept(); err != nil {
			return err
		}
	}
	if err := w.checkEmissions(); err != nil {
		return err
	}
	return w.checkAccount(&a)
}

// expected is what must be stored in the end: where repairs admit late clicks, with them in all
// windows that were closed when all was corrected once more.
func (w *world) expected(a *truth) map[cellKey]click.Sum {
	counts := maps.Clone(a.counts)
	for k, sum := range a.admitted {
		if w.weather.mends > 0 && w.weather.admits && k.start < w.mendedTo {
			counts[k] = sum
		}
	}
	return counts
}

// checkEmissions: who runs one shard speaks at the same positions as all others who
// do, by whatever rules and in however large records.
func (w *world) checkEmissions() error {
	type place struct {
		reducer int
		shard   int32
		prev    int64
	}
	positions := map[place]int64{}
	for reducer, partition := range w.log.topics[w.topics.Partials].partitions {
		for i := range partition {
			var p click.Partial
			if click.IsCorrection(partition[i].Value) {
				continue
			}
			if err := p.Parse(partition[i].Value); err != nil {
				return fmt.Errorf("partial at %d: %w", partition[i].Offset, err)
			}
			k := place{reducer, p.Shard, p.Prev}
			if old, ok := positions[k]; ok && old != p.Position {
				return w.failure("P3: shard %d speaks at %d and at %d after %d", p.Shard, old, p.Position, p.Prev)
			}
			positions[k] = p.Position
		}
	}
	return nil
}

// checkAccount adds up the last partials: P5, and the oracle's own accounting.
func (w *world) checkAccount(a *truth) error {
	tallies := map[int32]click.Tally{}
	accounts := map[int32]click.Account{}
	for s := range w.cfg.shards {
		p, err := w.lastPartial(int32(s))
		if err != nil {
			return err
		}
		for _, g := range p.Sources {
			t := tallies[g.Source.Partition]
			t.Counted += g.Tally.Counted
			t.Duplicate += g.Tally.Duplicate
			t.Conflict += g.Tally.Conflict
			t.Crowded += g.Tally.Crowded
			t.Stale += g.Tally.Stale
			tallies[g.Source.Partition] = t
			if old, ok := accounts[g.Source.Partition]; ok && old != g.Account {
				return w.failure("P5: the shards disagree on the account of source %d", g.Source.Partition)
			}
			accounts[g.Source.Partition] = g.Account
		}
	}
	var sum click.Account
	var tally click.Tally
	for i := range w.cfg.sources {
		acc, t := accounts[int32(i)], tallies[int32(i)]
		if !acc.Holds() || acc.Routed != t.Total() || acc.Received != int64(len(w.produced[i])) {
			return w.failure("P5: source %d: %d records, account %+v, tally %+v", i, len(w.produced[i]), acc, t)
		}
		sum.Late += acc.Late
		sum.Marks += acc.Marks
		sum.Rejected[0] += acc.RejectedTotal()
		tally.Counted += t.Counted
		tally.Duplicate += t.Duplicate + t.Conflict
	}
	if sum.Late != a.late || sum.Marks != a.marks || sum.Rejected[0] != a.rejected || tally.Counted != a.valid || tally.Duplicate != a.repeats {
		return w.failure("P5: late %d, marks %d, rejected %d, counted %d, repeats %d; the log says %+v",
			sum.Late, sum.Marks, sum.Rejected[0], tally.Counted, tally.Duplicate, *a)
	}
	return nil
}

// lastPartial is the newest thing a shard said to the first reducer.
func (w *world) lastPartial(shard int32) (*click.Partial, error) {
	var last *click.Partial
	for _, r := range w.log.topics[w.topics.Partials].partitions[0] {
		var p click.Partial
		if click.IsCorrection(r.Value) {
			continue
		}
		if err := p.Parse(r.Value); err != nil {
			return nil, fmt.Errorf("partial at %d: %w", r.Offset, err)
		}
		if p.Shard == shard && p.Last && (last == nil || p.Position > last.Position) {
			last = &p
		}
	}
	if last == nil {
		return nil, errors.New("a shard said nothing")
	}
	return last, nil
}
