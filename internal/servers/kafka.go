package servers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// KafkaOptions describe a cluster. The zero value is one plain broker of the newest
// version.
type KafkaOptions struct {
	Version string // a directory of maven/; "" is E2E_KAFKA, or else Kafka41
	Brokers int    // each is a controller as well; 0 is 1
	Dir     string // where the cluster lives; "" is a fresh one, which Close removes

	// Properties are added to every broker's configuration, and replace what is there.
	Properties map[string]string

	// JVM are the options of each broker's virtual machine, instead of those that
	// start quickly and take little memory.
	JVM []string

	// Secure adds two listeners to the plain one.
	Secure *KafkaSecurity
}

// KafkaSecurity is who may come in by the secure listeners.
type KafkaSecurity struct {
	Certificates Certificates
	Users        map[string]string // password by name, for PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512
	ClientCert   bool              // the TLS listener takes only clients with a certificate
}

// Kafka is a running cluster. Its methods must not be called at the same time.
// Brokers are numbered from 0.
type Kafka struct {
	brokers []*broker
	dir     string
	remove  bool
}

// StartKafka starts a cluster and returns when each broker answers.
func StartKafka(ctx context.Context, o KafkaOptions) (*Kafka, error) {
	k, err := newKafka(ctx, o)
	if err != nil {
		return nil, err
	}
	if err := k.format(ctx, o.Secure); err != nil {
		return nil, errors.Join(fmt.Errorf("kafka: format: %w", err), k.Close())
	}
	if err := k.Start(ctx); err != nil {
		return nil, errors.Join(err, k.Close())
	}
	return k, nil
}

func newKafka(ctx context.Context, o KafkaOptions) (*Kafka, error) {
	o.Version = chosen(o.Version, "E2E_KAFKA", Kafka41)
	o.Brokers = max(o.Brokers, 1)
	java, err := java()
	if err != nil {
		return nil, err
	}
	lib, err := Download(ctx, o.Version)
	if err != nil {
		return nil, err
	}
	k := &Kafka{dir: o.Dir, remove: o.Dir == ""}
	if k.dir, err = home(o.Dir); err != nil {
		return nil, err
	}
	for id := 1; id <= o.Brokers; id++ {
		b := &broker{id: id, process: process{java: java, dir: filepath.Join(k.dir, strconv.Itoa(id))}}
		ports, err := freePorts(4)
		if err != nil {
			return nil, err
		}
		b.plain, b.control, b.tls, b.sasl = local(ports[0]), local(ports[1]), local(ports[2]), local(ports[3])
		k.brokers = append(k.brokers, b)
	}
	for _, b := range k.brokers {
		if err := b.configure(k.brokers, o, lib); err != nil {
			return nil, fmt.Errorf("kafka: %w", err)
		}
	}
	return k, nil
}

// Addrs are the plain listeners, one a broker.
func (k *Kafka) Addrs() []string {
	return k.addrs(func(b *broker) string { return b.plain })
}

// TLSAddrs are the listeners with TLS.
func (k *Kafka) TLSAddrs() []string {
	return k.addrs(func(b *broker) string { return b.tls })
}

// SASLAddrs are the listeners with TLS and a password.
func (k *Kafka) SASLAddrs() []string {
	return k.addrs(func(b *broker) string { return b.sasl })
}

func (k *Kafka) addrs(of func(*broker) string) (addrs []string) {
	for _, b := range k.brokers {
		addrs = append(addrs, of(b))
	}
	return addrs
}

// PIDs are the numbers of the brokers' processes, while they run.
func (k *Kafka) PIDs() (pids []int) {
	for _, b := range k.brokers {
		pids = append(pids, b.PID())
	}
	return pids
}

// Start starts brokers, all if none is named, and returns when each of them
// answers, serves groups and knows all brokers that run.
func (k *Kafka) Start(ctx context.Context, brokers ...int) error {
	chosen := k.brokers
	if len(brokers) > 0 {
		chosen = nil
		for _, i := range brokers {
			chosen = append(chosen, k.brokers[i])
		}
	}
	for _, b := range chosen {
		if err := b.start(); err != nil {
			return fmt.Errorf("kafka: start broker %s: %w", b.plain, err)
		}
	}
	running := 0
	for _, b := range k.brokers {
		if b.running() {
			running++
		}
	}
	for _, b := range chosen {
		if err := b.ready(ctx, func(ctx context.Context) error { return b.ask(ctx, running) }); err != nil {
			return fmt.Errorf("kafka: start broker %s: %w", b.plain, err)
		}
	}
	return nil
}

// Kill ends a broker by SIGKILL.
func (k *Kafka) Kill(i int) { k.brokers[i].kill() }

// Stop ends a broker by SIGTERM: it hands over what it leads, if it can.
func (k *Kafka) Stop(i int) error {
	if err := k.brokers[i].stop(); err != nil {
		return fmt.Errorf("kafka: stop broker %s: %w", k.brokers[i].plain, err)
	}
	return nil
}

