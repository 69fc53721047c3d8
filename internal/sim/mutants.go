package sim

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/mapper/rule"
)

// mutant is a planted fault: one safeguard taken away. The simulation must find
// each within its budget, or it proves nothing.
type mutant int

const (
	sound             mutant = iota
	commitFirst              // a position is committed before what it covers is acknowledged
	forgetsMark              // the watermark is not kept beside the committed position
	increments               // results are sent as increments, the store adds them up
	twoInFlight              // two requests of a process are under way at once
	letsGo                   // windows are let go of while their clicks may still come
	lastWriteWins            // the store ignores versions
	forgetsSources           // a shard does not wait for a source it has never heard of
	marksFirst               // marks are sent before the results they vouch for
	anyOrder                 // messages of one request land in any order
	restartedVersions        // versions begin anew with each process
	freeIdle                 // a silent source's watermark runs ahead of the clock
	blind                    // a mapper does not look whether its topic is live before it judges
	ownTick                  // a shard goes by a tick of its own
	losesPart                // a part of what a shard says at once gets lost
	ownClock                 // a mapper goes by its machine's clock
	alwaysEnded              // every position says that its owner ended in order
	endsAnyhow               // an owner that is told to stop says so whatever others may have sent
	reopens                  // what was closed is not kept beside the position
	forgetsSilence           // nor is what was closed in a silence, when an owner ends
	silentBegin              // an owner begins to send before its position says that it has
	sameTerm                 // shards do not know one owner from the next
	anyoneCommits            // the coordinator takes commits of mappers that are not the owner
	unaware                  // and of an owner that does not know that there was another one meanwhile
	opensAlone               // a mapper goes by the minutes that it opened itself
	missesSpreads            // it does not look what was said last before it opens a minute
	newestSpread             // a click goes by what holds of its ad now, whatever its minute
	bySource                 // clicks of a spread ad go to a shard by their source
	newestShare              // one shard's share is taken for the count
	ranksShares              // a share is only told when it is among the shard's best
	missesFilters            // a mapper does not look which filters were set last before it opens a minute
	newestFilters            // what a bit means is read from the filters that hold now
	oneSet                   // all masks of a section are read by the filters of its first
	unmaskedShares           // clicks of spread ads pass no filters
	forgetsMasks             // a snapshot does not keep what passed filters
	finalRowsLost            // a row of a filter is not sent when its window becomes final
	correctsAllOnly          // a correction does not reach the filters
	staleDigests             // a newer row in the store keeps an older one's digest
	endsEarly                // an operator says that a correction is done with its first change
	sameRevision             // and does not raise the revision
	totalsOnly               // a recount compares totals only
	halfRecount              // or counts one source only
	forgetsLate              // a repair that counts again has forgotten what came too late
	blindReader              // a reader does not look what is held
	givesUp                  // a correction that broke off while it was said is called over
	expiresEarly             // the raw store lets go of more than is archived
	mutants                  // one past the last
)

var mutantNames = [mutants]string{
	"sound", "commit first", "forgets the mark", "increments", "two in flight", "lets go", "last write wins",
	"forgets sources", "marks first", "any order", "restarted versions", "free idle", "blind",
	"own tick", "loses a part", "own clock", "always ended", "ends anyhow", "reopens", "forgets silence", "silent begin", "same term", "anyone commits", "unaware",
	"opens alone", "misses spreads", "newest spread", "by source", "newest share", "ranks shares",
	"misses filters", "newest filters", "one set", "unmasked shares", "forgets masks", "final rows lost", "corrects all only",
	"stale digests", "ends early", "same revision", "totals only", "half recount", "forgets late", "blind reader", "gives up", "expires early",
}

func (m mutant) String() string { return mutantNames[m] }

