package embedded

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"
)

// Config says where the broker keeps its log and where it listens.
type Config struct {
	// Dir is the directory of the log. One broker at a time uses it.
	Dir string
	// Listen is the host:port to listen on; port 0 is any free one.
	Listen string
	// Advertise is the host:port clients are told to come back to; that of Listen
	// by default, with the host name of the machine for a wildcard.
	Advertise string

	// SyncWrites has each write on the disk before it is acknowledged. Without it
	// an acknowledged record survives the end of this process, however it ends,
	// and may be lost when the operating system ends within about half a minute.
	SyncWrites bool

	// Retention is how long a record is kept at least; 0 is for ever. A topic's
	// retention.ms goes before it.
	Retention time.Duration
	// SegmentBytes is the size of the files a partition's log is kept in; what is
	// freed is freed by the file, and a start holds one file of each partition in
	// memory. 8 MiB by default.
	SegmentBytes int

	// Topics are made if they do not exist.
	Topics []Topic
}

// Topic is a topic to be made.
type Topic struct {
	Name       string
	Partitions int32
	// Configs are Kafka's topic settings; retention.ms, retention.bytes,
	// segment.bytes and max.message.bytes have an effect.
	Configs map[string]string
}

// Broker is a running broker.
type Broker struct {
	cfg     Config
	log     *zap.Logger
	cluster *kfake.Cluster
	durable *durable // nil without SyncWrites
	lock    *os.File
	addr    string
	stop    context.CancelFunc
	work    sync.WaitGroup
	closing sync.Once

	// The engine never answers a question that comes after its end.
	asking sync.RWMutex
	ended  bool
}

const segmentBytesDefault = 8 << 20

