package sim

import (
	"context"
	"fmt"
	"hash/fnv"
	"slices"
	"time"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/stream"
)

// topic is one topic of the fake log.
type topic struct {
	id         click.TopicID
	partitions [][]click.Record
}

// cluster is the log all processes share. It keeps everything for ever.
type cluster struct {
	topics    map[string]*topic
	positions map[string]stream.Position
}

func newCluster() *cluster {
	return &cluster{topics: map[string]*topic{}, positions: map[string]stream.Position{}}
}

func (c *cluster) create(name string, partitions int) {
	t := &topic{partitions: make([][]click.Record, partitions)}
	copy(t.id[:], name)
	c.topics[name] = t
}

// land keeps messages now.
func (c *cluster) land(now int64, name string, messages []stream.Message) {
	t := c.topics[name]
	for _, m := range messages {
		p := m.Partition
		if p == stream.ByKey {
			h := fnv.New32a()
			_, _ = h.Write(m.Key)
			p = int32(h.Sum32() % uint32(len(t.partitions)))
		}
		log := t.partitions[p]
		t.partitions[p] = append(log, click.Record{
			Offset: int64(len(log)), Append: now, Key: m.Key, Value: m.Value, Headers: click.MakeHeaders(m.Headers),
		})
	}
}

// handle is the log as one process sees it: with its faults.
type handle struct{ p *proc }

var (
	_ stream.Log         = handle{}
	_ stream.BrokerClock = handle{}
)

// Topic implements stream.Log.
func (h handle) Topic(_ context.Context, name string) (stream.Topic, error) {
	h.p.pass()
	t, ok := h.p.w.log.topics[name]
	if !ok {
		return stream.Topic{}, stream.ErrNoTopic
	}
	return stream.Topic{Name: name, ID: t.id, Partitions: int32(len(t.partitions))}, nil
}

// Bounds implements stream.Log.
func (h handle) Bounds(_ context.Context, name string, partition int32) (start, end int64, err error) {
	h.p.pass()
	return 0, int64(len(h.p.w.log.topics[name].partitions[partition])), nil
}

// Open implements stream.Log.
func (h handle) Open(_ context.Context, name string, partition int32, at stream.Place) (stream.Reader, error) {
	h.p.pass()
	return &reader{p: h.p, name: name, log: &h.p.w.log.topics[name].partitions[partition], next: at.Offset}, nil
}

// Append implements stream.Log: messages land once, twice, in part before a
// crash, and a copy of an acknowledged request may land at any later time.
func (h handle) Append(ctx context.Context, name string, messages []stream.Message) error {
	w := h.p.w
	h.p.pass()
	if err := ctx.Err(); err != nil && w.choose(2, "append while stopping") == 1 {
		return err
	}
	kept := cloneMessages(messages)
	if name == w.topics.Control {
		h.p.wrote[string(kept[0].Value)] = true
	}
	if h.p.stopped && w.weather.oneIn(w, w.weather.gives, "the request is given up") {
		w.log.land(w.now, name, kept[:w.choose(len(kept)+1, "how much of it landed")])
		return context.DeadlineExceeded
	}
	if w.weather.oneIn(w, w.weather.cut, "the process is killed while its request lands") {
		w.log.land(w.now, name, kept[:w.choose(len(kept)+1, "how much of it landed")])
		h.p.killed = true
		h.p.pass()
	}
	w.log.land(w.now, name, kept)
	if w.weather.oneIn(w, w.weather.twice, "the answer is lost and the request repeated") {
		h.p.pass()
		w.log.land(w.now, name, kept)
	}
	if w.weather.oneIn(w, w.weather.held, "a copy of the request is held in the network") {
		w.later(int64(w.choose(60_000, "for how long")), func() { w.log.land(w.now, name, kept) })
	}
	h.p.pass() // killed after it landed, before the process knows
	h.p.heard = true
	return nil
}

// BrokerTime implements stream.BrokerClock.
func (h handle) BrokerTime(at time.Time) (time.Time, bool) {
	return time.UnixMilli(at.UnixMilli() - h.p.role.skew + h.p.ahead), h.p.w.weather.stamped && h.p.heard
}

func cloneMessages(messages []stream.Message) []stream.Message {
	out := slices.Clone(messages)
	for i := range out {
		out[i].Key = slices.Clone(out[i].Key)
		out[i].Value = slices.Clone(out[i].Value)
		out[i].Headers = slices.Clone(out[i].Headers)
	}
	return out
}

func positionKey(group, topic string, partition int32) string {
	return fmt.Sprintf("%s/%s/%d", group, topic, partition)
}

// Committed implements stream.Log.
func (h handle) Committed(_ context.Context, group, topic string, partition int32) (stream.Position, bool, error) {
	h.p.pass()
	key := positionKey(group, topic, partition)
	p, ok := h.p.w.log.positions[key]
	h.p.known[key] = p
	return p, ok, nil
}

// Commit implements stream.Log. A group's coordinator takes the owner's commits
// only, and only when no other owner has committed since this process last looked. In
// some histories it does not ask, but for the mappers': a zombie takes a position back.
func (h handle) Commit(_ context.Context, group, topic string, partition int32, at stream.Position) error {
	h.p.pass()
	w, key := h.p.w, positionKey(group, topic, partition)
	if w.guards(group) {
		if w.mutant != anyoneCommits && h.p.role.now != h.p {
			return fmt.Errorf("%s is not its owner: %w", h.p.role.name, stream.ErrNotOwner)
		}
		if w.mutant != unaware && w.mutant != anyoneCommits && h.p.known[key] != w.log.positions[key] {
			return fmt.Errorf("%s had another owner: %w", h.p.role.name, stream.ErrNotOwner)
		}
	}
	w.log.positions[key], h.p.known[key] = at, at
	if group == mapperGroup {
		w.judged(partition, at)
		h.p.role.rules = h.p.rules // the next process is started with the same, as a rule
	}
	h.p.pass()
	return nil
}

// guards tells whether the coordinator asks who commits.
func (w *world) guards(group string) bool { return group == mapperGroup || w.weather.guarded }

// Close implements stream.Log.
func (h handle) Close() error { return nil }

// reader reads one partition of the fake log in batches of any size.
type reader struct {
	p     *proc
	name  string
	log   *[]click.Record
	next  int64
	batch stream.Batch
}

// Read implements stream.Reader.
func (r *reader) Read(ctx context.Context, wait time.Duration) (*stream.Batch, error) {
	w := r.p.w
	asked := w.now
	r.p.wait(w.now+wait.Milliseconds(), func() bool { return int64(len(*r.log)) > r.next })
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	end := int64(len(*r.log))
	if r.next > end {
		return nil, stream.ErrOutOfRange
	}
	n := end - r.next
	if n > 1 {
		n -= int64(w.choose(int(n), "a batch smaller than what is there"))
	}
	records := slices.Clone((*r.log)[r.next : r.next+n])
	if n > 0 {
		asked = w.now
	}
	r.next += n
	r.batch = stream.Batch{Records: r.p.see(r.name, records), Next: r.next, End: end, Epoch: stream.NoEpoch, Asked: time.UnixMilli(asked + r.p.role.skew)}
	return &r.batch, nil
}

// Close implements stream.Reader.
func (r *reader) Close() error { return nil }
