package window

import "github.com/clickagg/clickagg/internal/click"

// Out is one partial to be appended to a reducer's partition of the partials
// topic, in the order of the slice.
type Out struct {
	Reducer int32
	Value   []byte
}

// outbox holds encoded partials until Out hands them over.
type outbox struct {
	bytes  []byte
	ends   []end
	out    []Out
	handed bool
}

type end struct {
	reducer int32
	at      int // where in bytes the partial ends
}

// Out returns the partials that became due by Folds since the last call. They
// are valid until the next Fold. A snapshot does not hold them: hand them on
// before one is taken.
func (s *Shard) Out() []Out {
	b := &s.outbox
	if b.handed {
		return nil
	}
	b.handed = true
	b.out = b.out[:0]
	from := 0
	for _, e := range b.ends {
		b.out = append(b.out, Out{Reducer: e.reducer, Value: b.bytes[from:e.at:e.at]})
		from = e.at
	}
	return b.out
}

// recycle empties what was handed out, and lets go of an unusually large buffer.
func (s *Shard) recycle() {
	if b := &s.outbox; b.handed {
		if cap(b.bytes) > 4*s.cfg.PartialBytes {
			b.bytes = nil
		}
		b.bytes, b.ends, b.handed = b.bytes[:0], b.ends[:0], false
	}
	s.heavy = s.heavy[:0]
	if s.taken {
		s.refused, s.taken = s.refused[:0], false
	}
}

// due tells whether something must be said now: at the pace of the clock, and
// at once when a window became final or is let go of with something unsaid. It
// goes by the log alone, or two who run one shard would speak at different positions.
func (s *Shard) due(gone int64) bool {
	if s.clock != click.None && (s.emitted == click.None || s.clock-s.emitted >= s.rules.Tick) {
		return true
	}
	closed := s.closed()
	for _, w := range s.live() {
		if int64(w.number) >= closed {
			break
		}
		if !w.final || w.changed && int64(w.number) < gone {
			return true
		}
	}
	return false
}

// draft is the partial being written, and what its parts are made of.
type draft struct {
	partial click.Partial
	sources []click.Progress
	rows    []click.Row // of all parts, one after the other
	size    int         // about how many bytes it has
	order   []keyed
	best    []uint32
	view    view // of the last filter
}

// emit says all that is news, to every reducer. Windows below gone are let go of
// after it.
func (s *Shard) emit(gone int64) {
	s.emitted = s.clock
	closed := s.closed()
	s.draft.sources = s.progress(s.draft.sources)
	for r := range s.cfg.Reducers {
		s.begin(0)
		for _, w := range s.live() {
			closing := !w.final && int64(w.number) < closed
			if click.ReducerOf(int64(w.number), s.cfg.Reducers) == r && (w.changed || closing) {
				s.say(r, w, closing)
			}
		}
		s.finish(r, gone)
	}
	s.said = s.position
	clear(s.draft.rows[:cap(s.draft.rows)]) // they keep windows from being freed
	s.draft.rows = s.draft.rows[:0]
	s.draft.view.counts = nil // likewise
}

// begin makes the draft the next chunk of an emission.
func (s *Shard) begin(chunk int32) {
	d := &s.draft
	clear(d.partial.Windows)
	d.partial = click.Partial{
		Shard: s.cfg.Shard, Shards: s.cfg.Shards, Prev: s.said, Position: s.position, Chunk: chunk, At: s.clock,
		Top: s.rules.Top, Tick: s.rules.Tick, Watermark: click.None, Closed: click.None, Windows: d.partial.Windows[:0],
	}
	d.rows, d.size = d.rows[:0], 0
}

// flush sends the draft off and begins the next.
func (s *Shard) flush(reducer int32) {
	d, b := &s.draft, &s.outbox
	b.bytes = d.partial.Append(b.bytes)
	b.ends = append(b.ends, end{reducer, len(b.bytes)})
	s.begin(d.partial.Chunk + 1)
}