// Start opens the log in cfg.Dir, repairs what a crash left behind, and listens.
func Start(ctx context.Context, cfg Config, log *zap.Logger) (_ *Broker, err error) {
	if cfg.SegmentBytes == 0 {
		cfg.SegmentBytes = segmentBytesDefault
	}
	b := &Broker{cfg: cfg, log: log.Named("broker"), stop: func() {}}
	defer func() {
		if err != nil {
			b.Close()
		}
	}()
	if err := os.MkdirAll(cfg.Dir, 0o750); err != nil {
		return nil, fmt.Errorf("embedded broker: cannot make its directory: %w: give data_dir a place this user may write to", err)
	}
	if b.lock, err = lockDir(cfg.Dir); err != nil {
		return nil, fmt.Errorf("embedded broker: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("embedded broker: %w", err)
	}
	ln, err := listen(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("embedded broker: %w", err)
	}
	b.addr = ln.Addr().String()
	ln.name = b.topicName
	if cfg.SyncWrites {
		b.durable = newDurable(cfg.Dir, b.end, b.segmentBytes, b.log)
		ln.durable = b.durable
	}
	if err := b.load(ln); err != nil {
		ln.Close()
		return nil, fmt.Errorf("embedded broker: open the log in %s: %w", cfg.Dir, err)
	}
	b.control()
	for _, t := range cfg.Topics {
		if err := b.CreateTopic(t); err != nil {
			return nil, err
		}
	}
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	b.stop = stop
	b.work.Go(func() { b.expireAll(run) })
	if b.durable != nil {
		b.work.Go(func() { b.durable.run(run) })
	}
	b.log.Info("listening", zap.String("addr", b.addr), zap.String("dir", cfg.Dir), zap.Bool("sync_writes", cfg.SyncWrites))
	return b, nil
}

// load starts the engine on what lies in the directory.
func (b *Broker) load(ln net.Listener) (err error) {
	if err := repair(b.cfg.Dir); err != nil {
		return err
	}
	// The engine reads a file of every partition at once and drops it again; at
	// the usual pace of collection that is twice the memory.
	defer debug.SetGCPercent(debug.SetGCPercent(20))
	b.cluster, err = kfake.NewCluster(b.options(ln)...)
	return err
}

// ask asks the engine something, unless it has ended.
func (b *Broker) ask(question func(*kfake.Cluster)) error {
	b.asking.RLock()
	defer b.asking.RUnlock()
	if b.ended {
		return fmt.Errorf("the broker is closed: %w", net.ErrClosed)
	}
	question(b.cluster)
	return nil
}

// end is the offset after the last record the engine has written to a
// partition, -1 when there is no such partition.
func (b *Broker) end(p place) (end int64, err error) {
	end = -1
	err = b.ask(func(c *kfake.Cluster) {
		if in := c.PartitionInfo(p.topic, p.partition); in != nil {
			end = in.HighWatermark
		}
	})
	return end, err
}

// topicName is the name of a topic, empty when there is none.
func (b *Broker) topicName(id [16]byte) (name string, err error) {
	err = b.ask(func(c *kfake.Cluster) {
		if in := c.TopicIDInfo(id); in != nil {
			name = in.Topic
		}
	})
	return name, err
}

// configs are a topic's own settings; ok is false when there is no such topic.
func (b *Broker) configs(topic string) (configs map[string]*string, ok bool) {
	err := b.ask(func(c *kfake.Cluster) {
		if in := c.TopicInfo(topic); in != nil {
			configs, ok = in.Configs, true
		}
	})
	return configs, ok && err == nil
}

// number is a setting that is a number.
func number(configs map[string]*string, name string, otherwise int64) int64 {
	if v := configs[name]; v != nil {
		if n, err := strconv.ParseInt(*v, 10, 64); err == nil {
			return n
		}
	}
	return otherwise
}

func (b *Broker) segmentBytes(topic string) int64 {
	configs, _ := b.configs(topic)
	return number(configs, "segment.bytes", int64(b.cfg.SegmentBytes))
}

func (b *Broker) options(ln net.Listener) []kfake.Opt {
	return []kfake.Opt{
		kfake.NumBrokers(1),
		kfake.ClusterID("clickagg-embedded"),
		kfake.DataDir(b.cfg.Dir),
		kfake.WithLogger(logger{b.log}),
		kfake.ListenFn(func(string, string) (net.Listener, error) { return ln, nil }),
		kfake.BrokerConfigs(map[string]string{
			// Expiry is this room's (retention.go): the engine's may take a
			// partition's last records, and a partition that is empty when the
			// process is killed begins again at offset 0.
			"log.cleaner.backoff.ms": strconv.FormatInt((10 * 365 * 24 * time.Hour).Milliseconds(), 10),
			"log.segment.bytes":      strconv.Itoa(b.cfg.SegmentBytes),
			// A group's position is kept as long as its topic.
			"offsets.retention.minutes":  "2147483647",
			"log.message.timestamp.type": "LogAppendTime",
		}),
	}
}

// control puts this room's judgement before the engine's. The functions run one
// at a time on the engine's loop.
func (b *Broker) control() {
	s := &stamper{now: time.Now}
	b.cluster.ControlKey(int16(kmsg.Produce), func(r kmsg.Request) (kmsg.Response, error, bool) {
		s.stamp(r.(*kmsg.ProduceRequest))
		return nil, nil, false
	})
	b.cluster.ControlKey(int16(kmsg.DeleteRecords), func(r kmsg.Request) (kmsg.Response, error, bool) {
		b.keepLast(r.(*kmsg.DeleteRecordsRequest))
		return nil, nil, false
	})
	b.cluster.ControlKey(int16(kmsg.InitProducerID), func(r kmsg.Request) (kmsg.Response, error, bool) {
		q := r.(*kmsg.InitProducerIDRequest)
		if q.TransactionalID == nil {
			return nil, nil, false
		}
		// After a crash the engine would show half of a transaction and hide
		// what comes after it.
		b.cluster.KeepControl()
		a := q.ResponseKind().(*kmsg.InitProducerIDResponse)
		a.ErrorCode = kerr.TransactionalIDAuthorizationFailed.Code
		return a, nil, true
	})
}

// Addr is the host:port to reach the broker at.
func (b *Broker) Addr() string { return b.addr }

// CreateTopic makes a topic, or leaves one that exists as it is.
func (b *Broker) CreateTopic(t Topic) error {
	var failed error
	err := b.ask(func(c *kfake.Cluster) { failed = c.CreateTopic(t.Name, t.Partitions, t.Configs) })
	if err = errors.Join(err, failed); err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
		return fmt.Errorf("embedded broker: create topic %s: %w", t.Name, err)
	}
	return nil
}

