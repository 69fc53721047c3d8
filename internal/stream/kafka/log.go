package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"go.uber.org/zap"

	"github.com/clickagg/clickagg/internal/secure"
	"github.com/clickagg/clickagg/internal/stream"
)

// Config says where the brokers are and how to talk to them. Only Brokers must
// be given; a zero value elsewhere is the default.
type Config struct {
	Brokers  []string // host:port, one or more to begin with
	ClientID string   // what the brokers know this process as; "clickagg" by default

	// Topics, if given, are all topics this log will be asked for: on a large
	// cluster the others' metadata is then not fetched.
	Topics []string

	// RequireAppendTime tells of which topics each record must carry the broker's
	// append time; a batch of theirs without it is [stream.ErrCreateTime]. nil is none.
	RequireAppendTime func(topic string) bool
	// Compression is how batches for a topic are packed: [None], [LZ4] or [Zstd].
	// nil is [None] for all.
	Compression func(topic string) Codec

	TLS  *secure.Files // nil speaks in the clear
	SASL SASL          // the zero value logs in nowhere

	FetchBytes    int // of one partition in one response; 1 MiB by default, at most 64 MiB
	UnpackedBytes int // a record batch may unpack to; 16 MiB by default
	BatchBytes    int // of one batch that is appended, before packing; 900 KiB by default

	RequestTimeout time.Duration // after which a request is given up and tried again; 30 s by default

	// SessionTimeout is how long a group keeps the partitions of a process that is not
	// heard of, from 1 s to 5 min; 6 s by default, the least that brokers take by default.
	SessionTimeout time.Duration
}

const (
	fetchBytesMax = 64 << 20
	metadataTTL   = 500 * time.Millisecond // bounds the stall when a leader moves
	dialTimeout   = 5 * time.Second
	smallAnswer   = 16 << 20 // the largest answer to anything but a fetch
)

func (c *Config) complete() error {
	if len(c.Brokers) == 0 {
		return errors.New("kafka: no broker address is given: set kafka.brokers")
	}
	for _, b := range c.Brokers {
		if _, _, err := net.SplitHostPort(b); err != nil {
			return fmt.Errorf("kafka: broker %q is not host:port: %w", b, err)
		}
	}
	for _, d := range []struct {
		v            *int
		dflt, lo, hi int
	}{
		{&c.FetchBytes, 1 << 20, 1 << 10, fetchBytesMax},
		{&c.UnpackedBytes, 16 << 20, 1 << 10, 1 << 30},
		{&c.BatchBytes, 900 << 10, 1 << 10, 64 << 20},
	} {
		if *d.v == 0 {
			*d.v = d.dflt
		}
		if *d.v < d.lo || *d.v > d.hi {
			return fmt.Errorf("kafka: a size of %d bytes is not between %d and %d", *d.v, d.lo, d.hi)
		}
	}
	if c.SASL.Mechanism != "" && c.SASL.User == "" {
		return fmt.Errorf("kafka: %s needs a user: set kafka.sasl.user", c.SASL.Mechanism)
	}
	if c.ClientID == "" {
		c.ClientID = "clickagg"
	}
	if c.RequestTimeout == 0 {
		c.RequestTimeout = 30 * time.Second
	}
	if c.SessionTimeout == 0 {
		c.SessionTimeout = 6 * time.Second
	}
	if c.SessionTimeout < time.Second || c.SessionTimeout > 5*time.Minute {
		return fmt.Errorf("kafka: a session timeout of %v is not between 1s and 5m", c.SessionTimeout)
	}
	if c.RequireAppendTime == nil {
		c.RequireAppendTime = func(string) bool { return false }
	}
	if c.Compression == nil {
		c.Compression = func(string) Codec { return None }
	}
	return nil
}

// Log is a Kafka cluster as a [stream.Log]. It is safe for concurrent use.
type Log struct {
	cfg       Config
	log       *zap.Logger
	addr      net.Addr
	transport *kafkago.Transport
	client    *kafkago.Client
	conns     connections
	builders  sync.Pool            // of *builder
	told      atomic.Pointer[told] // the brokers' clock, as last heard
	members   sync.Map             // *member by group

	ctx    context.Context // ends when the log is closed
	cancel context.CancelFunc
	work   sync.WaitGroup // the readers' goroutines
}

var _ stream.Log = (*Log)(nil)

