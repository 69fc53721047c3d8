package streamtest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/clickagg/clickagg/internal/stream"
)

// GroupLog is a log whose groups have members.
type GroupLog interface {
	stream.Log
	stream.Groups
}

// OpenGroups gives a test ways to open logs of one cluster, each of them a process
// for itself, and to make topics. A session must end within Session.
type OpenGroups func(t *testing.T) (open func(*testing.T) GroupLog, newTopic func(*testing.T, int32) string)

// Session is longer than any session lasts whose process is not heard of any more.
const Session = 20 * time.Second

// RunGroups checks what a group promises to its members.
func RunGroups(t *testing.T, open OpenGroups) {
	for name, test := range map[string]func(*testing.T, *table){
		"partitions are shared":                  shared,
		"who joins interrupts nobody":            joins,
		"who leaves is replaced at once":         leaves,
		"who comes back has what it had":         comesBack,
		"who dies is replaced":                   dies,
		"who is given nothing is told so":        nothing,
		"many come and go at once":               crowd,
		"a name belongs to one":                  oneName,
		"only the owner commits":                 ownerCommits,
		"no position goes back":                  noneBack,
		"new partitions are noticed":             grows,
		"a list that cannot be had stays":        listFails,
		"a process can be in two groups":         twoGroups,
		"who is in no group commits when it may": outsiders,
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			open, newTopic := open(t)
			test(t, newTable(t, open, newTopic(t, 4)))
		})
	}
}

// table is a group and all that is known of its members.
type table struct {
	t     *testing.T
	open  func(*testing.T) GroupLog
	group string
	topic string

	mu      sync.Mutex
	changed chan struct{} // closed and replaced when something happens
	listed  []stream.Partition
	fault   error // of the next lists
}

func newTable(t *testing.T, open func(*testing.T) GroupLog, topic string) *table {
	ta := &table{t: t, open: open, group: topic + ".group", topic: topic, changed: make(chan struct{})}
	ta.list(4)
	return ta
}

// list says how many partitions there are.
func (ta *table) list(n int32) {
	ta.mu.Lock()
	defer ta.mu.Unlock()
	ta.listed = nil
	for i := range n {
		ta.listed = append(ta.listed, stream.Partition{Topic: ta.topic, Number: i})
	}
}

// lose makes lists fail, or no more.
func (ta *table) lose(err error) {
	ta.mu.Lock()
	defer ta.mu.Unlock()
	ta.fault = err
}

// note changes something under the lock and wakes who waits.
func (ta *table) note(change func()) {
	ta.mu.Lock()
	defer ta.mu.Unlock()
	change()
	close(ta.changed)
	ta.changed = make(chan struct{})
}

// wait waits for something to be so, and returns how long it took.
func (ta *table) wait(what string, so func() bool) time.Duration {
	ta.t.Helper()
	began := time.Now()
	over := time.After(patience)
	for {
		ta.mu.Lock()
		done, changed := so(), ta.changed
		ta.mu.Unlock()
		if done {
			return time.Since(began)
		}
		select {
		case <-changed:
		case <-over:
			ta.t.Fatalf("not after %v: %s", patience, what)
		}
	}
}

// guest is one member.
type guest struct {
	*table
	log   GroupLog
	name  string
	group string
	leave context.CancelFunc
	gone  chan struct{} // closed when it is in the group no more
	err   error         // of its end

	owned []stream.Partition // under the table's lock, as what follows
	lost  int                // how many partitions were lost in all
	asked int                // how often the list was
	told  bool
}

// join brings a member, in a log of its own.
func (ta *table) join(name string) *guest { return ta.joinBy(ta.open(ta.t), ta.group, name) }

func (ta *table) joinBy(log GroupLog, group, name string) *guest {
	g := &guest{table: ta, log: log, name: name, group: group, gone: make(chan struct{})}
	ctx, leave := context.WithCancel(ta.t.Context())
	g.leave = leave
	ta.t.Cleanup(func() {
		leave()
		<-g.gone
	})
	m := stream.Membership{Group: group, Process: name, Partitions: g.partitions, Own: g.own}
	go func() {
		defer close(g.gone)
		g.err = log.Join(ctx, m)
	}()
	return g
}

func (g *guest) partitions(context.Context) (listed []stream.Partition, err error) {
	g.note(func() { listed, err, g.asked = slices.Clone(g.listed), g.fault, g.asked+1 })
	return listed, err
}

func (g *guest) own(owned []stream.Partition) {
	g.note(func() {
		for _, p := range g.owned {
			if !slices.Contains(owned, p) {
				g.lost++
			}
		}
		g.owned, g.told = slices.Clone(owned), true
	})
}

// end leaves the group in order.
func (g *guest) end() {
	g.t.Helper()
	g.leave()
	if err := g.last(); err != nil {
		g.t.Errorf("%s left with %v", g.name, err)
	}
}