// log wraps a process's log so that it breaks the rule the mutant stands for.
func (m mutant) log(h handle, w *world) stream.Log {
	switch m {
	case commitFirst, twoInFlight:
		return &hasty{handle: h, m: m}
	case forgetsMark, alwaysEnded, endsAnyhow, reopens, forgetsSilence, silentBegin:
		return &forgetful{handle: h, m: m}
	case ownClock:
		return timeless{h}
	case increments:
		return &deltas{handle: h, sent: map[cellKey]int64{}}
	case newestSpread, bySource, newestShare, ranksShares:
		return &misrouter{handle: h, m: m, w: w}
	case newestFilters, oneSet, unmaskedShares, finalRowsLost, correctsAllOnly:
		return &sieve{handle: h, m: m, w: w}
	case endsEarly, sameRevision:
		return &fickle{handle: h, m: m, w: w}
	case forgetsSources, marksFirst, anyOrder, restartedVersions, freeIdle, letsGo, losesPart, sameTerm:
		return &liar{handle: h, m: m, w: w}
	}
	return h
}

// hasty says that messages are kept before they are: the commit after them
// comes first, or the next request overtakes them.
type hasty struct {
	handle
	m     mutant
	topic string
	held  []stream.Message
}

func (h *hasty) Append(ctx context.Context, topic string, messages []stream.Message) error {
	if topic == h.p.w.topics.Control {
		return h.handle.Append(ctx, topic, messages) // a mapper that does not find there what it wrote stops
	}
	if h.m == twoInFlight && h.held != nil && h.topic == topic && h.p.w.choose(2, "overtaken") == 1 {
		if err := h.handle.Append(ctx, topic, messages); err != nil {
			return err
		}
		return h.flush(ctx)
	}
	if err := h.flush(ctx); err != nil {
		return err
	}
	h.topic, h.held = topic, cloneMessages(messages)
	return nil
}

func (h *hasty) flush(ctx context.Context) error {
	if h.held == nil {
		return nil
	}
	held := h.held
	h.held = nil
	return h.handle.Append(ctx, h.topic, held)
}

func (h *hasty) Commit(ctx context.Context, group, topic string, partition int32, at stream.Position) error {
	if h.m == twoInFlight {
		if err := h.flush(ctx); err != nil {
			return err
		}
	}
	if err := h.handle.Commit(ctx, group, topic, partition, at); err != nil {
		return err
	}
	return h.flush(ctx)
}

// forgetful commits something else than it should beside the offset.
type forgetful struct {
	handle
	m     mutant
	begun bool
}

func (f *forgetful) Commit(ctx context.Context, group, topic string, partition int32, at stream.Position) error {
	begins := !f.begun
	f.begun = true
	if p := strings.SplitN(at.Metadata, "/", 5); len(p) == 5 {
		s, _ := rule.DecodeState(p[4])
		switch {
		case f.m == forgetsMark:
			s.Seen, s.LastAppend, s.Closed = click.None, click.None, click.None
		case f.m == reopens:
			s.Closed = click.None
		case f.m == forgetsSilence && s.Seen != click.None:
			s.Closed = min(s.Closed, s.Seen-f.p.rules.delay-f.p.rules.lateness)
		case f.m == silentBegin && begins:
			f.p.w.judged(partition, at)
			return nil
		case f.m == alwaysEnded, f.m == endsAnyhow && f.p.stopped:
			p[3] = "ended"
		}
		p[4] = s.Encode()
		at.Metadata = strings.Join(p, "/")
	}
	return f.handle.Commit(ctx, group, topic, partition, at)
}

// timeless does not tell what time the brokers have.
type timeless struct{ handle }

func (timeless) BrokerTime(time.Time) (time.Time, bool) { return time.Time{}, false }

// deltas sends what was added since the last result of a cell, as this process remembers it.
type deltas struct {
	handle
	sent map[cellKey]int64
}

func (d *deltas) Append(ctx context.Context, topic string, messages []stream.Message) error {
	if topic == d.p.w.topics.Results {
		messages = cloneMessages(messages)
		for i := range messages {
			r, err := click.ParseResult(messages[i].Value)
			if err != nil {
				continue
			}
			k := cellOf(&r)
			r.Count, d.sent[k] = r.Count-d.sent[k], r.Count
			messages[i].Value = r.AppendJSON(nil)
		}
	}
	return d.handle.Append(ctx, topic, messages)
}

