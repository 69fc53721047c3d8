package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/stream"
)

const (
	recordsMax = 1 << 17 // of one Read: 12 MiB of views
	// A fetch waits at the broker for as long as the last Read was ready to, within
	// these: shorter is a busy loop, longer holds a connection for nothing.
	waitMin = 20 * time.Millisecond
	waitMax = 5 * time.Second
)

// reader is a [stream.Reader]. A goroutine of its own, started by the first
// Read, fetches, checks and unpacks one response while the stage works on the
// one before: two buffers, and never more, go round between them.
type reader struct {
	log   *Log
	place *place

	ctx    context.Context
	cancel context.CancelFunc

	started bool
	free    chan *response     // for the fetcher to fill
	ready   chan *response     // unbuffered: the fetcher waits with a full one
	waits   chan time.Duration // how long Read is ready to wait, the newest only

	// Of the fetcher's side.
	gone time.Time // since when the topic seems to be; zero while it does not

	// Of the stage's side.
	inHand *response
	batch  stream.Batch // what the last Read returned
	known  bool         // batch.Next and End are set
	failed error        // stays
}

// response is one buffer and what is in it.
type response struct {
	decoder
	raw   []byte
	next  int64
	end   int64 // of the log
	asked time.Time
	err   error
}

// Open starts reading a partition at a place. The topic must exist.
func (l *Log) Open(ctx context.Context, topic string, partition int32, at stream.Place) (stream.Reader, error) {
	t, err := l.Topic(ctx, topic)
	if err != nil {
		return nil, err
	}
	if partition < 0 || partition >= t.Partitions {
		return nil, noPartition(topic, partition, t.Partitions)
	}
	if at.Topic != (click.TopicID{}) && at.Topic != t.ID {
		return nil, fmt.Errorf("%s/%d: %w", topic, partition, errAnew)
	}
	if at.Offset < 0 {
		return nil, fmt.Errorf("%w: %s/%d has no offset %d", stream.ErrOutOfRange, topic, partition, at.Offset)
	}
	r := &reader{
		log:   l,
		place: &place{topic: topic, id: t.ID, partition: partition, leader: leaderOf(topic, partition)},
		free:  make(chan *response, 2),
		ready: make(chan *response),
		waits: make(chan time.Duration, 1),
		batch: stream.Batch{Next: at.Offset, Epoch: at.Epoch},
	}
	r.ctx, r.cancel = context.WithCancel(l.ctx)
	for range cap(r.free) {
		r.free <- &response{decoder: decoder{
			unpackedMax: l.cfg.UnpackedBytes, recordsMax: recordsMax, appendTime: l.cfg.RequireAppendTime(topic),
		}}
	}
	return r, nil
}

// Close ends the fetching. The last batch is not to be used any more.
func (r *reader) Close() error {
	r.cancel()
	return nil
}

// Read returns the next response with records in it, or an empty batch.
func (r *reader) Read(ctx context.Context, wait time.Duration) (*stream.Batch, error) {
	if r.failed != nil {
		return nil, r.failed
	}
	r.giveBack()
	r.say(wait)
	timer := time.NewTimer(wait)
	defer timer.Stop()
	over := timer.C
	for {
		select {
		case in := <-r.ready:
			if done := r.take(in); done || over == nil {
				return r.result()
			}
		case <-over:
			if r.known {
				return r.result()
			}
			over = nil // where the log ends must be known before it can be said
		case <-ctx.Done():
			return nil, fmt.Errorf("read %s/%d: %w", r.place.topic, r.place.partition, context.Cause(ctx))
		case <-r.ctx.Done():
			return nil, fmt.Errorf("read %s/%d: the reader is closed: %w", r.place.topic, r.place.partition, r.ctx.Err())
		}
	}
}

func (r *reader) result() (*stream.Batch, error) {
	if r.failed != nil && len(r.batch.Records) == 0 {
		return nil, r.failed
	}
	return &r.batch, nil
}

