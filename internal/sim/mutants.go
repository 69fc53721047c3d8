package sim

import (
	"context"
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
	shortHorizon             // windows and ids are let go of while their clicks may still come
	lastWriteWins            // the store ignores versions
	forgetsSources           // a shard does not wait for a source it has never heard of
	marksFirst               // marks are sent before the results they vouch for
	anyOrder                 // messages of one request land in any order
	restartedVersions        // versions begin anew with each process
	freeIdle                 // a silent source's watermark runs ahead of the clock
	blind                    // a mapper does not look whether its topic is live before it judges
	mutants                  // one past the last
)

var mutantNames = [mutants]string{
	"sound", "commit first", "forgets the mark", "increments", "two in flight", "short horizon", "last write wins",
	"forgets sources", "marks first", "any order", "restarted versions", "free idle", "blind",
}

func (m mutant) String() string { return mutantNames[m] }

// held is how long, in ms, a shard keeps a window and its ids open for late clicks.
func (m mutant) held(c settings) int64 {
	if m == shortHorizon {
		return 0
	}
	return c.lateness
}

// log wraps a process's log so that it breaks the rule the mutant stands for.
func (m mutant) log(h handle, w *world) stream.Log {
	switch m {
	case commitFirst, twoInFlight:
		return &hasty{handle: h, m: m}
	case forgetsMark:
		return forgetful{h}
	case increments:
		return &deltas{handle: h, sent: map[cellKey]int64{}}
	case blind:
		return unseeing{h}
	case forgetsSources, marksFirst, anyOrder, restartedVersions, freeIdle:
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

// forgetful commits the offset without the watermark.
type forgetful struct{ handle }

func (f forgetful) Commit(ctx context.Context, group, topic string, partition int32, at stream.Position) error {
	id, text, ok := strings.Cut(at.Metadata, "/")
	if s, err := rule.DecodeState(text); ok && err == nil {
		s.Seen, s.LastAppend = click.None, click.None
		at.Metadata = id + "/" + s.Encode()
	}
	return f.handle.Commit(ctx, group, topic, partition, at)
}

// unseeing finds the control topic empty.
type unseeing struct{ handle }

func (u unseeing) Bounds(ctx context.Context, topic string, partition int32) (start, end int64, err error) {
	if topic == u.p.w.topics.Control {
		return 0, 0, nil
	}
	return u.handle.Bounds(ctx, topic, partition)
}

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
			k := cellKey{string(r.Ad), r.Start}
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
			}
		})
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
