package merge

import (
	"fmt"

	"github.com/clickagg/clickagg/internal/click"
)

// Config says which reducer this is. By which rules it merges stands in the partials.
type Config struct {
	Reducer, Reducers int32 // this reducer, from 0, and how many there are
}

// Reducer is the state of one reducer. It is used by one goroutine.
type Reducer struct {
	cfg       Config
	position  int64 // the next offset of the partials partition
	watermark int64 // merged; None until every shard has one
	gone      int64 // windows that end at or before it are let go of; never falls; None before any
	clock     int64 // greatest At of the partials; None before the first
	emitted   int64 // clock when provisional rankings last left; None before
	shards    []shard
	sources   []*source // in the order of compareSources
	windows   []*window // in the order of key.compare
	unranked  int64
	hold      click.Hold // the newest; number 0 before any
	passed    int64
	broken    *Broken

	top, tick int64 // of the partial being folded

	out   Output
	taken bool        // out was handed out: the next Fold begins a new one
	rows  []click.Row // what the rankings of out hold
	ads   []byte      // the bytes their ads are views of
	heads []head      // scratch of rank
	sums  []click.Row // scratch of rankShared
}

// shard is how far one shard is.
type shard struct {
	said      int64 // its position up to which all that it said is here; 0 when it was never heard
	watermark int64
	closed    int64 // it says nothing more of windows that end at or before it
	// An emission of which not all is here goes from prev to position, and its chunks
	// below next are here. It is none when next is 0.
	prev, position int64
	next           int32
}

// follows tells whether a chunk is the next of the emission that has begun, the
// first of one, or one that was heard. Who restarts says an emission again from its
// first chunk, and two who run one shard say each chunk twice, in any mixture; but
// each of them says a chunk only after all before it.
func (s *shard) follows(p *click.Partial) bool {
	return p.Chunk == 0 || s.begun(p) && p.Chunk <= s.next
}

func (s *shard) begun(p *click.Partial) bool {
	return s.next > 0 && s.prev == p.Prev && s.position == p.Position
}

// hear notes that a chunk is here.
func (s *shard) hear(p *click.Partial) {
	if !s.begun(p) {
		s.prev, s.position, s.next = p.Prev, p.Position, 0
	}
	s.next = max(s.next, p.Chunk+1)
	if p.Last {
		s.said, s.watermark = p.Position, p.Watermark
		s.closed = max(s.closed, p.Closed)
		s.prev, s.position, s.next = 0, 0, 0
	}
}

// Output is what became due.
type Output struct {
	Results   []click.Result  // in the order they were said
	Rankings  []click.Ranking // at most one per window, filter and partial
	Lineages  []click.Lineage // of the windows with a ranking here that is not provisional, one per window and partial
	Holds     []click.Hold    // that began or ended, in their order; before Results of theirs, or after
	Watermark int64           // every window that ends at or before it is final; None while unknown
	Advanced  bool            // Watermark rose
	Closed    int64           // nothing more comes of windows that end at or before it; None while unknown
}

// Gap is the error of a proven loss: a shard speaks of what is news since its
// position Got, but was only heard up to Want; or, where the two are the same, chunks
// before this one are missing. What it said between is gone, so what follows would be
// merged over wrong counts.
type Gap struct {
	Shard     int32
	Want, Got int64
	Chunk     int32
}

func (g *Gap) Error() string {
	what := fmt.Sprintf("says what is news since its position %d, but was heard up to %d only", g.Got, g.Want)
	if g.Got == g.Want {
		what = fmt.Sprintf("says part %d of what is news since its position %d, but not the part before it", g.Chunk, g.Got)
	}
	return fmt.Sprintf("shard %d %s: the log has lost what lies between; "+
		"counting on would give wrong results, so recount from the raw clicks", g.Shard, what)
}

// New makes the reducer that has read nothing: its position is 0.
func New(cfg Config) *Reducer {
	return &Reducer{cfg: cfg, watermark: click.None, gone: click.None, clock: click.None, emitted: click.None, taken: true}
}

// Position is the offset of the partials partition to fold next.
func (r *Reducer) Position() int64 { return r.position }

// Fold takes one record of the partials partition. Offsets rise; some may be
// missing, as control records are. It copies what it keeps of p, but the ads of
// [Output.Results] are views into the record p was parsed from. A shard's
// partial that was taken before is passed over: it is a repeat, or the same
// words from a hot standby.
//
// An error is a [Gap], or it wraps [click.ErrWire] when no shard can have
// written the partial, or says that the number of shards changed. It changes
// nothing, and the reducer cannot go on.
func (r *Reducer) Fold(offset int64, p *click.Partial) error {
	if err := r.check(p); err != nil {
		return err
	}
	r.step(offset)
	if r.shards == nil {
		r.shards = make([]shard, p.Shards)
		for i := range r.shards {
			r.shards[i].watermark, r.shards[i].closed = click.None, click.None
		}
	}
	s := &r.shards[p.Shard]
	if p.Position <= s.said {
		return nil
	}
	r.clock = max(r.clock, p.At)
	r.top, r.tick = p.Top, p.Tick
	for i := range p.Windows {
		r.take(p.Shard, &p.Windows[i])
	}
	s.hear(p)
	if p.Last {
		for i := range p.Sources {
			r.account(p.Shard, &p.Sources[i])
		}
		r.advance()
	}
	r.emit()
	return nil
}

