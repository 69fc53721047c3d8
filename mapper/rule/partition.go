package rule

import (
	"fmt"
	"math"
	"strconv"

	"github.com/clickagg/clickagg/internal/click"
)

// sectionBytes is how large a shard's section may grow; one record of the
// shuffle topic must hold it.
const sectionBytes = 700 << 10

// Partition is the state machine over one source partition. Records go in by
// [Partition.Add], in the order of the log; [Partition.Seal] hands out what they
// came to. It belongs to one goroutine.
type Partition struct {
	cfg     Config
	source  click.Source
	decoder *decoder

	s      State // after the last record; Next is the offset expected next
	sealed State // at the last Seal
	floor  int64 // greatest watermark sealed; one sent is never taken back
	closed int64 // greatest end of a closed window sealed, likewise

	open, out []click.Section // by shard: being filled, and handed out by the last Seal
	records   int             // in the open sections' range
	bytes     int             // of the largest open section
	live      bool

	opened int64       // event times below it may be routed
	spans  click.Spans // where ads are spread; nil when none is
	wants  int64       // event time of the click that was not open
	sieves []sieve     // in the order of time
}

// NewPartition goes on where the state ends. The configuration must be valid:
// a Size and Shards of at least 1, a TimeUnit, and a Router made for Shards.
func NewPartition(cfg Config, src click.Source, s State) *Partition {
	if cfg.Size < 1 || cfg.Shards < 1 || cfg.TimeUnit < Seconds || cfg.TimeUnit > Nanos {
		panic(fmt.Sprintf("rule: windows of %d ms, %d shards, time in %v", cfg.Size, cfg.Shards, cfg.TimeUnit))
	}
	p := &Partition{
		cfg: cfg, source: src, decoder: newDecoder(&cfg), s: s, sealed: s, floor: click.None, closed: s.Closed, opened: math.MaxInt64,
		open: make([]click.Section, cfg.Shards), out: make([]click.Section, cfg.Shards),
	}
	p.begin()
	return p
}

// begin makes the open sections start at the next offset.
func (p *Partition) begin() {
	p.records, p.bytes = 0, 0
	for i := range p.open {
		p.open[i].Start = p.s.Next
		p.open[i].Shares = p.open[i].Shares[:0]
		p.open[i].Clicks.Reset(p.s.Next)
	}
}

// Add judges the next record and puts a valid click into the open section of
// its shard. It keeps no view of the record. Offsets must rise. When the verdict is
// [Unopened] nothing has happened: the record is to be added again after a call of
// [Partition.Open] for the event time that [Partition.Wants] tells.
func (p *Partition) Add(r *click.Record) Verdict {
	var c found
	v := p.judge(r, &c)
	if v.Kind != Routed {
		return v
	}
	shard, id := p.cfg.Router.Route(c.ad, c.event)
	if p.spans != nil {
		shard = p.spread(shard, id, &c)
	}
	routed := click.Routed{Offset: r.Offset, Time: c.time, ID: id, Check: click.Check(r.Value), Ad: c.ad}
	p.ask(&routed, &c)
	v.Mask = routed.Mask
	clicks := &p.open[shard].Clicks
	clicks.Add(&routed)
	p.bytes = max(p.bytes, clicks.Size())
	return v
}

// Pass is Add, but for that a valid click goes nowhere: for whoever looks only for others.
func (p *Partition) Pass(r *click.Record) Verdict {
	var c found
	return p.judge(r, &c)
}

// Take is Add, but for that a valid click goes to the caller, with views of the record, and into no section:
// for whoever keeps only some, and their bytes where he wants.
func (p *Partition) Take(r *click.Record, to *click.Routed) Verdict {
	var c found
	v := p.judge(r, &c)
	if v.Kind == Routed {
		*to = p.routed(r, &c)
		v.Mask = to.Mask
	}
	return v
}

// judge judges the next record, whose click it reads into c, and enters its verdict into the account.
func (p *Partition) judge(r *click.Record, c *found) (v Verdict) {
	if r.Value != nil {
		if v = p.decode(r, c); v.Kind != Rejected && c.time >= p.opened && c.time <= r.Append+p.cfg.MaxFuture {
			p.wants = c.time
			return Verdict{Kind: Unopened}
		}
	}
	p.reach(r.Offset)
	p.s.Next++
	p.s.Account.Received++
	p.records++
	if r.Value == nil {
		return p.count(p.mark(r))
	}
	if v.Kind == Rejected {
		return p.count(v)
	}
	if c.time > r.Append+p.cfg.MaxFuture {
		return p.count(reject(click.Ahead, p.cfg.TimeField+": "+strconv.FormatInt(c.time-r.Append, 10)+" ms ahead of the broker's append time"))
	}
	p.s.Seen = p.seenAt(r.Append)
	p.s.Closed = p.closedAt(p.s.Seen)
	late, by := p.isLate(c.time)
	p.s.Seen = max(p.s.Seen, min(c.time, r.Append))
	p.s.LastAppend = max(p.s.LastAppend, r.Append)
	p.live = p.live || r.Append-c.time <= p.cfg.Lateness
	if late {
		return p.count(Verdict{Kind: Late, LateBy: by})
	}
	p.s.Account.Routed++
	v.Kind = Routed
	return v
}

