package e2e

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"github.com/clickagg/clickagg/internal/crew"
	"github.com/clickagg/clickagg/internal/servers"
	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/internal/stream/kafka"
	"github.com/clickagg/clickagg/internal/stream/streamtest"
)

// TestGroupContract: the members of a group on a real Kafka.
func TestGroupContract(t *testing.T) {
	t.Parallel()
	addrs := kafkaServer(t).Addrs()
	streamtest.RunGroups(t, func(t *testing.T) (func(*testing.T) streamtest.GroupLog, func(*testing.T, int32) string) {
		o := look(t, addrs)
		return func(t *testing.T) streamtest.GroupLog { return openLog(t, addrs, kafka.Config{}) },
			func(_ *testing.T, n int32) string { return o.newTopic(n, nil) }
	})
}

// TestToolsSeeOwners: other clients can read who works on what.
func TestToolsSeeOwners(t *testing.T) {
	t.Parallel()
	addrs := kafkaServer(t).Addrs()
	o, l := look(t, addrs), openLog(t, addrs, kafka.Config{})
	topic := o.newTopic(2, nil)
	ctx, leave := context.WithCancel(t.Context())
	owned, left := make(chan []stream.Partition, 10), make(chan error)
	go func() {
		left <- l.Join(ctx, stream.Membership{
			Group: topic, Process: "p", Own: func(now []stream.Partition) { owned <- now },
			Partitions: func(context.Context) ([]stream.Partition, error) {
				return []stream.Partition{{Topic: topic, Number: 0}, {Topic: topic, Number: 1}}, nil
			},
		})
	}()
	defer func() {
		leave()
		if err := <-left; err != nil {
			t.Error(err)
		}
	}()
	<-owned
	ask := kmsg.NewPtrDescribeGroupsRequest()
	ask.Groups = []string{topic}
	answer, err := ask.RequestWith(limited(t), o)
	if err != nil {
		t.Fatal(err)
	}
	group := answer.Groups[0]
	if group.State != "Stable" || group.ProtocolType != "consumer" || len(group.Members) != 1 || *group.Members[0].InstanceID != "p" {
		t.Fatalf("%+v", group)
	}
	var claim kmsg.ConsumerMemberMetadata
	var given kmsg.ConsumerMemberAssignment
	if err := errors.Join(claim.ReadFrom(group.Members[0].ProtocolMetadata), given.ReadFrom(group.Members[0].MemberAssignment)); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(claim.Topics, []string{topic}) || len(given.Topics) != 1 || given.Topics[0].Topic != topic ||
		!slices.Equal(given.Topics[0].Partitions, []int32{0, 1}) {
		t.Errorf("%+v, %+v", claim, given)
	}
}

// TestCounter is not a test: it is the process that the tests below start, stop and
// kill. It counts each of its partitions on, from the committed position, and says
// what happens, a line each.
func TestCounter(t *testing.T) {
	addrs, group, topic, name := os.Getenv("COUNTER_BROKERS"), os.Getenv("COUNTER_GROUP"), os.Getenv("COUNTER_TOPIC"), os.Getenv("COUNTER_NAME")
	if addrs == "" {
		t.Skip("is run by other tests")
	}
	log, err := kafka.Open(t.Context(), kafka.Config{Brokers: strings.Split(addrs, ",")}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	ctx, stop := context.WithCancel(t.Context())
	go func() {
		_, _ = bufio.NewReader(os.Stdin).ReadByte() // closed by the parent: leave in order
		stop()
	}()
	c := counter{log: log, group: group, topic: topic}
	err = crew.Run(ctx, crew.Config{
		Groups: &c, Group: group, Process: name, Logger: zap.NewNop(),
		Partitions: func(ctx context.Context) (all []stream.Partition, err error) {
			t, err := log.Topic(ctx, topic)
			for i := range t.Partitions {
				all = append(all, stream.Partition{Topic: topic, Number: i})
			}
			return all, err
		},
	}, c.count)
	c.say("end %v", err)
}

type counter struct {
	log          *kafka.Log
	group, topic string
	mu           sync.Mutex
}

func (c *counter) say(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fmt.Printf("> "+format+"\n", args...)
}

// Join tells of each list.
func (c *counter) Join(ctx context.Context, m stream.Membership) error {
	own := m.Own
	m.Own = func(owned []stream.Partition) {
		text := "own"
		for _, p := range owned {
			text += fmt.Sprint(" ", p.Number)
		}
		c.say("%s", text)
		own(owned)
	}
	return c.log.Join(ctx, m)
}

func (c *counter) count(ctx context.Context, p stream.Partition) error {
	at, _, err := c.log.Committed(ctx, c.group, p.Topic, p.Number)
	if err != nil {
		return err
	}
	c.say("begin %d %d", p.Number, at.Offset)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for ended := false; !ended; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			ended = true // and commits once more, as the stages do
		}
		at.Offset++
		if err := c.log.Commit(context.WithoutCancel(ctx), c.group, p.Topic, p.Number, at); err != nil {
			c.say("refused %d %d", p.Number, at.Offset)
			return err
		}
		c.say("at %d %d", p.Number, at.Offset)
	}
	return nil
}