// Pause freezes a broker by SIGSTOP: its connections stay open and say nothing.
func (k *Kafka) Pause(i int) { k.brokers[i].signal(syscall.SIGSTOP) }

// Resume lets a frozen broker go on.
func (k *Kafka) Resume(i int) { k.brokers[i].signal(syscall.SIGCONT) }

// DeleteTopics deletes the topics whose names begin with a prefix, which must not be
// empty.
func (k *Kafka) DeleteTopics(ctx context.Context, prefix string) error {
	if prefix == "" {
		return errors.New("kafka: delete topics: the prefix is empty, which stands for all")
	}
	c, err := kgo.NewClient(kgo.SeedBrokers(k.Addrs()...))
	if err != nil {
		return fmt.Errorf("kafka: delete topics: %w", err)
	}
	defer c.Close()
	metadata := kmsg.NewPtrMetadataRequest()
	metadata.Topics = nil // which asks for all
	all, err := metadata.RequestWith(ctx, c)
	if err != nil {
		return fmt.Errorf("kafka: delete topics: %w", err)
	}
	request := kmsg.NewPtrDeleteTopicsRequest()
	request.TimeoutMillis = 30_000
	for _, t := range all.Topics {
		if t.Topic != nil && strings.HasPrefix(*t.Topic, prefix) {
			one := kmsg.NewDeleteTopicsRequestTopic()
			one.Topic = t.Topic
			request.TopicNames, request.Topics = append(request.TopicNames, *t.Topic), append(request.Topics, one)
		}
	}
	if len(request.TopicNames) == 0 {
		return nil
	}
	answer, err := request.RequestWith(ctx, c)
	if err != nil {
		return fmt.Errorf("kafka: delete topics: %w", err)
	}
	for _, t := range answer.Topics {
		if err := kerr.ErrorForCode(t.ErrorCode); err != nil {
			return fmt.Errorf("kafka: delete topic %s: %w", *t.Topic, err)
		}
	}
	return nil
}

// LogTail is the end of each broker's log.
func (k *Kafka) LogTail() (text string) {
	for _, b := range k.brokers {
		text += fmt.Sprintf("last lines of broker %s:\n%s\n", b.plain, b.tail())
	}
	return text
}

// Close ends all brokers at once.
func (k *Kafka) Close() error {
	for _, b := range k.brokers {
		b.kill()
	}
	if k.remove {
		return os.RemoveAll(k.dir)
	}
	return nil
}

// clusterID is any sixteen bytes in Kafka's alphabet.
const clusterID = "clickaggTestCluster1AA"

// format prepares the brokers' directories, once in a cluster's life.
func (k *Kafka) format(ctx context.Context, s *KafkaSecurity) error {
	args := []string{"kafka.tools.StorageTool", "format", "--ignore-formatted", "-t", clusterID, "-c", "server.properties"}
	if s != nil {
		for name, password := range s.Users {
			for _, mechanism := range []string{"SCRAM-SHA-256", "SCRAM-SHA-512"} {
				args = append(args, "--add-scram", fmt.Sprintf("%s=[name=%s,password=%s]", mechanism, name, password))
			}
		}
	}
	errs := make([]error, len(k.brokers))
	var all sync.WaitGroup
	for i, b := range k.brokers {
		all.Go(func() { errs[i] = b.once(ctx, args) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// ask sends the requests that a client begins with.
func (b *broker) ask(ctx context.Context, running int) error {
	c, err := kgo.NewClient(kgo.SeedBrokers(b.plain), kgo.RetryTimeout(0), kgo.RequestRetries(0))
	if err != nil {
		return err
	}
	defer c.Close()
	metadata := kmsg.NewPtrMetadataRequest()
	metadata.Topics = []kmsg.MetadataRequestTopic{}
	answer, err := c.SeedBrokers()[0].Request(ctx, metadata)
	if err != nil {
		return err
	}
	known := answer.(*kmsg.MetadataResponse)
	itself := false
	for _, other := range known.Brokers {
		itself = itself || other.NodeID == int32(b.id)
	}
	if !itself || known.ControllerID < 0 || len(known.Brokers) < running {
		return fmt.Errorf("it knows %d of %d brokers, and controller %d", len(known.Brokers), running, known.ControllerID)
	}
	offsets := kmsg.NewPtrOffsetFetchRequest()
	offsets.Group = "servers-ready"
	committed, err := offsets.RequestWith(ctx, c)
	if err != nil {
		return err
	}
	if committed.ErrorCode != 0 {
		return fmt.Errorf("its groups answer with error code %d", committed.ErrorCode)
	}
	for _, g := range committed.Groups {
		if g.ErrorCode != 0 {
			return fmt.Errorf("its groups answer with error code %d", g.ErrorCode)
		}
	}
	return nil
}