// ask notes which filters are true of the click that the decoder read last.
func (p *Partition) ask(r *click.Routed, c *found) {
	if sieve := p.sieve(c.time); sieve != nil {
		r.Filters, r.Mask = sieve.ids, sieve.mask(p.decoder, c)
	}
}

// Click reads what a record says, however it is judged: a click that came too late, or is
// of a time far ahead, as well. It is false of a record that is no click. It changes
// nothing, and what it returns has views of the record.
func (p *Partition) Click(r *click.Record) (routed click.Routed, ok bool) {
	if r.Value == nil {
		return routed, false
	}
	var c found
	if p.decode(r, &c).Kind == Rejected {
		return routed, false
	}
	return p.routed(r, &c), true
}

// routed is the click that the decoder read last, as a shard sees it.
func (p *Partition) routed(r *click.Record, c *found) click.Routed {
	_, id := p.cfg.Router.Route(c.ad, c.event)
	routed := click.Routed{Offset: r.Offset, Time: c.time, ID: id, Check: click.Check(r.Value), Ad: c.ad}
	p.ask(&routed, c)
	return routed
}

// spread returns where a click goes whose ad may be spread in its minute, and notes
// beside the clicks of that shard that it has a share.
func (p *Partition) spread(home int32, id click.ID, c *found) int32 {
	span := p.spans.Find(c.ad, c.time)
	if span == nil {
		return home
	}
	shard := p.cfg.Router.Spread(home, id, span.Shards)
	s := &p.open[shard]
	for i := range s.Shares {
		if s.Shares[i].From == span.From && s.Shares[i].Ad == string(c.ad) {
			return shard
		}
	}
	s.Shares = append(s.Shares, click.Share{Ad: string(c.ad), From: span.From, Until: span.Until})
	return shard
}

// Open lets clicks with event times before one be routed, and says where ads are
// spread in these minutes. Whoever calls it knows that nothing else will ever be said
// of them. A partition that was never told takes all times for open, and no ad for spread.
// What was added before should be sealed, or its shares may have ends that are news.
func (p *Partition) Open(before int64, spans click.Spans) { p.opened, p.spans = before, spans }

// Wants is the event time of the click that was not open yet.
func (p *Partition) Wants() int64 { return p.wants }

// reach accounts for the offsets before one that no record came from.
func (p *Partition) reach(offset int64) {
	if offset < p.s.Next {
		panic(fmt.Sprintf("rule: offset %d of %v after %d", offset, p.source, p.s.Next-1))
	}
	p.s.Account.Skipped += offset - p.s.Next
	p.s.Next = offset
}

// count enters a verdict other than Routed into the account.
func (p *Partition) count(v Verdict) Verdict {
	a := &p.s.Account
	switch v.Kind {
	case Late:
		a.Late++
	case Rejected:
		a.Rejected[v.Reason]++
	case Mark, Tombstone:
		a.Marks++
	}
	return v
}

// decode reads a record's click into c or says why it is none. A panic in the decoder
// is a defect of ours that must not cost more than this one record.
func (p *Partition) decode(r *click.Record, c *found) (v Verdict) {
	defer func() {
		if defect := recover(); defect != nil {
			v = reject(click.DecoderPanic, fmt.Sprint(defect))
		}
	}()
	var ok bool
	if *c, ok = p.decoder.decode(r.Value, r.Headers); !ok {
		v = p.decoder.fault.verdict()
	}
	return v
}

// mark judges a record without a value.
func (p *Partition) mark(r *click.Record) Verdict {
	text, ok := r.Headers.Get(click.HeaderWatermark)
	if !ok {
		return Verdict{Kind: Tombstone}
	}
	if !p.cfg.Trusted {
		return reject(click.UntrustedMark, click.HeaderWatermark+": this topic is not among watermark.trusted_topics")
	}
	t, ok := parseMark(text)
	if !ok {
		return reject(click.BadMark, click.HeaderWatermark+": not a Unix time in milliseconds of the years 2000 to 2099")
	}
	p.s.Seen = max(p.seenAt(r.Append), min(t, r.Append)+p.cfg.Delay)
	p.s.LastAppend = max(p.s.LastAppend, r.Append)
	return Verdict{Kind: Mark}
}

