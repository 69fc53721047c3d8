package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"go.uber.org/zap"

	"github.com/clickagg/clickagg/internal/assign"
	"github.com/clickagg/clickagg/internal/stream"
)

// Groups are Kafka's classic consumer groups, with a protocol of our own inside:
// members keep working while a group shares its partitions out anew, and only look
// at what is different afterwards. A process is a static member, under its own name.
//
// So for moments two processes may work on one partition. What they write is the
// same, and of their commits only the owner's are taken.

const (
	heartbeatEvery = 400 * time.Millisecond // bounds how long the others notice a new member late
	lookEvery      = 3 * time.Second        // how often the list of partitions is asked for
	// joinSpare is how much longer than the coordinator may take a member waits for it.
	joinSpare = 5 * time.Second
	// fencedAgain: what looks as if another process had taken the name may be a late
	// request of this one's, or a coordinator that lost its last. So the name is taken
	// back once; who loses it twice within this time has been replaced.
	fencedAgain = time.Minute
)

// member is this process in one group. What is not said to be shared belongs to the
// goroutine of Join.
type member struct {
	log     *Log
	of      stream.Membership
	logger  *zap.Logger
	session time.Duration
	began   time.Time
	work    sync.WaitGroup

	// Shared with those who commit.
	seat  atomic.Pointer[seat] // nil when nothing is owned for certain
	alive atomic.Int64         // after began: when the last request was sent by whose answer the session goes on

	coordinator atomic.Int32 // node id, -1 when not known; shared with the goroutine that joins

	listed  atomic.Pointer[[]assign.Partition] // sorted; shared with the goroutine that joins
	changed chan struct{}                      // a list has come

	id         string // given by the coordinator; empty before
	generation int32  // in which owned was given
	owned      []stream.Partition
	told       bool // what is owned, be it nothing
	leader     bool
	from       []assign.Partition // the list that the leader shared out; nil if another did
	joining    chan joined        // brings the result; nil when nothing is under way
	giveUp     context.CancelFunc // of the joining
	fenced     time.Time          // when it last seemed that another process had taken the name
	ended      atomic.Bool        // this process is in the group no more
}

var _ stream.Groups = (*Log)(nil)

// Join implements [stream.Groups]. A log can be in several groups, and once in each.
// From then on its commits for the group go as the member's: one for a partition
// that it does not own, or not any more, is [stream.ErrNotOwner], and one for a position
// behind that which the group has is taken for done, so that none goes back. It needs
// Kafka 3.2.
func (l *Log) Join(ctx context.Context, of stream.Membership) error {
	m := &member{
		log: l, of: of, session: l.cfg.SessionTimeout, began: time.Now(),
		logger: l.log.With(zap.String("group", of.Group)), changed: make(chan struct{}, 1), generation: noGeneration,
	}
	m.coordinator.Store(-1)
	if last, found := l.members.LoadOrStore(of.Group, m); found {
		if !last.(*member).ended.Load() || !l.members.CompareAndSwap(of.Group, last, m) {
			return fmt.Errorf("kafka: group %s: this process is in it already", of.Group)
		}
	}
	defer m.ended.Store(true)
	within, free := l.within(ctx)
	err := m.run(within)
	free()
	m.work.Wait()
	m.sit(nil, noGeneration)
	if err == nil && ctx.Err() == nil {
		err = net.ErrClosed // of the log
	}
	if err != nil {
		return fmt.Errorf("kafka: group %s: %w", of.Group, err)
	}
	m.leave()
	return nil
}

