package crew

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/clickagg/clickagg/internal/stream"
)

// Config says what is shared, and with whom.
type Config struct {
	Groups  stream.Groups // nil is [Alone]
	Group   string
	Process string // this process's name in the group, as in [stream.Membership]
	// Partitions lists what the group works on, and is asked again now and then. A
	// partition that is not in the list is worked on by nobody: when in doubt, return
	// an error, and the list before stays.
	Partitions func(ctx context.Context) ([]stream.Partition, error)
	Logger     *zap.Logger
}

// Work works on a partition until ctx ends, which is no error. When it returns an
// [stream.ErrNotOwner] it is started anew if the partition is still this process's.
type Work func(ctx context.Context, p stream.Partition) error

// pause is how long work that was told it is not the owner's waits before it starts
// again: by then the group has mostly said whose the partition is.
const pause = 200 * time.Millisecond

// crew is the goroutines of one role.
type crew struct {
	work   Work
	logger *zap.Logger

	ctx   context.Context // all work's
	stop  context.CancelFunc
	works sync.WaitGroup

	mu      sync.Mutex // of what follows; taken when partitions move, and at the end
	stopped bool
	fault   error // the first
	stays   map[stream.Partition]*stay
}

// stay is the time a partition is with this process without a break.
type stay struct {
	partition stream.Partition
	ctx       context.Context
	cancel    context.CancelFunc
	before    *stay         // must end first; nil if nothing of it is left
	done      chan struct{} // closed when no work of it is left
	lost      bool          // under the crew's mutex
}

// Run works on the partitions that are this process's until ctx ends, which is no
// error, or the first fault of any work or of the group.
func Run(ctx context.Context, cfg Config, work Work) error {
	c := &crew{work: work, logger: cfg.Logger, stays: make(map[stream.Partition]*stay)}
	c.ctx, c.stop = context.WithCancel(ctx)
	groups := cfg.Groups
	if groups == nil {
		groups = Alone{Logger: cfg.Logger}
	}
	member, leave := context.WithCancel(context.WithoutCancel(ctx))
	defer leave()
	left := make(chan struct{})
	go func() {
		defer close(left)
		c.fail(groups.Join(member, stream.Membership{
			Group: cfg.Group, Process: cfg.Process, Partitions: cfg.Partitions, Own: c.own,
		}))
	}()

	<-c.ctx.Done()
	c.mu.Lock()
	c.stopped = true // nothing starts any more
	c.mu.Unlock()
	c.works.Wait()
	leave()
	<-left
	return c.fault
}

// fail ends all work. The first error is the one that counts.
func (c *crew) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fault == nil {
		c.fault = err
	}
	c.stop()
}

// own starts what is new among the partitions that are this process's now, and ends
// what is not among them any more. It does not wait.
func (c *crew) own(owned []stream.Partition) {
	c.mu.Lock()
	defer c.mu.Unlock()
	gained, lost := 0, 0
	for p, s := range c.stays {
		if !s.lost && !slices.Contains(owned, p) {
			s.lost = true
			s.cancel()
			lost++
		}
	}
	for _, p := range owned {
		if s := c.stays[p]; (s == nil || s.lost) && !c.stopped {
			c.start(p, s)
			gained++
		}
	}
	if gained+lost > 0 {
		c.logger.Info("partitions have moved", zap.Int("owned", len(owned)), zap.Int("gained", gained), zap.Int("lost", lost))
	}
}

func (c *crew) start(p stream.Partition, before *stay) {
	s := &stay{partition: p, before: before, done: make(chan struct{})}
	s.ctx, s.cancel = context.WithCancel(c.ctx)
	c.stays[p] = s
	c.works.Go(func() { c.run(s) })
}

// run is the goroutine of a stay.
func (c *crew) run(s *stay) {
	defer close(s.done)
	if s.before != nil {
		<-s.before.done
		s.before = nil
	}
	var err error
	for s.ctx.Err() == nil {
		if err = c.work(s.ctx, s.partition); !errors.Is(err, stream.ErrNotOwner) {
			break
		}
		c.logger.Info("another process has the partition", place(s.partition), zap.Error(err))
		err = nil
		select {
		case <-time.After(pause):
		case <-s.ctx.Done():
		}
	}
	c.ended(s, err)
}

// ended looks at why work has ended. The fault of work on a partition that has
// moved away is not this process's: if it lies in the log, the new owner meets it.
func (c *crew) ended(s *stay, err error) {
	c.mu.Lock()
	lost := s.lost
	if lost && c.stays[s.partition] == s {
		delete(c.stays, s.partition)
	}
	c.mu.Unlock()
	told := s.ctx.Err() != nil
	s.cancel()
	switch {
	case err == nil, told && errors.Is(err, context.Canceled):
	case lost:
		c.logger.Warn("work on a partition that has moved away ended with a fault", place(s.partition), zap.Error(err))
	default:
		c.fail(err)
	}
}

func place(p stream.Partition) zap.Field {
	return zap.String("partition", p.Topic+"/"+strconv.Itoa(int(p.Number)))
}
