package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/metadata"

	"github.com/clickagg/clickagg/internal/stream"
)

// builder turns the messages of one Append into batches. It is reused.
type builder struct {
	enc   encoder
	parts []*part // the partitions of this Append
	spare []*part
	index map[int32]*part
}

// part is what one partition is to get: batches that lie one after the other in
// bytes, of which those before sent are kept.
type part struct {
	partition int32
	messages  []int32 // positions of its messages
	bytes     []byte
	ends      []int // of the batches in bytes
	sent      int   // batches acknowledged
}

func (p *part) batch() []byte {
	start := 0
	if p.sent > 0 {
		start = p.ends[p.sent-1]
	}
	return p.bytes[start:p.ends[p.sent]]
}

func (b *builder) part(partition int32) *part {
	if p, ok := b.index[partition]; ok {
		return p
	}
	var p *part
	if n := len(b.spare); n > 0 {
		p, b.spare = b.spare[n-1], b.spare[:n-1]
	} else {
		p = new(part)
	}
	*p = part{partition: partition, messages: p.messages[:0], bytes: p.bytes[:0], ends: p.ends[:0]}
	if b.index == nil {
		b.index = make(map[int32]*part)
	}
	b.index[partition] = p
	b.parts = append(b.parts, p)
	return p
}

func (b *builder) reset() {
	b.spare = append(b.spare, b.parts...)
	b.parts = b.parts[:0]
	clear(b.index)
}

// build sorts the messages by partition and encodes them.
func (b *builder) build(messages []stream.Message, partitions int32, cfg *Config, codec Codec) error {
	for i := range messages {
		m := &messages[i]
		if n := recordSize(m, 0); n > cfg.UnpackedBytes-batchHeader {
			return fmt.Errorf("%w: message of %d bytes, a reader takes %d", stream.ErrTooLarge, n, cfg.UnpackedBytes)
		}
		p := m.Partition
		if p == stream.ByKey {
			p = keyPartition(m.Key, partitions)
		}
		if p < 0 || p >= partitions {
			return fmt.Errorf("partition %d is not one of %d", p, partitions)
		}
		q := b.part(p)
		q.messages = append(q.messages, int32(i))
	}
	now := time.Now().UnixMilli()
	for _, p := range b.parts {
		for _, i := range p.messages {
			m := &messages[i]
			if !b.enc.room(m, cfg.BatchBytes) {
				p.bytes = b.enc.seal(p.bytes, codec, now)
				p.ends = append(p.ends, len(p.bytes))
			}
			b.enc.add(m)
		}
		p.bytes = b.enc.seal(p.bytes, codec, now)
		p.ends = append(p.ends, len(p.bytes))
	}
	return nil
}

// Append writes messages to a topic. Each partition's messages become batches;
// the next batch of each goes to its broker in one request, and a partition's
// second batch only after its first is kept. See [stream.Log].
func (l *Log) Append(ctx context.Context, topic string, messages []stream.Message) error {
	if len(messages) == 0 {
		return nil
	}
	ctx, cancel := l.within(ctx)
	defer cancel()
	partitions, err := l.partitions(ctx, topic)
	if err != nil {
		return fmt.Errorf("append to %s: %w", topic, err)
	}
	b := l.builders.Get().(*builder)
	defer func() {
		b.reset()
		l.builders.Put(b)
	}()
	if err := b.build(messages, partitions, &l.cfg, l.cfg.Compression(topic)); err != nil {
		return fmt.Errorf("append to %s: %w", topic, err)
	}
	return l.send(ctx, topic, b.parts)
}

// send sends the parts' batches until all are kept.
func (l *Log) send(ctx context.Context, topic string, parts []*part) error {
	var b backoff
	step := "append to " + topic
	for {
		left := make([]*part, 0, len(parts))
		for _, p := range parts {
			if p.sent < len(p.ends) {
				left = append(left, p)
			}
		}
		if len(left) == 0 {
			return nil
		}
		err := l.attempt(ctx, func(ctx context.Context) error { return l.produce(ctx, topic, left) })
		switch {
		case err == nil:
			b.attempt = 0
			continue
		case ctx.Err() != nil:
			return l.ended(ctx, step, err)
		case !transient(err):
			return fmt.Errorf("%s: %w", step, err)
		}
		l.complain(b.attempt, step, err)
		if !b.wait(ctx) {
			return l.ended(ctx, step, err)
		}
	}
}

// partitions is how many a topic has, from the transport's cache. A topic made a
// moment ago is not in it yet.
func (l *Log) partitions(ctx context.Context, topic string) (int32, error) {
	for {
		r, err := l.transport.RoundTrip(ctx, l.addr, &metadata.Request{TopicNames: []string{topic}})
		if err == nil {
			t := r.(*metadata.Response).Topics[0]
			if len(t.Partitions) > 0 {
				return int32(len(t.Partitions)), nil
			}
			err = asError(t.ErrorCode)
		}
		if ctx.Err() != nil {
			return 0, l.ended(ctx, "look up its partitions", err)
		}
		if _, err := l.Topic(ctx, topic); err != nil {
			return 0, err
		}
		b := backoff{attempt: 2}
		b.wait(ctx)
	}
}

// produceRequest carries one batch for each part. The transport splits it: one
// request to each leader, all at once.
type produceRequest struct {
	topic  string
	client string
	parts  []*part
	wait   time.Duration
}