// Open connects to a cluster. It waits until one broker answers or ctx ends, but
// not when the broker, or what it shows, is refused by TLS or by its login.
func Open(ctx context.Context, cfg Config, log *zap.Logger) (*Log, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	l := &Log{cfg: cfg, log: log.Named("kafka"), addr: kafkago.TCP(cfg.Brokers...)}
	l.ctx, l.cancel = context.WithCancel(context.WithoutCancel(ctx))
	l.builders.New = func() any { return new(builder) }
	encryption, err := l.encryption()
	if err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	login, err := cfg.SASL.mechanism()
	if err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	l.transport = &kafkago.Transport{
		TLS:            encryption,
		SASL:           login,
		Dial:           l.conns.dial,
		DialTimeout:    dialTimeout,
		MetadataTTL:    metadataTTL,
		MetadataTopics: cfg.Topics,
		ClientID:       cfg.ClientID,
		Context:        l.ctx,
	}
	l.client = &kafkago.Client{Addr: l.addr, Transport: l.transport}
	err = l.retry(ctx, "connect to "+l.addr.String(), func(ctx context.Context) error {
		_, err := l.metadata(ctx)
		return l.hungUp(err)
	})
	if err != nil {
		if !refused(err) {
			err = fmt.Errorf("%w: check kafka.brokers and that a broker runs there", err)
		}
		return nil, errors.Join(fmt.Errorf("kafka: %w", err), l.Close())
	}
	return l, nil
}

// Close ends all readers and calls and closes the connections. It waits for the
// readers' goroutines.
func (l *Log) Close() error {
	l.cancel()
	l.transport.CloseIdleConnections()
	l.conns.close()
	l.work.Wait()
	return nil
}

// Topic describes a topic, as a broker knows it now.
func (l *Log) Topic(ctx context.Context, name string) (t stream.Topic, err error) {
	err = l.retry(ctx, "look up topic "+name, func(ctx context.Context) error {
		topics, err := l.metadata(ctx, name)
		if err != nil {
			return err
		}
		if len(topics) != 1 || topics[0].name != name {
			return fmt.Errorf("%w: it describes other topics than asked for", errAnswer)
		}
		if err := asError(topics[0].code); err != nil {
			if errors.Is(err, kafkago.UnknownTopicOrPartition) {
				return fmt.Errorf("%w: %s", stream.ErrNoTopic, name)
			}
			return l.denied(err, "Describe", onTopic, name)
		}
		t = stream.Topic{Name: name, ID: topics[0].id, Partitions: topics[0].partitions}
		return nil
	})
	return t, err
}

// Bounds returns the first offset of a partition and the last stable one.
func (l *Log) Bounds(ctx context.Context, topic string, partition int32) (start, end int64, err error) {
	err = l.retry(ctx, fmt.Sprintf("look up the bounds of %s/%d", topic, partition), func(ctx context.Context) error {
		r, err := l.client.ListOffsets(ctx, &kafkago.ListOffsetsRequest{
			Topics: map[string][]kafkago.OffsetRequest{
				topic: {kafkago.FirstOffsetOf(int(partition)), kafkago.LastOffsetOf(int(partition))},
			},
			IsolationLevel: kafkago.ReadCommitted,
		})
		if err != nil {
			return err
		}
		for _, p := range r.Topics[topic] {
			if p.Partition != int(partition) {
				continue
			}
			if p.Error != nil {
				return l.exists(ctx, l.denied(p.Error, "Describe", onTopic, topic), topic, partition)
			}
			start, end = p.FirstOffset, p.LastOffset
			return nil
		}
		return errAnswer
	})
	return start, end, err
}

// exists turns an error about a partition into ErrNoTopic when there is none;
// when there is, the error passes.
func (l *Log) exists(ctx context.Context, cause error, topic string, partition int32) error {
	topics, err := l.metadata(ctx, topic)
	if err != nil || len(topics) != 1 {
		return errors.Join(cause, err)
	}
	switch t := topics[0]; {
	case errors.Is(asError(t.code), kafkago.UnknownTopicOrPartition):
		return fmt.Errorf("%w: %s", stream.ErrNoTopic, topic)
	case t.code == 0 && partition >= t.partitions:
		return noPartition(topic, partition, t.partitions)
	}
	return cause
}

func noPartition(topic string, partition, partitions int32) error {
	return fmt.Errorf("%w: %s has partitions 0 to %d, not %d", stream.ErrNoTopic, topic, partitions-1, partition)
}

// call makes one round trip and returns the answer's body.
func (l *Log) call(ctx context.Context, m protocol.Message) ([]byte, error) {
	r, err := l.roundTrip(ctx, m)
	if err != nil {
		return nil, err
	}
	return r.(*exchange).answer, nil
}

// roundTrip makes one round trip. Without a deadline a dead connection would
// hold its goroutine for ever.
func (l *Log) roundTrip(ctx context.Context, m protocol.Message) (protocol.Message, error) {
	ctx, cancel := context.WithTimeout(ctx, l.cfg.RequestTimeout)
	defer cancel()
	return l.transport.RoundTrip(ctx, l.addr, m)
}