// finish sends the last partial of an emission to one reducer.
func (s *Shard) finish(reducer int32, gone int64) {
	d := &s.draft
	const progressBytes = 150
	if d.size > 0 && d.size+progressBytes*len(s.sources) > s.cfg.PartialBytes {
		s.flush(reducer)
	}
	d.partial.Last, d.partial.Watermark, d.partial.Sources = true, s.watermark, d.sources
	if gone > 0 {
		d.partial.Closed = gone * s.cfg.Size
	}
	s.flush(reducer)
}

// say adds a window's news to the draft: of all clicks, and of those that passed each filter
// of which there is news.
func (s *Shard) say(reducer int32, w *window, closing bool) {
	d := &s.draft
	part := click.WindowPart{
		Filter: s.cfg.Filter, Start: int64(w.number) * s.cfg.Size, Size: s.cfg.Size,
		State: s.restate(w, closing), Revision: w.revision,
	}
	s.weigh(s.tell(reducer, w, part, &view{counts: &w.ads, clicks: w.clicks}, closing))
	for _, o := range d.order {
		w.ads.entries[o.place].changed = false
	}
	for _, place := range w.shares {
		w.ads.entries[place].changed = false
	}
	for _, filter := range w.masked.filters(closing) {
		d.view = d.view.under(&w.ads, &w.masked, filter)
		part.Filter = filter
		s.tell(reducer, w, part, &d.view, closing)
	}
	w.masked.said()
	w.changed = false
}

// tell adds to the draft what is news of a window in one view, over several partials when it is
// large; the ranked list and the shares stand in the last, which it returns.
func (s *Shard) tell(reducer int32, w *window, part click.WindowPart, v *view, closing bool) *click.WindowPart {
	d := &s.draft
	part.Clicks, part.Ads = v.clicks, int64(v.ads())
	for _, place := range w.shares {
		if v.count(place) > 0 {
			part.Ads--
		}
	}
	from := len(d.rows)
	cut := func() {
		if part.Rows = d.rows[from:]; len(part.Rows) > 0 {
			d.partial.Windows = append(d.partial.Windows, part)
		}
		if len(d.partial.Windows) > 0 {
			s.flush(reducer)
		}
		from = 0
	}
	d.order = v.news(d.order, closing)
	for _, o := range d.order {
		row := v.row(o.place)
		n := rowBytes(row)
		if d.size+n > s.cfg.PartialBytes {
			cut()
		}
		d.size += n
		d.rows = append(d.rows, row)
	}
	d.best = v.top(d.best, int(s.rules.Top))
	size := 0
	for _, list := range [...][]uint32{d.best, w.shares} {
		for _, place := range list {
			size += rowBytes(v.row(place))
		}
	}
	if d.size+size > s.cfg.PartialBytes {
		cut()
	}
	part.Rows = d.rows[from:]
	from = len(d.rows)
	for _, place := range d.best {
		d.rows = append(d.rows, v.row(place))
	}
	part.Top = d.rows[from:]
	from = len(d.rows)
	for _, place := range w.shares {
		if v.count(place) > 0 {
			d.rows = append(d.rows, v.row(place))
		}
	}
	part.Shares = d.rows[from:]
	d.size += size + 32 + len(part.Filter)
	d.partial.Windows = append(d.partial.Windows, part)
	return &d.partial.Windows[len(d.partial.Windows)-1]
}

// restate moves a window to the state it is now said in.
func (s *Shard) restate(w *window, closing bool) click.State {
	switch {
	case closing:
		w.final = true
		return click.Final
	case w.final:
		return click.Corrected
	}
	return click.Provisional
}

// rowBytes is about what a row takes in a partial, but for its digest: earlier releases had none, and
// a standby of another release must cut an emission into the same chunks.
func rowBytes(r click.Row) int { return len(r.Ad) + 8 }
