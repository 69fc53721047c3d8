package embedded

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// listener hands out connections that are looked at on both sides: requests, so
// that no client can end the process, and answers to fetches, so that records
// leave with their append time.
type listener struct {
	net.Listener
	advertise net.Addr
	name      func(id [16]byte) (string, error) // of a topic, empty when there is none
	durable   *durable                          // nil when nothing waits for the disk
}

// Addr is the address clients are told.
func (l *listener) Addr() net.Addr { return l.advertise }

// Accept waits for a connection.
func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &conn{Conn: c, of: l, asked: make(chan asked, 8)}, nil
}

// requestMax is the size of the largest request, as in Kafka.
const requestMax = 100 << 20

// asked is a request whose answer is of interest.
type asked struct {
	correlation uint32
	api         kmsg.Key
	version     int16
}

// conn is a connection. The engine reads requests on one goroutine and writes
// answers, each with one Write and in the order of the requests, on another.
type conn struct {
	net.Conn
	of    *listener
	asked chan asked // from the reading side to the writing side

	// Of the reading side.
	head   [12]byte // size, API, version, correlation id
	have   int      // bytes of head
	remain int64    // bytes of the request after its head

	// Of the writing side.
	pending []asked
	needs   []need
}

// Read reads what the engine asks for, and follows the requests in it.
func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if bad := c.follow(b[:n]); bad != nil {
		return 0, bad
	}
	return n, err
}

func (c *conn) follow(b []byte) error {
	for len(b) > 0 {
		if c.remain > 0 {
			skip := min(int64(len(b)), c.remain)
			b = b[skip:]
			c.remain -= skip
			continue
		}
		n := copy(c.head[c.have:], b)
		c.have += n
		b = b[n:]
		if c.have >= 4 {
			if size := binary.BigEndian.Uint32(c.head[:]); size < 8 || size > requestMax {
				return fmt.Errorf("request of %d bytes", size)
			}
		}
		if c.have < len(c.head) {
			continue
		}
		if err := c.request(); err != nil {
			return err
		}
	}
	return nil
}

// request judges a request by its head and remembers what its answer will be.
func (c *conn) request() error {
	size := binary.BigEndian.Uint32(c.head[:])
	q := asked{
		api:         kmsg.Key(binary.BigEndian.Uint16(c.head[4:])),
		version:     int16(binary.BigEndian.Uint16(c.head[6:])),
		correlation: binary.BigEndian.Uint32(c.head[8:]),
	}
	r := kmsg.RequestForKey(q.api.Int16())
	if r == nil || q.version < 0 || q.version > r.MaxVersion() && q.api != kmsg.ApiVersions {
		return fmt.Errorf("request %d version %d", q.api, q.version)
	}
	c.have, c.remain = 0, int64(size)-8
	switch q.api {
	case kmsg.Fetch, kmsg.Produce, kmsg.OffsetCommit, kmsg.DeleteTopics:
		select {
		case c.asked <- q:
		default:
			return fmt.Errorf("more than %d requests at a time", cap(c.asked))
		}
	}
	return nil
}

// Write sends an answer, when it may go. The engine is done with its bytes, so
// that they may be changed in place.
func (c *conn) Write(b []byte) (int, error) {
	if err := c.prepare(b); err != nil {
		c.Close()
		return 0, err
	}
	return c.Conn.Write(b)
}

func (c *conn) prepare(b []byte) error {
	q, ok := c.question(b)
	if !ok {
		return nil
	}
	c.needs = c.needs[:0]
	var err error
	switch q.api {
	case kmsg.Fetch:
		r := kmsg.NewPtrFetchResponse()
		if read(r, q.version, b) {
			err = c.fetched(r)
		}
	case kmsg.Produce:
		r := kmsg.NewPtrProduceResponse()
		if read(r, q.version, b) {
			err = c.produced(r)
		}
	case kmsg.OffsetCommit:
		c.needs = append(c.needs, need{place: positions})
	case kmsg.DeleteTopics:
		if c.of.durable != nil {
			c.of.durable.forget()
		}
	}
	if err != nil || c.of.durable == nil {
		return err
	}
	return c.of.durable.wait(c.needs)
}

// question finds the request an answer belongs to. Requests before it have none:
// a producer may ask for no acknowledgement.
func (c *conn) question(b []byte) (q asked, ok bool) {
	for drained := false; !drained; {
		select {
		case q := <-c.asked:
			c.pending = append(c.pending, q)
		default:
			drained = true
		}
	}
	if len(b) < 8 {
		return q, false
	}
	correlation := binary.BigEndian.Uint32(b[4:])
	i := slices.IndexFunc(c.pending, func(q asked) bool { return q.correlation == correlation })
	if i < 0 {
		return q, false
	}
	q = c.pending[i]
	c.pending = slices.Delete(c.pending, 0, i+1)
	return q, true
}

// read decodes an answer; byte slices in it are views into b.
func read(r kmsg.Response, version int16, b []byte) bool {
	r.SetVersion(version)
	body := b[8:]
	if r.IsFlexible() && len(body) > 0 {
		body = body[1:] // no tagged fields in the head of an answer
	}
	return r.ReadFrom(body) == nil
}

// fetched gives the records of an answer their append time.
func (c *conn) fetched(r *kmsg.FetchResponse) (err error) {
	for i := range r.Topics {
		t := &r.Topics[i]
		for j := range t.Partitions {
			if last := mark(t.Partitions[j].RecordBatches); last >= 0 {
				err = errors.Join(err, c.about(t.Topic, t.TopicID, t.Partitions[j].Partition, last))
			}
		}
	}
	return err
}

func (c *conn) produced(r *kmsg.ProduceResponse) (err error) {
	for i := range r.Topics {
		t := &r.Topics[i]
		for j := range t.Partitions {
			if p := &t.Partitions[j]; p.ErrorCode == 0 {
				err = errors.Join(err, c.about(t.Topic, t.TopicID, p.Partition, p.BaseOffset))
			}
		}
	}
	return err
}

// about says that an answer is about a record.
func (c *conn) about(topic string, id [16]byte, partition int32, offset int64) (err error) {
	if c.of.durable == nil {
		return nil
	}
	if topic == "" {
		if topic, err = c.of.name(id); err != nil || topic == "" {
			return err
		}
	}
	c.needs = append(c.needs, need{place{topic, partition}, offset})
	return nil
}