// liar changes what is sent.
type liar struct {
	handle
	m        mutant
	w        *world
	versions int64
}

func (l *liar) Append(ctx context.Context, topic string, messages []stream.Message) error {
	messages = cloneMessages(messages)
	switch {
	case l.m == forgetsSources && topic == l.w.topics.Shuffle:
		l.sections(messages, func(s *click.Section) { s.Sources = 1 })
	case l.m == freeIdle && topic == l.w.topics.Shuffle:
		l.sections(messages, func(s *click.Section) {
			if s.Start == s.End && s.Watermark != click.None {
				s.Watermark = l.w.now + time.Minute.Milliseconds()
				s.Closed = s.Watermark - l.p.rules.lateness
			}
		})
	case l.m == letsGo && topic == l.w.topics.Shuffle:
		l.sections(messages, func(s *click.Section) { s.Closed = s.Watermark })
	case l.m == sameTerm && topic == l.w.topics.Shuffle:
		l.sections(messages, func(s *click.Section) { s.Term = 1 })
	case l.m == losesPart && topic == l.w.topics.Partials:
		for i := range messages {
			var p click.Partial
			if err := p.Parse(messages[i].Value); err == nil && !p.Last && l.w.choose(20, "it gets lost") == 19 {
				messages = append(messages[:i], messages[i+1:]...)
				break
			}
		}
	case l.m == marksFirst && topic == l.w.topics.Results:
		var marks, rest []stream.Message
		for _, m := range messages {
			if m.Value == nil {
				marks = append(marks, m)
			} else {
				rest = append(rest, m)
			}
		}
		messages = append(marks, rest...)
	case l.m == anyOrder:
		for i := len(messages) - 1; i > 0; i-- {
			j := l.w.choose(i+1, "order")
			messages[i], messages[j] = messages[j], messages[i]
		}
	case l.m == restartedVersions && topic == l.w.topics.Results:
		for i := range messages {
			if r, err := click.ParseResult(messages[i].Value); err == nil {
				l.versions++
				r.Version = l.versions
				messages[i].Value = r.AppendJSON(nil)
			}
		}
	}
	return l.handle.Append(ctx, topic, messages)
}

func (l *liar) sections(messages []stream.Message, change func(*click.Section)) {
	for i := range messages {
		if s, err := click.ParseSection(messages[i].Value); err == nil {
			change(&s)
			messages[i].Value = s.Append(nil)
		}
	}
}

// see is what a process reads of a topic. Planted fault: its shard reads another
// tick than the mapper wrote.
func (p *proc) see(topic string, records []click.Record) []click.Record {
	if topic == p.w.topics.Control {
		return p.overlook(records)
	}
	if topic == p.w.topics.Shuffle && p.unmasked > 0 {
		return p.unmask(records)
	}
	if p.w.mutant != ownTick || topic != p.w.topics.Shuffle {
		return records
	}
	if p.tick == 0 {
		p.tick = int64(200 + p.w.choose(10_000, "a tick of its own"))
	}
	for i := range records {
		if s, err := click.ParseSection(records[i].Value); err == nil {
			s.Rules.Tick = p.tick
			records[i].Value = s.Append(nil)
		}
	}
	return records
}

// overlook leaves out facts that the mutant does not see.
func (p *proc) overlook(records []click.Record) []click.Record {
	return slices.DeleteFunc(records, func(r click.Record) bool {
		kind, _, _ := strings.Cut(string(r.Key), "/")
		switch p.w.mutant {
		case blind:
			return kind == "live"
		case opensAlone:
			return kind == "open" && !p.wrote[string(r.Value)]
		case missesSpreads:
			return kind == "hot" && r.Append > p.w.now-20_000
		case missesFilters:
			return kind == "filters" && r.Append > p.w.now-20_000
		}
		return false
	})
}