// run is a member's life, until ctx ends or the group does not want it.
func (m *member) run(ctx context.Context) error {
	m.work.Go(func() { m.look(ctx) })
	select {
	case <-m.changed:
	case <-ctx.Done():
		return nil
	}
	m.rejoin(ctx)
	beat := time.NewTicker(heartbeatEvery)
	defer beat.Stop()
	for ctx.Err() == nil {
		var err error
		select {
		case j := <-m.joining:
			err = m.joined(ctx, j)
		case <-beat.C:
			err = m.beat(ctx)
		case <-m.changed:
			m.compare(ctx)
		case <-ctx.Done():
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// beat tells the coordinator that this process lives, also while a join waits for
// other members: what it owns is its own until the join is answered.
func (m *member) beat(ctx context.Context) error {
	if m.overdue(ctx) || m.generation == noGeneration {
		return nil
	}
	sent := time.Now()
	err := m.heartbeat(ctx, min(m.session/3, max(m.session-m.silence(), heartbeatEvery)))
	switch {
	case err == nil:
		m.aliveAt(sent)
	case errors.Is(err, kafkago.RebalanceInProgress):
		m.aliveAt(sent)
		if m.joining == nil {
			m.rejoin(ctx)
		}
	case errors.Is(err, kafkago.IllegalGeneration) && m.joining != nil:
		m.aliveAt(sent) // the next one has begun; the answer to the join is on its way
	default:
		return m.fault(ctx, err)
	}
	return nil
}

// overdue looks whether the session has ended as far as this process can know: it
// was stopped, or cut off. Then others may have what it owned, and have gone on.
func (m *member) overdue(ctx context.Context) bool {
	if m.seat.Load() == nil || m.silence() <= m.session {
		return false
	}
	m.drop("no heartbeat was answered for longer than the session")
	m.rejoin(ctx)
	return true
}

// silence is for how long the coordinator may not have heard of this process.
func (m *member) silence() time.Duration {
	return time.Since(m.began) - time.Duration(m.alive.Load())
}

func (m *member) aliveAt(sent time.Time) { m.alive.Store(int64(sent.Sub(m.began))) }

// fault decides on an error of a heartbeat or a join.
func (m *member) fault(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
	case errors.Is(err, kafkago.FencedInstanceID) && !m.fenced.IsZero() && time.Since(m.fenced) < fencedAgain:
		return fmt.Errorf("%w (%q): two processes have one data_dir, or a copy of it: "+
			"give each its own, without the file process-id of another: %w", stream.ErrReplaced, m.of.Process, err)
	case errors.Is(err, kafkago.FencedInstanceID):
		m.fenced = time.Now()
		m.drop("it seems that another process has taken this one's name")
		m.id = ""
		m.rejoin(ctx)
	case errors.Is(err, kafkago.UnknownMemberId):
		m.drop("the group has gone on without this process")
		m.id = ""
		m.rejoin(ctx)
	case errors.Is(err, kafkago.IllegalGeneration):
		m.drop("the group has shared out its partitions without this process")
		m.rejoin(ctx)
	case transient(err):
		m.logger.Debug("heartbeat", zap.Error(err))
	case errors.Is(err, kafkago.InvalidSessionTimeout):
		return fmt.Errorf("the brokers do not take a session timeout of %v: "+
			"see their group.min.session.timeout.ms and group.max.session.timeout.ms: %w", m.session, err)
	case errors.Is(err, kafkago.InconsistentGroupProtocol):
		return fmt.Errorf("members of another program are in it: end them, or choose another kafka.topic_prefix: %w", err)
	default:
		return m.log.explain(m.log.denied(err, "Read", onGroup, m.of.Group))
	}
	return nil
}

// drop ends all that is owned: another process may have worked on it meanwhile, and
// what is kept of it here may be behind.
func (m *member) drop(why string) {
	if len(m.owned) > 0 {
		m.logger.Warn("all partitions are given up", zap.String("why", why), zap.Int("partitions", len(m.owned)))
	}
	m.sit(nil, noGeneration)
}

// sit takes the seat of a generation, and says what is owned now if that is news. At
// first nothing is news as well: the process knows that it is a member.
func (m *member) sit(owned []stream.Partition, generation int32) {
	var next *seat
	if generation != noGeneration {
		next = newSeat(m.id, m.of.Process, generation, owned, m.seat.Load())
	}
	m.generation = generation
	if last := m.seat.Swap(next); last != nil {
		close(last.left)
	}
	if !slices.Equal(m.owned, owned) || next != nil && !m.told {
		m.owned, m.told = owned, true
		m.of.Own(slices.Clone(owned))
	}
}

// compare makes the group share out anew when the list of partitions is another than
// the one that was shared out. The leader does it for all.
func (m *member) compare(ctx context.Context) {
	if m.leader && m.joining == nil && !slices.Equal(m.from, *m.listed.Load()) {
		m.rejoin(ctx)
	}
}

// look asks for the list of partitions now and then.
func (m *member) look(ctx context.Context) {
	every := time.NewTicker(lookEvery)
	defer every.Stop()
	for {
		if listed, err := m.of.Partitions(ctx); err == nil {
			list := make([]assign.Partition, len(listed))
			for i, p := range listed {
				list[i] = assign.Partition(p)
			}
			slices.SortFunc(list, assign.Partition.Compare)
			list = slices.Compact(list)
			m.listed.Store(&list)
			select {
			case m.changed <- struct{}{}:
			default:
			}
		} else if ctx.Err() == nil {
			m.logger.Warn("the partitions cannot be listed; trying again", zap.Error(err))
		}
		select {
		case <-every.C:
		case <-ctx.Done():
			return
		}
	}
}

// leave lets others take over at once. Failing to is no harm: they take over when
// the session has ended.
func (m *member) leave() {
	ctx, cancel := context.WithTimeout(m.log.ctx, m.session/2)
	defer cancel()
	var b backoff
	for {
		err := m.sendLeave(ctx)
		if err == nil || errors.Is(err, kafkago.UnknownMemberId) {
			return
		}
		if m.log.ctx.Err() != nil {
			return
		}
		if !transient(err) || !b.wait(ctx) {
			m.logger.Warn("did not leave the group; others take over when the session has ended", zap.Error(err))
			return
		}
	}
}