// parseMark reads the decimal digits of a watermark.
func parseMark(text []byte) (int64, bool) {
	if n := digits(text, 0); n == 0 || n != len(text) {
		return 0, false
	}
	t, ok := parseUnits(text, Millis)
	return t, ok && t >= earliest && t < latest
}

// seenAt is the greatest event time believed at a broker's time, when all that
// was appended before it has been read. After a silence of IdleTimeout event
// time has moved at the pace of the broker's clock, but never past it. A
// partition that had no click since its topic is live, or never, follows that
// clock itself: what it had before may be years old.
//
// Until then clicks are history, an old file perhaps, whose next part may come
// after any pause: event time moves on by no more than Lateness, which closes the
// last windows and cannot make a click late that comes in order.
//
// It never falls as the time rises, so that what an idle partition says is
// never ahead of what its next record is judged by.
func (p *Partition) seenAt(now int64) int64 {
	s := &p.s
	live := s.Live != click.None && now >= s.Live+p.cfg.IdleTimeout
	if s.Seen == click.None {
		if live {
			return now
		}
		return click.None
	}
	silence := now - s.LastAppend
	switch {
	case silence < p.cfg.IdleTimeout || now <= s.Seen:
		return s.Seen
	case !live:
		silence = min(silence, p.cfg.Lateness)
	case s.LastAppend < s.Live:
		return now
	}
	return s.Seen + min(silence, now-s.Seen)
}

// NeedsLive tells whether the verdict on a record appended at a broker's time may
// depend on whether the topic is live, and that is not known to be so.
func (p *Partition) NeedsLive(appended int64) bool {
	s := &p.s
	return s.Live == click.None && (s.Seen == click.None || appended-s.LastAppend >= p.cfg.IdleTimeout)
}

// closedAt is the end of the newest window that is closed for good when seen is the
// greatest event time believed.
func (p *Partition) closedAt(seen int64) int64 {
	if seen == click.None {
		return p.s.Closed
	}
	return max(p.s.Closed, seen-p.cfg.Delay-p.cfg.Lateness)
}

// isLate tells whether the window of an event time is closed for good, and by how many
// milliseconds.
func (p *Partition) isLate(t int64) (late bool, by int64) {
	end := t - t%p.cfg.Size + p.cfg.Size // times are after 1970: % is the floor's
	return end <= p.s.Closed, p.s.Closed - end
}

// Full tells whether the open sections are as large as they should get.
func (p *Partition) Full() bool {
	return p.records >= p.cfg.SectionClicks || p.bytes >= sectionBytes
}

// Seal closes the open sections, one per shard, empty ones included, and opens
// the next. They end at next, which may lie beyond the last record by offsets
// that hold none. The slice and all in it are valid until the next Seal.
//
// At is the broker's clock or [click.None], passed on. When everything appended before the
// broker's time idleAsOf has been read, the watermark may be one of an idle
// partition; otherwise idleAsOf is [click.None]. Every record added later must
// have an append time of at least idleAsOf. Sources is passed on.
func (p *Partition) Seal(next, at, idleAsOf int64, sources int32) []click.Section {
	p.reach(next)
	seen := p.s.Seen
	if idleAsOf != click.None {
		seen = p.seenAt(idleAsOf)
	}
	if seen != click.None {
		p.floor = max(p.floor, seen-p.cfg.Delay)
	}
	p.closed = max(p.closed, p.closedAt(seen))
	for i := range p.open {
		s := &p.open[i]
		s.Source, s.Term, s.End, s.Watermark, s.Closed = p.source, p.cfg.Term, next, p.floor, p.closed
		s.At, s.Sources, s.Rules, s.Account = at, sources, p.cfg.Rules, p.s.Account
	}
	p.open, p.out = p.out, p.open
	p.sealed = p.s
	p.begin()
	return p.out
}

// State is what to commit once the sections of the last Seal are kept: the
// state at its end. Records added since are not in it.
func (p *Partition) State() State { return p.sealed }

// HandOver is the state to commit for an owner that may judge by other rules: it
// holds to what the shards were told last. An idle partition's last watermark is
// not in [Partition.State], because the next record says the same again; by other
// rules it may say less, and the shards have let go of what was closed.
func (p *Partition) HandOver() State {
	s := p.sealed
	s.Closed = max(s.Closed, p.closed)
	return s
}

// SetLive says since which broker's time the topic is known to be live. The
// earliest time told counts. It bears on a partition that never had a click,
// from the next record and the next Seal on.
func (p *Partition) SetLive(t int64) {
	if p.s.Live == click.None || t < p.s.Live {
		p.s.Live = t
	}
}

// SawLive tells whether any click so far, since NewPartition, was live: stamped
// not more than Lateness before it was appended. One is enough to know that the
// topic's clicks follow the clock and are no old file.
func (p *Partition) SawLive() bool { return p.live }