// counters are the processes of one group.
type counters struct {
	t            *testing.T
	addrs        []string
	group, topic string
	log          *kafka.Log

	mu      sync.Mutex
	changed chan struct{}
}

func newCounters(t *testing.T, addrs []string) *counters {
	topic := look(t, addrs).newTopic(4, nil)
	return &counters{
		t: t, addrs: addrs, topic: topic, group: topic + ".group", log: openLog(t, addrs, kafka.Config{}), changed: make(chan struct{}),
	}
}

// process is one of them, as far as it is known from what it says.
type process struct {
	cmd   *exec.Cmd
	in    interface{ Close() error }
	gone  chan struct{}
	lines []string // under the lock, as what follows
	owned []int
	at    map[int]int64 // what it has committed last
}

func (cs *counters) start(name string) *process {
	cs.t.Helper()
	p := &process{cmd: exec.Command(os.Args[0], "-test.run=^TestCounter$"), gone: make(chan struct{}), at: map[int]int64{}}
	p.cmd.Env = append(os.Environ(), "E2E_BINARY="+binary, "COUNTER_BROKERS="+strings.Join(cs.addrs, ","),
		"COUNTER_GROUP="+cs.group, "COUNTER_TOPIC="+cs.topic, "COUNTER_NAME="+name)
	p.cmd.Stderr = os.Stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		cs.t.Fatal(err)
	}
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		cs.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		cs.t.Fatal(err)
	}
	go func() {
		defer close(p.gone)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if line, ok := strings.CutPrefix(lines.Text(), "> "); ok {
				cs.heard(p, line)
			}
		}
		_ = p.cmd.Wait()
	}()
	cs.t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.gone
		if cs.t.Failed() {
			cs.t.Logf("%s said last: %q", name, p.lines[max(0, len(p.lines)-30):])
		}
	})
	return p
}

func (cs *counters) heard(p *process, line string) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	p.lines = append(p.lines, line)
	word, rest, _ := strings.Cut(line, " ")
	var numbers []int
	for _, f := range strings.Fields(rest) {
		n, _ := strconv.Atoi(f)
		numbers = append(numbers, n)
	}
	switch word {
	case "own":
		p.owned = numbers
	case "at":
		p.at[numbers[0]] = int64(numbers[1])
	}
	close(cs.changed)
	cs.changed = make(chan struct{})
}

// wait waits for something to be so.
func (cs *counters) wait(what string, so func() bool) {
	cs.t.Helper()
	over := time.After(time.Minute)
	for {
		cs.mu.Lock()
		done, changed := so(), cs.changed
		cs.mu.Unlock()
		if done {
			return
		}
		select {
		case <-changed:
		case <-over:
			cs.t.Fatalf("not after a minute: %s", what)
		}
	}
}

// settle waits until the partitions are shared evenly and each owner commits.
func (cs *counters) settle(among ...*process) {
	cs.t.Helper()
	cs.wait(fmt.Sprintf("%d processes share all", len(among)), func() bool {
		var has []int
		for _, p := range among {
			has = append(has, p.owned...)
			if len(p.owned) < 4/len(among) {
				return false
			}
		}
		slices.Sort(has)
		return slices.Equal(has, []int{0, 1, 2, 3})
	})
	cs.progress(among...)
}

// progress waits until each partition is counted on.
func (cs *counters) progress(among ...*process) {
	cs.t.Helper()
	before := map[*process]int{}
	for _, p := range among {
		cs.mu.Lock()
		before[p] = len(p.lines)
		cs.mu.Unlock()
	}
	cs.wait("all partitions are counted on", func() bool {
		for _, p := range among {
			for _, n := range p.owned {
				if !slices.ContainsFunc(p.lines[before[p]:], func(line string) bool {
					return strings.HasPrefix(line, fmt.Sprintf("at %d ", n))
				}) {
					return false
				}
			}
		}
		return true
	})
}

// forward watches the committed positions until the returned function is called: none
// may go back.
func (cs *counters) forward() func() {
	ctx, stop := context.WithCancel(cs.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		var last [4]int64
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for n := int32(0); ; n = (n + 1) % 4 {
			at, _, err := cs.log.Committed(ctx, cs.group, cs.topic, n)
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				cs.t.Errorf("committed: %v", err)
				return
			}
			if at.Offset < last[n] {
				cs.t.Errorf("partition %d went back from %d to %d", n, last[n], at.Offset)
			}
			last[n] = at.Offset
			<-tick.C
		}
	}()
	return func() { stop(); <-done }
}