// giveBack returns the buffer of the last Read to the fetcher.
func (r *reader) giveBack() {
	r.batch.Records = nil
	if r.inHand != nil {
		r.free <- r.inHand
		r.inHand = nil
	}
}

// say tells the fetcher how long this Read waits, and starts it the first time.
func (r *reader) say(wait time.Duration) {
	select {
	case <-r.waits:
	default:
	}
	r.waits <- min(max(wait, waitMin), waitMax)
	if !r.started && r.ctx.Err() == nil {
		r.started = true
		r.log.work.Go(func() { r.fetchAll(stream.Place{Offset: r.batch.Next, Epoch: r.batch.Epoch}) })
	}
}

// take looks at a response and tells whether it answers the Read.
func (r *reader) take(in *response) bool {
	if in.err != nil && len(in.records) == 0 {
		r.failed = in.err
		return true
	}
	r.batch = stream.Batch{Records: in.records, Next: in.next, Epoch: in.epoch, End: in.end, Asked: in.asked}
	r.known = true
	r.failed = in.err // comes after the records before it
	r.inHand = in
	if len(in.records) == 0 {
		r.giveBack()
		return false
	}
	return true
}

// fetchAll fills one response after another until the reader closes or the log
// fails it.
func (r *reader) fetchAll(at stream.Place) {
	var in *response
	var wait time.Duration
	size := r.log.cfg.FetchBytes
	for {
		if in == nil {
			select {
			case in = <-r.free:
			case <-r.ctx.Done():
				return
			}
		}
		select {
		case wait = <-r.waits:
		default:
		}
		var early bool
		early, in.err = r.fill(in, at, wait, &size)
		at.Offset, at.Epoch = in.next, in.epoch
		if early {
			size = max(size/2, min(64<<10, size)) // unpacks to more than is handed out: do not fetch it twice
		}
		if in.err != nil || len(in.records) > 0 {
			select {
			case r.ready <- in:
			case <-r.ctx.Done():
				return
			}
			if in.err != nil {
				return
			}
			in = nil
			continue
		}
		// Nothing new: of use to a Read that waits now, stale to a later one.
		select {
		case r.ready <- in:
			in = nil
		default:
			if r.ctx.Err() != nil {
				return
			}
		}
	}
}

// fill fetches and decodes one response. It tries again through every fault
// that may pass; the error it returns is final.
func (r *reader) fill(in *response, at stream.Place, wait time.Duration, size *int) (early bool, err error) {
	in.next, in.epoch, in.records = at.Offset, at.Epoch, in.records[:0]
	step := fmt.Sprintf("read %s/%d at offset %d", r.place.topic, r.place.partition, at.Offset)
	var b backoff
	for {
		in.asked = time.Now()
		f, raw, err := r.log.fetch(r.ctx, r.place, at, wait, *size, in.raw)
		in.raw = raw
		if err == nil {
			err = asError(f.code)
		}
		if err == nil && f.diverged != nil {
			return false, fmt.Errorf("%s: %w", step, r.diverged(at, f.diverged))
		}
		if err == nil {
			in.end, r.gone = f.end, time.Time{}
			in.next, early, err = in.decode(f.set, at.Offset, f.aborted)
			if err != nil {
				return early, r.final(step, in.next, err)
			}
			if in.next > at.Offset || len(f.set) == 0 {
				return early, nil
			}
			if *size >= fetchBytesMax {
				return early, r.final(step, at.Offset, fmt.Errorf("%w: no whole batch in %d bytes", stream.ErrTooLarge, len(f.set)))
			}
			*size = min(*size*4, fetchBytesMax) // an old broker cuts a batch that is over the size
			continue
		}
		if err := r.judge(step, at, err); err != nil {
			return false, err
		}
		r.log.complain(b.attempt, step, err)
		if !b.wait(r.ctx) {
			return false, r.ctx.Err()
		}
	}
}