// DeleteTopic deletes a topic, its records and the groups' positions in it.
func (b *Broker) DeleteTopic(name string) error {
	var failed error
	err := b.ask(func(c *kfake.Cluster) { failed = c.DeleteTopic(name) })
	if err = errors.Join(err, failed); err != nil {
		return fmt.Errorf("embedded broker: delete topic %s: %w", name, err)
	}
	if b.durable != nil {
		b.durable.forget()
	}
	return nil
}

// Close stops the broker and leaves its log whole on the disk.
func (b *Broker) Close() (err error) {
	b.closing.Do(func() {
		b.asking.Lock()
		b.ended = true
		b.asking.Unlock()
		if b.cluster != nil {
			b.cluster.Close()
		}
		b.stop()
		b.work.Wait()
		if b.cluster != nil {
			err = syncAll(b.cfg.Dir)
		}
		if b.lock != nil {
			err = errors.Join(err, unlockFile(b.lock))
		}
	})
	return err
}

func listen(ctx context.Context, cfg Config) (*listener, error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", cfg.Listen)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s is in use, perhaps by another clickagg or a Kafka broker: stop it or set embedded.listen to another port (port 0 takes any)", cfg.Listen)
	case err != nil:
		return nil, fmt.Errorf("listen on %q: %w: set embedded.listen to host:port of this machine", cfg.Listen, err)
	}
	advertise, err := advertised(cfg, ln.Addr())
	if err != nil {
		ln.Close()
		return nil, err
	}
	return &listener{Listener: ln, advertise: advertise}, nil
}

// hostport is an address as clients are told it.
type hostport string

// Network is always tcp.
func (hostport) Network() string { return "tcp" }

// String is host:port.
func (h hostport) String() string { return string(h) }

func advertised(cfg Config, bound net.Addr) (net.Addr, error) {
	if cfg.Advertise != "" {
		if _, _, err := net.SplitHostPort(cfg.Advertise); err != nil {
			return nil, fmt.Errorf("advertised address %q is not host:port: %w", cfg.Advertise, err)
		}
		return hostport(cfg.Advertise), nil
	}
	t, ok := bound.(*net.TCPAddr)
	if !ok || !t.IP.IsUnspecified() {
		return bound, nil
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("name of this machine, to tell clients: %w", err)
	}
	return hostport(net.JoinHostPort(host, strconv.Itoa(t.Port))), nil
}

// lockDir takes the directory for this process.
func lockDir(dir string) (*os.File, error) {
	path := filepath.Join(dir, "lock")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o640)
	if err != nil {
		return nil, fmt.Errorf("cannot write in its directory: %w: give data_dir a place this user may write to", err)
	}
	if err := lockFile(f); err != nil {
		f.Close()
		return nil, fmt.Errorf("%s is in use by another process: stop it or choose another data_dir", dir)
	}
	return f, nil
}

// logger hands the engine's lines to ours.
type logger struct{ log *zap.Logger }

// Logf writes one line. What the engine calls information is for its authors.
func (l logger) Logf(level kfake.LogLevel, format string, args ...any) {
	switch level {
	case kfake.LogLevelError:
		l.log.Error(fmt.Sprintf(format, args...))
	case kfake.LogLevelWarn:
		l.log.Warn(fmt.Sprintf(format, args...))
	default:
		if l.log.Core().Enabled(zap.DebugLevel) {
			l.log.Debug(fmt.Sprintf(format, args...))
		}
	}
}