// vanish ends a process as a crash does.
func (g *guest) vanish() {
	g.t.Helper()
	if err := g.log.Close(); err != nil {
		g.t.Error(err)
	}
	if g.last() == nil {
		g.t.Errorf("%s left in order", g.name)
	}
}

// last waits for the member's end and returns its error.
func (g *guest) last() error {
	g.t.Helper()
	select {
	case <-g.gone:
	case <-time.After(patience):
		g.t.Fatalf("%s is still in the group", g.name)
	}
	return g.err
}

func (g *guest) commit(number int32, offset int64) error {
	return g.log.Commit(within(g.t), g.group, g.topic, number, stream.Position{Offset: offset})
}

// settle waits until so many partitions are shared among the guests, each of which
// has one, evenly.
func (ta *table) settle(partitions int, guests ...*guest) time.Duration {
	ta.t.Helper()
	return ta.wait(fmt.Sprintf("%d partitions are shared among %d", partitions, len(guests)), func() bool {
		has := make(map[stream.Partition]bool)
		n := 0
		for _, g := range guests {
			if len(g.owned) < partitions/len(guests) {
				return false
			}
			n += len(g.owned)
			for _, p := range g.owned {
				has[p] = true
			}
		}
		return n == partitions && len(has) == partitions
	})
}

// interrupted is how many partitions a member has lost since it joined.
func (g *guest) interrupted() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.lost
}

func (g *guest) expectLost(want int) {
	g.t.Helper()
	if got := g.interrupted(); got != want {
		g.t.Errorf("%s was interrupted in %d partitions, not %d", g.name, got, want)
	}
}

func (g *guest) holds() []stream.Partition {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.owned)
}

func (ta *table) committed(log stream.Log, number int32) int64 {
	ta.t.Helper()
	p, _, err := log.Committed(within(ta.t), ta.group, ta.topic, number)
	if err != nil {
		ta.t.Fatal(err)
	}
	return p.Offset
}

func shared(_ *testing.T, ta *table) {
	a := ta.join("a")
	ta.settle(4, a)
	b := ta.join("b")
	ta.settle(4, a, b)
	a.expectLost(2)
	b.expectLost(0)
	b.end()
	a.end()
	b.expectLost(2)
}

func joins(t *testing.T, ta *table) {
	a, b := ta.join("a"), ta.join("b")
	ta.settle(4, a, b)
	before := a.interrupted() + b.interrupted()
	c := ta.join("c")
	t.Logf("the third had its partition after %v", ta.settle(4, a, b, c))
	c.expectLost(0)
	if moved := a.interrupted() + b.interrupted() - before; moved != 1 {
		t.Errorf("%d partitions moved", moved)
	}
	for _, g := range []*guest{a, b, c} {
		for _, p := range g.holds() {
			if err := g.commit(p.Number, 7); err != nil {
				t.Errorf("%s: %v", g.name, err)
			}
		}
	}
}

func leaves(t *testing.T, ta *table) {
	a, b := ta.join("a"), ta.join("b")
	ta.settle(4, a, b)
	lost := b.interrupted()
	a.end()
	took := ta.settle(4, b)
	t.Logf("the other had all after %v", took)
	b.expectLost(lost)
	if took > 5*time.Second {
		t.Error("it waited for the session's end")
	}
}

func comesBack(t *testing.T, ta *table) {
	a, b := ta.join("a"), ta.join("b")
	ta.settle(4, a, b)
	had, lost := b.holds(), a.interrupted()
	b.vanish()
	again := ta.join("b")
	took := ta.wait("the partitions are back", func() bool { return slices.Equal(again.owned, had) })
	t.Logf("it had its partitions after %v", took)
	if took > 5*time.Second {
		t.Error("it waited for its own session's end")
	}
	if err := again.commit(had[0].Number, 3); err != nil {
		t.Error(err)
	}
	a.expectLost(lost)
	again.expectLost(0)
	again.end()
	ta.settle(4, a)
}

func dies(t *testing.T, ta *table) {
	a, b := ta.join("a"), ta.join("b")
	ta.settle(4, a, b)
	lost := b.interrupted()
	a.vanish()
	if took := ta.settle(4, b); took > Session {
		t.Errorf("after %v", took)
	}
	b.expectLost(lost)
}

func nothing(t *testing.T, ta *table) {
	ta.list(1)
	a := ta.join("a")
	ta.settle(1, a)
	b := ta.join("b")
	ta.wait("it is told", func() bool { return b.told })
	if owned := b.holds(); len(owned) > 0 {
		t.Errorf("it has %v", owned)
	}
	a.expectLost(0)
	a.end()
	ta.settle(1, b)
}