func (p *process) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// TestZombie: a process that is stopped for longer than its session is refused when
// it wakes up, gives up all it had, and comes back as new.
func TestZombie(t *testing.T) {
	t.Parallel()
	cs := newCounters(t, kafkaServer(t).Addrs())
	a, z := cs.start("a"), cs.start("z")
	cs.settle(a, z)
	stop := cs.forward()
	z.signal(t, syscall.SIGSTOP)
	cs.mu.Lock()
	stopped, had := len(z.lines), z.owned
	cs.mu.Unlock()
	cs.wait("the other counts all, farther", func() bool {
		for _, n := range had {
			if a.at[n] <= z.at[n]+20 {
				return false
			}
		}
		return len(a.owned) == 4
	})
	z.signal(t, syscall.SIGCONT)
	cs.wait("it gives up all", func() bool { return slices.Contains(z.lines[stopped:], "own") })
	cs.settle(a, z)
	stop()

	cs.mu.Lock()
	defer cs.mu.Unlock()
	// What was acknowledged when it was stopped is told late. The rest is refused.
	refused, told := 0, map[string]int{}
	for _, line := range z.lines[stopped:] {
		word, rest, _ := strings.Cut(line, " ")
		number, _, _ := strings.Cut(rest, " ")
		switch word {
		case "begin":
			if refused == 0 {
				t.Errorf("nothing was refused: %q", z.lines[stopped:])
			}
			return
		case "refused":
			refused++
		case "at":
			if told[number]++; told[number] > 1 {
				t.Errorf("it went on: %q", z.lines[stopped:])
			}
		}
	}
}

// TestKilledProcessComesBack: the others do not notice.
func TestKilledProcessComesBack(t *testing.T) {
	t.Parallel()
	cs := newCounters(t, kafkaServer(t).Addrs())
	a, b := cs.start("a"), cs.start("b")
	cs.settle(a, b)
	stop := cs.forward()
	cs.mu.Lock()
	had, said := b.owned, len(a.lines)
	cs.mu.Unlock()
	b.signal(t, syscall.SIGKILL)
	<-b.gone
	again := cs.start("b")
	cs.settle(a, again)
	stop()
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if !slices.Equal(again.owned, had) {
		t.Errorf("it had %v, now %v", had, again.owned)
	}
	for _, line := range a.lines[said:] {
		if !strings.HasPrefix(line, "at ") {
			t.Errorf("the other: %s", line)
		}
	}
}

// TestCoordinatorDies: another broker takes the group over, and nobody is
// interrupted. When no broker is left, work goes on after one has come back.
func TestCoordinatorDies(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	k, err := servers.StartKafka(ctx, servers.KafkaOptions{Brokers: 3})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(k.LogTail())
		}
		_ = k.Close()
	})
	cs := newCounters(t, k.Addrs())
	a, b := cs.start("a"), cs.start("b")
	cs.settle(a, b)
	stop := cs.forward()
	begun := cs.begun(a, b)
	k.Kill(cs.coordinator())
	cs.progress(a, b)
	if n := cs.begun(a, b); n != begun {
		t.Errorf("work began %d times when the coordinator died", n-begun)
	}
	for i := range 3 {
		k.Kill(i)
	}
	if err := k.Start(ctx); err != nil {
		t.Fatal(err)
	}
	cs.settle(a, b)
	cs.end(b)
	cs.settle(a)
	stop()
}

// begun is how often work on a partition has begun.
func (cs *counters) begun(among ...*process) (n int) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for _, p := range among {
		for _, line := range p.lines {
			if strings.HasPrefix(line, "begin ") {
				n++
			}
		}
	}
	return n
}

// coordinator is the number of the broker that keeps the group.
func (cs *counters) coordinator() int {
	cs.t.Helper()
	ask := kmsg.NewPtrFindCoordinatorRequest()
	ask.CoordinatorKeys = []string{cs.group}
	answer, err := ask.RequestWith(limited(cs.t), look(cs.t, cs.addrs))
	if err != nil {
		cs.t.Fatal(err)
	}
	found := answer.Coordinators[0]
	return slices.Index(cs.addrs, net.JoinHostPort(found.Host, strconv.Itoa(int(found.Port))))
}

// end tells a process to end in order, and waits for it.
func (cs *counters) end(p *process) {
	cs.t.Helper()
	_ = p.in.Close()
	<-p.gone
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if last := p.lines[len(p.lines)-1]; last != "end <nil>" {
		cs.t.Errorf("it said last: %s", last)
	}
}