// judge turns a failed fetch into the reader's final error, or nil to try again.
func (r *reader) judge(step string, at stream.Place, err error) error {
	switch {
	case r.ctx.Err() != nil:
		return r.ctx.Err()
	case errors.Is(err, kafkago.OffsetOutOfRange):
		return r.final(step, at.Offset, r.outOfRange(at))
	case errors.Is(err, kafkago.UnknownTopicID), errors.Is(err, kafkago.InconsistentTopicID),
		errors.Is(err, kafkago.UnknownTopicOrPartition), unrouted(err):
		return r.vanished(step)
	case !transient(err):
		return fmt.Errorf("%s: %w", step, r.log.explain(r.log.denied(err, "Read", onTopic, r.place.topic)))
	}
	return nil
}

// outOfRange says what is in the log instead.
func (r *reader) outOfRange(at stream.Place) error {
	start, end, err := r.log.Bounds(r.ctx, r.place.topic, r.place.partition)
	switch {
	case err != nil:
		return stream.ErrOutOfRange
	case at.Offset >= start && at.Offset <= end:
		return fmt.Errorf("%w: the log holds %d to %d, but knows nothing of leader epoch %d, in which the record before offset %d was written: %s",
			stream.ErrOutOfRange, start, end, at.Epoch, at.Offset, otherLog)
	}
	return fmt.Errorf("%w: the log holds %d to %d, not %d: retention was faster than this reader, or the log was cut",
		stream.ErrOutOfRange, start, end, at.Offset)
}

// diverged says that the records that were read are not those the log holds now.
func (r *reader) diverged(at stream.Place, end *epochEnd) error {
	return fmt.Errorf("%w: everything before offset %d was read, the last of it from leader epoch %d; "+
		"the log that is there now has other records from offset %d on: %s",
		stream.ErrOutOfRange, at.Offset, at.Epoch, min(end.end, at.Offset), otherLog)
}

const otherLog = "the log was cut and written anew, as by an unclean leader election, or its disk was replaced by an older copy"

// errAnew is an [stream.ErrOutOfRange] that says what became of the topic.
var errAnew = fmt.Errorf("%w: the topic was deleted and made anew; what lay in it is lost", stream.ErrOutOfRange)

// goneAfter is how long a topic must seem to be gone before that is believed: a
// broker that just started, or just learnt of the topic, may know less than others.
const goneAfter = 2 * time.Second

// vanished tells whether the topic is gone for good: deleted, or another one
// under its name.
func (r *reader) vanished(step string) error {
	topics, err := r.log.metadata(r.ctx, r.place.topic)
	if err != nil || len(topics) != 1 {
		return nil
	}
	var lost error
	switch t := topics[0]; {
	case errors.Is(asError(t.code), kafkago.UnknownTopicOrPartition):
		lost = fmt.Errorf("%s: %w: it was deleted, and what lay in it is lost: %w", step, stream.ErrNoTopic, stream.ErrOutOfRange)
	case t.code == 0 && t.id != r.place.id && t.id != click.TopicID{}:
		lost = fmt.Errorf("%s: %w", step, errAnew)
	default:
		r.gone = time.Time{}
		return nil
	}
	if r.gone.IsZero() {
		r.gone = time.Now()
	}
	if time.Since(r.gone) < goneAfter {
		return nil
	}
	return lost
}

// final puts the place into an error of the decoder.
func (r *reader) final(step string, offset int64, err error) error {
	if c, ok := errors.AsType[*stream.Corrupt](err); ok {
		c.Topic, c.Partition = r.place.topic, r.place.partition
		return c
	}
	if errors.Is(err, stream.ErrCreateTime) {
		return fmt.Errorf("%s/%d at offset %d: %w: set message.timestamp.type=LogAppendTime on the topic and begin after the records written before that",
			r.place.topic, r.place.partition, offset, err)
	}
	return fmt.Errorf("%s: %w", step, err)
}