func crowd(t *testing.T, ta *table) {
	ta.list(12)
	var all []*guest
	for i := range 10 {
		all = append(all, ta.join(fmt.Sprint("m", i)))
	}
	t.Logf("ten had their partitions after %v", ta.settle(12, all...))
	for _, g := range all[2:] {
		g.leave()
	}
	took := ta.settle(12, all[:2]...)
	t.Logf("two had all after %v", took)
	for _, g := range all[2:] {
		if err := g.last(); err != nil {
			t.Error(err)
		}
	}
	for i, g := range all[:2] {
		if had := g.interrupted(); had > 12 { // at most one shift of all on the way to ten
			t.Errorf("%d was interrupted %d times", i, had)
		}
	}
}

func oneName(t *testing.T, ta *table) {
	first := ta.join("a")
	ta.settle(4, first)
	second := ta.join("a")
	if err := first.last(); !errors.Is(err, stream.ErrReplaced) {
		t.Errorf("the first ended with %v", err)
	}
	ta.settle(4, second)
	if err := first.commit(0, 1); !errors.Is(err, stream.ErrNotOwner) {
		t.Errorf("the first commits: %v", err)
	}
	if err := second.commit(0, 1); err != nil {
		t.Error(err)
	}
}

func ownerCommits(t *testing.T, ta *table) {
	a, b := ta.join("a"), ta.join("b")
	ta.settle(4, a, b)
	mine, others := a.holds()[0].Number, b.holds()[0].Number
	if err := a.commit(mine, 5); err != nil {
		t.Error(err)
	}
	if err := a.commit(others, 6); !errors.Is(err, stream.ErrNotOwner) {
		t.Errorf("a commits what is b's: %v", err)
	}
	if err := b.commit(mine, 7); !errors.Is(err, stream.ErrNotOwner) {
		t.Errorf("b commits what is a's: %v", err)
	}
	if at := ta.committed(b.log, mine); at != 5 {
		t.Errorf("at %d", at)
	}
	a.end()
	if err := a.commit(mine, 8); !errors.Is(err, stream.ErrNotOwner) {
		t.Errorf("a commits after it has left: %v", err)
	}
	ta.settle(4, b)
	if err := b.commit(mine, 9); err != nil {
		t.Error(err)
	}
}

// noneBack: work that goes on behind what another owner has committed does no harm.
func noneBack(t *testing.T, ta *table) {
	a := ta.join("a")
	ta.settle(4, a)
	if err := a.commit(0, 10); err != nil {
		t.Fatal(err)
	}
	a.end()
	b := ta.join("b")
	ta.settle(4, b)
	for _, step := range []struct{ commit, want int64 }{{4, 10}, {10, 10}, {12, 12}, {11, 12}} {
		if err := b.commit(0, step.commit); err != nil {
			t.Error(err)
		}
		if at := ta.committed(b.log, 0); at != step.want {
			t.Errorf("at %d after a commit of %d, want %d", at, step.commit, step.want)
		}
	}
}

func grows(_ *testing.T, ta *table) {
	a, b := ta.join("a"), ta.join("b")
	ta.settle(4, a, b)
	lostA, lostB := a.interrupted(), b.interrupted()
	ta.list(6)
	ta.settle(6, a, b)
	a.expectLost(lostA)
	b.expectLost(lostB)
}

func listFails(t *testing.T, ta *table) {
	ta.lose(errors.New("no answer"))
	a := ta.join("a")
	ta.wait("the list is asked for again", func() bool { return a.asked > 1 })
	if owned := a.holds(); len(owned) > 0 {
		t.Errorf("owns %v", owned)
	}
	ta.lose(nil)
	ta.settle(4, a)
	ta.lose(errors.New("no answer"))
	asked := 0
	ta.wait("the list is asked for again", func() bool {
		asked = cmp.Or(asked, a.asked)
		return a.asked > asked+1
	})
	a.expectLost(0)
}

func twoGroups(t *testing.T, ta *table) {
	log := ta.open(t)
	a, b := ta.joinBy(log, ta.group, "a"), ta.joinBy(log, ta.group+"2", "a")
	ta.settle(4, a)
	ta.settle(4, b)
	if err := errors.Join(a.commit(0, 1), b.commit(0, 2)); err != nil {
		t.Error(err)
	}
	twice := ta.joinBy(log, ta.group, "a")
	if twice.last() == nil {
		t.Error("joined twice")
	}
	a.end()
	if err := b.commit(0, 3); err != nil {
		t.Error(err)
	}
	again := ta.joinBy(log, ta.group, "a")
	ta.settle(4, again)
}

func outsiders(t *testing.T, ta *table) {
	log := ta.open(t)
	commit := func(offset int64) error {
		return log.Commit(within(t), ta.group, ta.topic, 0, stream.Position{Offset: offset})
	}
	if err := commit(5); err != nil {
		t.Error(err)
	}
	a := ta.join("a")
	ta.settle(4, a)
	if err := commit(1); err == nil {
		t.Error("a commit went past the group's members")
	}
	a.end()
	if err := commit(2); err != nil { // nobody is there to mind
		t.Error(err)
	}
	if at := ta.committed(log, 0); at != 2 {
		t.Errorf("at %d", at)
	}
}
