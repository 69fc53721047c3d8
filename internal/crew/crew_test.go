package crew

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/clickagg/clickagg/internal/stream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// group is a [stream.Groups] that a test leads. Its calls are answered in the
// bubble's time.
type group struct {
	own  func([]stream.Partition)
	fail chan error
	left time.Time
}

func (g *group) Join(ctx context.Context, m stream.Membership) error {
	g.own = m.Own
	select {
	case err := <-g.fail:
		m.Own(nil)
		return err
	case <-ctx.Done():
		g.left = time.Now()
		m.Own(nil)
		return nil
	}
}

// give tells the crew what it owns, and waits until all that follows has happened.
func (g *group) give(numbers ...int32) {
	var owned []stream.Partition
	for _, n := range numbers {
		owned = append(owned, stream.Partition{Topic: "t", Number: n})
	}
	g.own(owned)
	synctest.Wait()
}

// diary is what work writes down. Only one goroutine of a bubble runs where it
// matters: each step of a test waits for all others to rest.
type diary struct{ lines chan string }

func (d diary) say(format string, args ...any) { d.lines <- fmt.Sprintf(format, args...) }

// read returns what was written since, sorted.
func (d diary) read() []string {
	synctest.Wait()
	lines := []string{}
	for len(d.lines) > 0 {
		lines = append(lines, <-d.lines)
	}
	slices.Sort(lines)
	return lines
}

func (d diary) expect(t *testing.T, want ...string) {
	t.Helper()
	if got := d.read(); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// running is a crew in a bubble.
type running struct {
	*group
	diary
	stop  context.CancelFunc
	ended chan error
}

func run(t *testing.T, work Work) running {
	ctx, stop := context.WithCancel(t.Context())
	r := running{group: &group{fail: make(chan error)}, diary: diary{make(chan string, 100)}, stop: stop, ended: make(chan error, 1)}
	if work == nil {
		work = func(ctx context.Context, p stream.Partition) error {
			r.say("begin %d", p.Number)
			<-ctx.Done()
			r.say("end %d", p.Number)
			return nil
		}
	}
	go func() {
		r.ended <- Run(ctx, Config{Groups: r.group, Group: "g", Process: "p", Logger: zap.NewNop()}, work)
	}()
	synctest.Wait()
	return r
}

func TestWhatStaysIsNotInterrupted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := run(t, nil)
		r.give(0, 1)
		r.expect(t, "begin 0", "begin 1")
		r.give(1, 2)
		r.expect(t, "begin 2", "end 0")
		r.give(1, 2)
		r.expect(t)
		r.give()
		r.expect(t, "end 1", "end 2")
		r.give(1)
		r.expect(t, "begin 1")
		r.stop()
		r.expect(t, "end 1")
		if err := <-r.ended; err != nil {
			t.Error(err)
		}
	})
}

// TestOneAtATime: a partition that comes back waits for the work that has not ended.
func TestOneAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var r running
		r = run(t, func(ctx context.Context, p stream.Partition) error {
			r.say("begin %d", p.Number)
			<-ctx.Done()
			time.Sleep(10 * time.Second) // it finishes what it has begun
			r.say("end %d", p.Number)
			return nil
		})
		r.give(0, 1)
		r.give(1)
		r.give(0, 1) // back
		r.give(1)    // away again
		r.give(0, 1) // and back
		r.expect(t, "begin 0", "begin 1")
		time.Sleep(10 * time.Second)
		r.expect(t, "begin 0", "end 0")
		r.stop()
		<-r.ended
		r.expect(t, "end 0", "end 1")
	})
}

// TestWorkEndsBeforeTheProcessLeaves: others must find what it has committed.
func TestWorkEndsBeforeTheProcessLeaves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var finished time.Time
		r := run(t, func(ctx context.Context, p stream.Partition) error {
			<-ctx.Done()
			time.Sleep(5 * time.Second)
			finished = time.Now()
			return nil
		})
		r.give(0)
		r.stop()
		synctest.Wait()
		r.give(0, 1) // too late: nothing starts any more
		if err := <-r.ended; err != nil {
			t.Error(err)
		}
		if finished.IsZero() || r.left.Before(finished) {
			t.Errorf("finished at %v, left at %v", finished, r.left)
		}
	})
}

func TestFirstFaultEndsAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fault := errors.New("broken")
		r := run(t, func(ctx context.Context, p stream.Partition) error {
			if p.Number == 1 {
				time.Sleep(time.Second)
				return fault
			}
			<-ctx.Done()
			return errors.New("a fault that comes later")
		})
		r.give(0, 1)
		if err := <-r.ended; !errors.Is(err, fault) {
			t.Error(err)
		}
		if r.left.IsZero() {
			t.Error("still in the group")
		}
	})
}

func TestFaultOfTheGroupEndsAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := run(t, nil)
		r.give(0)
		r.fail <- stream.ErrReplaced
		if err := <-r.ended; !errors.Is(err, stream.ErrReplaced) {
			t.Error(err)
		}
		r.expect(t, "begin 0", "end 0")
	})
}

// TestNotOwnerIsQuiet: the work ends, and begins again while the partition is this
// process's all the same.
func TestNotOwnerIsQuiet(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var r running
		r = run(t, func(ctx context.Context, p stream.Partition) error {
			r.say("begin")
			time.Sleep(time.Second)
			return fmt.Errorf("commit: %w", stream.ErrNotOwner)
		})
		r.give(0)
		r.expect(t, "begin")
		time.Sleep(time.Second + pause)
		r.expect(t, "begin")
		time.Sleep(time.Second)
		r.give() // while it waits
		time.Sleep(time.Minute)
		r.expect(t)
		r.stop()
		if err := <-r.ended; err != nil {
			t.Error(err)
		}
	})
}

// TestFaultAfterALoss is the new owner's to meet.
func TestFaultAfterALoss(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := run(t, func(ctx context.Context, p stream.Partition) error {
			<-ctx.Done()
			if p.Number == 0 {
				return errors.New("broken")
			}
			return ctx.Err()
		})
		r.give(0, 1)
		r.give(1)
		time.Sleep(time.Minute)
		r.stop()
		if err := <-r.ended; err != nil {
			t.Error(err)
		}
	})
}

// TestFaultAtTheStop is told: it may be a position that was not kept.
func TestFaultAtTheStop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fault := errors.New("broken")
		r := run(t, func(ctx context.Context, _ stream.Partition) error {
			<-ctx.Done()
			return fault
		})
		r.give(0)
		r.stop()
		if err := <-r.ended; !errors.Is(err, fault) {
			t.Error(err)
		}
	})
}

func TestWorkThatEndsByItselfIsNotRepeated(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var r running
		r = run(t, func(_ context.Context, p stream.Partition) error {
			r.say("done %d", p.Number)
			return nil
		})
		r.give(0)
		r.give(0, 1)
		r.expect(t, "done 0", "done 1")
		r.give()
		r.give(0)
		r.expect(t, "done 0")
		r.stop()
		<-r.ended
	})
}

// TestAlone: all that is listed is owned; what is added is noticed, and a list that
// cannot be had changes nothing.
func TestAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		lists := []func() ([]stream.Partition, error){
			func() ([]stream.Partition, error) { return nil, errors.New("no broker") },
			func() ([]stream.Partition, error) { return []stream.Partition{{Topic: "t", Number: 0}}, nil },
			func() ([]stream.Partition, error) { return nil, errors.New("no broker") },
			func() ([]stream.Partition, error) {
				return []stream.Partition{{Topic: "t", Number: 1}, {Topic: "t", Number: 0}, {Topic: "t", Number: 1}}, nil
			},
		}
		asked := 0
		d := diary{make(chan string, 100)}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			ended <- Run(ctx, Config{Group: "g", Logger: zap.NewNop(), Partitions: func(context.Context) ([]stream.Partition, error) {
				asked++
				return lists[min(asked, len(lists))-1]()
			}}, func(ctx context.Context, p stream.Partition) error {
				d.say("begin %d", p.Number)
				<-ctx.Done()
				d.say("end %d", p.Number)
				return nil
			})
		}()
		d.expect(t)
		time.Sleep(lookEvery)
		d.expect(t, "begin 0")
		time.Sleep(lookEvery)
		d.expect(t)
		time.Sleep(2 * lookEvery)
		d.expect(t, "begin 1")
		stop()
		d.expect(t, "end 0", "end 1")
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// TestAloneTellsNews: it speaks only when something is different, and at first, so
// that the process knows when nothing is its own.
func TestAloneTellsNews(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		var told []int
		err := Alone{Logger: zap.NewNop()}.Join(ctx, stream.Membership{
			Own: func(owned []stream.Partition) { told = append(told, len(owned)) },
			Partitions: func(context.Context) (listed []stream.Partition, err error) {
				if time.Since(began) > 30*time.Second {
					listed = []stream.Partition{{Topic: "t"}}
				}
				return listed, nil
			},
		})
		if err != nil || !slices.Equal(told, []int{0, 1}) {
			t.Errorf("told %v, %v", told, err)
		}
	})
}
