package kafka

import (
	"context"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go/protocol"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/stream"
)

// fetched is the answer to a fetch of one partition.
type fetched struct {
	code    int16
	end     int64 // the last stable offset
	aborted []aborted
	set     []byte // record batches, the last one perhaps cut short

	// Where the leader's log parts from the one that was read; nil when it does not.
	diverged *epochEnd
}

// epochEnd is a leader's epoch and the offset where its records end in a log.
type epochEnd struct {
	epoch int32
	end   int64
}

// fetch asks the leader for what lies at an offset. The broker holds the answer
// back until there is something or wait is over. The partition's topic is named
// by its id: another topic of the same name is not read by mistake. buf is used
// for the answer if it is large enough; the answer's buffer is returned.
func (l *Log) fetch(ctx context.Context, p *place, at stream.Place, wait time.Duration, size int, buf []byte) (fetched, []byte, error) {
	r := &routed{exchange{
		api: protocol.Fetch, answer: buf,
		// A broker answers with one whole batch even when it is over the size.
		maxSize: 2*fetchBytesMax + smallAnswer,
		request: p.encode(l.cfg.ClientID, at, wait, size),
		leader:  p.leader,
	}}
	ctx, cancel := context.WithTimeout(ctx, wait+l.cfg.RequestTimeout)
	defer cancel()
	if _, err := l.transport.RoundTrip(ctx, l.addr, r); err != nil {
		return fetched{}, nil, err // the buffer may still be in use
	}
	f, err := parseFetch(r.answer, p.aborted[:0])
	p.aborted = f.aborted
	return f, r.answer, err
}

// place is the partition a reader reads, and what it needs to ask for it.
type place struct {
	topic     string
	id        click.TopicID
	partition int32
	leader    func(protocol.Cluster) (protocol.Broker, error)
	aborted   []aborted
}

// encode writes a fetch request, version 13. Its bytes are new each time: see [exchange].
// The broker compares the epoch of the record before the offset with its own log: it
// does so for a consumer as for a replica, and says where the two part.
func (p *place) encode(client string, at stream.Place, wait time.Duration, size int) []byte {
	e := begin(make([]byte, 0, 160), protocol.Fetch, 13, client, true)
	e.i32(-1) // not a replica
	e.i32(int32(wait.Milliseconds()))
	e.i32(1) // byte at least
	e.i32(int32(size))
	e.i8(1)   // committed records only
	e.i32(0)  // no session
	e.i32(-1) // session epoch
	e.size(1)
	e.raw(p.id[:])
	e.size(1)
	e.i32(p.partition)
	e.i32(-1) // any leader will do
	e.i64(at.Offset)
	e.i32(at.Epoch)
	e.i64(-1) // log start: for replicas
	e.i32(int32(size))
	e.tags()
	e.tags()
	e.size(0)     // nothing forgotten
	e.compact("") // rack
	e.tags()
	return e.end()
}

func parseFetch(answer []byte, list []aborted) (f fetched, err error) {
	d := decoding{b: answer}
	d.tags()
	d.i32() // throttle
	if f.code = d.i16(); f.code != 0 {
		return f, d.err()
	}
	d.i32() // session
	f.aborted = list
	topics := d.size()
	for range topics {
		d.take(16)
		for range d.size() {
			d.i32() // partition
			f.code = d.i16()
			high, stable := d.i64(), d.i64()
			f.end = max(high, stable)
			d.i64() // log start
			for range d.size() {
				f.aborted = append(f.aborted, aborted{producer: d.i64(), first: d.i64()})
				d.tags()
			}
			d.i32() // preferred replica
			f.set = d.take(d.size())
			d.tagged(func(tag uint64, field *decoding) {
				if tag == 0 {
					f.diverged = &epochEnd{epoch: field.i32(), end: field.i64()}
				}
			})
		}
		d.tags()
	}
	if topics != 1 && !d.bad {
		return f, fmt.Errorf("%w: %d topics instead of one", errAnswer, topics)
	}
	if d.bad {
		f.set = nil
	}
	return f, d.err()
}