var _ protocol.Splitter = (*produceRequest)(nil)

// ApiKey is the number of the API.
func (r *produceRequest) ApiKey() protocol.ApiKey { return protocol.Produce }

// Split makes one request for each leader. A part without a leader is left out,
// and so fails.
func (r *produceRequest) Split(c protocol.Cluster) ([]protocol.Message, protocol.Merger, error) {
	t, ok := c.Topics[r.topic]
	if !ok {
		return nil, nil, protocol.NewErrNoTopic(r.topic)
	}
	byLeader := make(map[int32][]*part, 1)
	for _, p := range r.parts {
		leader := t.Partitions[p.partition].Leader
		if b, ok := c.Brokers[leader]; ok {
			byLeader[b.ID] = append(byLeader[b.ID], p)
		}
	}
	if len(byLeader) == 0 {
		return nil, nil, protocol.NewErrNoLeader(r.topic, r.parts[0].partition)
	}
	messages := make([]protocol.Message, 0, len(byLeader))
	for id, parts := range byLeader {
		broker := c.Brokers[id]
		messages = append(messages, &routed{exchange{
			api: protocol.Produce, request: r.encode(parts), maxSize: smallAnswer,
			leader: func(protocol.Cluster) (protocol.Broker, error) { return broker, nil },
		}})
	}
	return messages, produced{}, nil
}

// encode writes a produce request, version 7. It copies the batches: the bytes
// must outlive an Append that gives up.
func (r *produceRequest) encode(parts []*part) []byte {
	size := 64 + len(r.client) + len(r.topic)
	for _, p := range parts {
		size += 8 + len(p.batch())
	}
	e := begin(make([]byte, 0, size), protocol.Produce, 7, r.client, false)
	e.i16(-1) // no transaction
	e.i16(-1) // kept by all replicas in sync
	e.i32(int32(r.wait.Milliseconds()))
	e.i32(1)
	e.str(r.topic)
	e.i32(int32(len(parts)))
	for _, p := range parts {
		batch := p.batch()
		e.i32(p.partition)
		e.i32(int32(len(batch)))
		e.raw(batch)
	}
	return e.end()
}

// produced is the answers of all brokers.
type produced struct {
	codes  map[int32]int16 // by partition
	append int64           // latest time a broker gave a batch, Unix ms; negative where topics do not use LogAppendTime
	err    error           // of the brokers that did not answer
}

// ApiKey is the number of the API.
func (produced) ApiKey() protocol.ApiKey { return protocol.Produce }

// Merge collects the brokers' answers.
func (produced) Merge(_ []protocol.Message, results []any) (protocol.Message, error) {
	all := produced{codes: make(map[int32]int16), append: -1}
	for _, r := range results {
		m, err := protocol.Result(r)
		if err == nil {
			err = all.parse(m.(*exchange).answer)
		}
		all.err = errors.Join(all.err, err)
	}
	return all, nil
}

func (p *produced) parse(answer []byte) error {
	d := decoding{b: answer}
	for range d.count() {
		d.str()
		for range d.count() {
			partition, code := d.i32(), d.i16()
			d.i64() // base offset
			at := d.i64()
			d.i64() // log start
			if !d.bad {
				p.codes[partition] = code
				if at >= 0 && (p.append < 0 || at < p.append) { // the least of several brokers'
					p.append = at
				}
			}
		}
	}
	return d.err()
}

// told is what time a broker had, and when it was heard.
type told struct {
	at, heard time.Time
}

var _ stream.BrokerClock = (*Log)(nil)

// BrokerTime implements [stream.BrokerClock] by the append times in the answers to
// what was appended to topics with LogAppendTime: the broker's clock had passed that
// time when the answer was heard.
func (l *Log) BrokerTime(at time.Time) (time.Time, bool) {
	t := l.told.Load()
	if t == nil {
		return time.Time{}, false
	}
	return t.at.Add(at.Sub(t.heard)), true
}

// produce sends one batch of each part and moves on those that are kept. Its
// error is one that does not pass, if there is any, else one that may.
func (l *Log) produce(ctx context.Context, topic string, parts []*part) error {
	m, err := l.transport.RoundTrip(ctx, l.addr, &produceRequest{
		topic: topic, client: l.cfg.ClientID, parts: parts, wait: l.cfg.RequestTimeout / 2,
	})
	if err != nil {
		return err
	}
	all := m.(produced)
	if all.append >= 0 {
		l.told.Store(&told{at: time.UnixMilli(all.append), heard: time.Now()})
	}
	var passing, lasting error
	for _, p := range parts {
		code, ok := all.codes[p.partition]
		switch err := asError(code); {
		case !ok:
			passing = errors.Join(protocol.NewErrNoLeader(topic, p.partition), all.err)
		case err == nil:
			p.sent++
		case errors.Is(err, kafkago.MessageSizeTooLarge), errors.Is(err, kafkago.RecordListTooLarge):
			lasting = fmt.Errorf("partition %d: %w: a batch of %d bytes: raise max.message.bytes of the topic", p.partition, stream.ErrTooLarge, len(p.batch()))
		case transient(err):
			passing = fmt.Errorf("partition %d: %w", p.partition, err)
		default:
			lasting = fmt.Errorf("partition %d: %w", p.partition, l.denied(err, "Write", onTopic, topic))
		}
	}
	if lasting != nil {
		return lasting
	}
	return passing
}