// step moves on behind a record.
func (r *Reducer) step(offset int64) {
	if offset < r.position {
		panic(fmt.Sprintf("merge: offset %d was folded before, position is %d", offset, r.position))
	}
	if r.taken {
		r.begin()
	}
	r.position = offset + 1
}

// check refuses a partial that cannot be taken, before anything is changed.
func (r *Reducer) check(p *click.Partial) error {
	if p.Shard < 0 || p.Shard >= p.Shards || p.Position <= p.Prev {
		return fmt.Errorf("partial %d of shard %d of %d: %w", p.Position, p.Shard, p.Shards, click.ErrWire)
	}
	if r.shards != nil && len(r.shards) != int(p.Shards) {
		return fmt.Errorf("partial %d of shard %d: it speaks of %d shards, earlier ones of %d; "+
			"the number of shards cannot change: set aggregator.shards back", p.Position, p.Shard, p.Shards, len(r.shards))
	}
	var s shard
	if r.shards != nil {
		s = r.shards[p.Shard]
	}
	switch {
	case p.Prev > s.said:
		return &Gap{Shard: p.Shard, Want: s.said, Got: p.Prev, Chunk: p.Chunk}
	case p.Position > s.said && !s.follows(p):
		return &Gap{Shard: p.Shard, Want: p.Prev, Got: p.Prev, Chunk: p.Chunk}
	}
	for i := range p.Windows {
		w := &p.Windows[i]
		if !(key{start: w.Start, size: w.Size}).valid() || !ordered(w.Top) || !sorted(w.Shares) {
			return fmt.Errorf("partial %d of shard %d: window %d: %w", p.Position, p.Shard, w.Start, click.ErrWire)
		}
	}
	return nil
}

// take folds what a shard says of one window. An ad that is not spread lives in one
// shard, so the shard's count of it is the result.
func (r *Reducer) take(shard int32, w *click.WindowPart) {
	for i := range w.Rows {
		r.out.Results = append(r.out.Results, click.Result{
			Ad: w.Rows[i].Ad, Start: w.Start, Size: w.Size, Filter: w.Filter,
			Count: w.Rows[i].Count, Digest: w.Rows[i].Digest, Revision: w.Revision, State: w.State, Version: r.position,
		})
	}
	if len(w.Top) == 0 && len(w.Shares) == 0 {
		return // rows that did not fit beside the list, which follows; or a window without clicks
	}
	if k := (key{start: w.Start, size: w.Size, filter: w.Filter}); k.end() > r.gone {
		r.window(k).take(shard, w)
	} else {
		// Its lists were let go. A ranking of this shard's alone would be wrong, so
		// there is none; a shard that keeps its word never comes here.
		r.unranked++
	}
}

// advance raises the watermark to the least of all shards', and lets go of what
// all of them have let go of. A shard may fall back, when a source is added; what
// was called final stays so.
func (r *Reducer) advance() {
	least, closed := r.shards[0].watermark, r.shards[0].closed
	for i := range r.shards {
		least, closed = min(least, r.shards[i].watermark), min(closed, r.shards[i].closed) // None is the least of all
	}
	if least > r.watermark {
		r.watermark = least
		r.out.Advanced = true
	}
	r.gone = max(r.gone, min(closed, r.watermark)) // none that is not final
}

// Out returns what became due in the calls of Fold since the last Out. It is
// valid until the next Fold or Out, and only as long as the folded records'
// bytes are. When it has been pushed, the state may be kept as a snapshot.
func (r *Reducer) Out() *Output {
	if r.taken {
		r.begin()
	}
	r.taken = true
	r.out.Watermark, r.out.Closed = r.watermark, r.gone
	return &r.out
}

// begin empties the output and keeps its memory.
func (r *Reducer) begin() {
	clear(r.out.Results) // they hold on to records
	clear(r.out.Lineages)
	r.out = Output{Results: r.out.Results[:0], Rankings: r.out.Rankings[:0], Lineages: r.out.Lineages[:0], Holds: r.out.Holds[:0]}
	r.rows, r.ads = r.rows[:0], r.ads[:0]
	r.taken = false
}

// pending tells whether something became due that Out has not handed out.
func (r *Reducer) pending() bool {
	return !r.taken && (len(r.out.Results) > 0 || len(r.out.Rankings) > 0 || len(r.out.Holds) > 0 || r.out.Advanced)
}
