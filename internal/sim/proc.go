package sim

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/clickagg/clickagg/internal/stream"
)

// proc is one process: a coroutine that runs a stage. It gives way before every
// call to the outside, so that the scheduler can let others run, kill it, or
// leave it asleep.
type proc struct {
	w       *world
	role    *role
	id      int
	next    func() (struct{}, bool)
	stop    func()
	yield   func(struct{}) bool
	cancel  context.CancelFunc
	killed  bool
	done    bool
	err     error
	until   int64       // asleep until this time, unless awake says otherwise
	awake   func() bool // wakes a sleeper early: data has come
	zombie  bool        // replaced while asleep
	frozen  int64       // stopped like by SIGSTOP until this time
	stopped bool        // told to stop

	rules rules                      // a mapper's
	known map[string]stream.Position // positions as this process last saw them
	ahead int64                      // of the brokers' clock, as far as this process can tell: mostly behind
	heard bool                       // a broker has told its time
	tick  int64                      // planted fault: a shard's own
	wrote map[string]bool            // values it wrote to the control topic
	// Planted fault: it sees no masks of the shuffle topic's offsets below.
	unmasked int64
}

// errKilled unwinds a killed process. Nothing it does after this counts.
var errKilled = errors.New("killed")

// spawn starts a process that runs f.
func (w *world) spawn(r *role, f func(ctx context.Context, p *proc) error) *proc {
	w.spawned++
	p := &proc{w: w, role: r, id: w.spawned}
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel = cancel
	p.next, p.stop = iter.Pull(func(yield func(struct{}) bool) {
		p.yield = yield
		defer func() {
			p.done = true
			if v := recover(); v != nil {
				if err, ok := v.(error); ok && errors.Is(err, errKilled) {
					return
				}
				p.err = fmt.Errorf("panic: %v", v)
			}
		}()
		p.pass()
		p.err = f(ctx, p)
	})
	return p
}

// pass gives way to the scheduler and returns when this process may go on.
func (p *proc) pass() {
	if p.killed || !p.yield(struct{}{}) || p.killed {
		p.killed = true
		panic(errKilled)
	}
}

// wait gives way until a time, or until awake says that there is reason to go on.
func (p *proc) wait(until int64, awake func() bool) {
	p.until, p.awake = until, awake
	p.pass()
	p.until, p.awake = 0, nil
}

// kill ends the process at its present call, as SIGKILL does.
func (p *proc) kill() {
	p.killed = true
	p.stop()
	p.cancel()
	p.done = true
}

// die is to be called by the process itself, which it kills.
func (p *proc) die() {
	p.w.kills++
	p.killed = true
	p.cancel()
	p.pass()
}

// term tells the process to stop, as SIGTERM does.
func (p *proc) term() {
	p.stopped = true
	p.cancel()
}

// ready tells whether the process can run now.
func (p *proc) ready() bool {
	now := p.w.now
	if p.done || p.frozen > now {
		return false
	}
	return p.stopped || p.until <= now || p.awake != nil && p.awake()
}

// due is when the process can run at the latest.
func (p *proc) due() int64 { return max(p.until, p.frozen) }

// orphan makes a zombie of a frozen process.
func (w *world) orphan(p *proc) {
	w.zombies++
	p.zombie = true
	w.later(p.frozen-w.now+int64(w.choose(30_000, "until it notices")), func() {
		if !p.done {
			p.kill()
			w.forget(p)
		}
	})
}

// forget takes a process that has ended off the list.
func (w *world) forget(p *proc) {
	for i := range w.procs {
		if w.procs[i] == p {
			w.procs = append(w.procs[:i], w.procs[i+1:]...)
			return
		}
	}
}

// clock is a process's view of virtual time.
type clock struct{ p *proc }

// Now implements stream.Clock.
func (c clock) Now() time.Time { return time.UnixMilli(c.p.w.now + c.p.role.skew) }

// Sleep implements stream.Clock.
func (c clock) Sleep(ctx context.Context, d time.Duration) error {
	c.p.wait(c.p.w.now+d.Milliseconds(), nil)
	return ctx.Err()
}
