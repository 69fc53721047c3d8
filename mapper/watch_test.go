package mapper

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/stream"
)

// other is another process that has mapped clicks/1 up to an offset and a watermark.
func (b *bench) other(offset, watermark int64) {
	b.t.Helper()
	p := position{topic: click.TopicID{1}}
	p.state.Next, p.state.Seen, p.state.LastAppend = offset, watermark+b.m.cfg.Rule.Delay, 1
	b.log.OnCommit = nil
	if err := b.log.Commit(b.t.Context(), "g", "clicks", 1, stream.Position{Offset: offset, Metadata: p.encode()}); err != nil {
		b.t.Fatal(err)
	}
}

// A source does not run farther ahead of another process's than it may, and goes on
// when that one catches up.
func TestWaitsForAnotherProcess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		both := []stream.Partition{{Topic: "clicks", Number: 0}, {Topic: "clicks", Number: 1}}
		go func() { _ = b.m.Watch(ctx, func() []stream.Partition { return both }) }()
		lane := b.m.pace.enter(both[0])
		defer lane.leave()
		lane.backlog(true)
		lane.at(1_000_000, leash+1)
		waits := func() bool {
			time.Sleep(2 * watchEvery)
			_, yes := lane.waits()
			return yes
		}
		other := b.other
		if waits() {
			t.Error("waits for a source that has no position")
		}
		other(0, 500_000)
		if waits() {
			t.Error("waits for a source that has nothing to read")
		}
		for i := range 2 {
			message := stream.Message{Partition: 1, Value: fmt.Append(nil, i)}
			if err := b.log.Append(ctx, "clicks", []stream.Message{message}); err != nil {
				t.Fatal(err)
			}
		}
		lane.at(1_000_000, 2*leash)
		if waits() {
			t.Error("waits before it is a leash ahead")
		}
		lane.at(1_000_000, 3*leash)
		if !waits() {
			t.Error("runs ahead of a source that is behind")
		}
		if name, _ := lane.waits(); name != both[1] {
			t.Errorf("waits for %v", name)
		}
		other(1, 1_000_000-b.m.cfg.MaxLead.Milliseconds())
		if waits() {
			t.Error("waits for a source that is as near as it may be")
		}
		other(1, 500_000)
		lane.at(1_000_000, 5*leash)
		if !waits() {
			t.Error("runs ahead again")
		}
		lane.backlog(false)
		if waits() {
			t.Error("waits with nothing to read")
		}
		lane.backlog(true)
		lane.at(1_000_000, 7*leash)
		if !waits() {
			t.Error("runs ahead once more")
		}
		// Case: it moves to this process.
		mine := b.m.pace.enter(both[1])
		if _, yes := lane.waits(); yes {
			t.Error("waits for what was known of a source that is this process's now")
		}
		mine.leave()
	})
}

// A source that waits says how far it is, or two could wait for each other for ever.
func TestCommitsWhileItWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.put(good(1))
		slow := b.m.pace.enter(stream.Partition{Topic: "clicks", Number: 1})
		slow.backlog(true)
		slow.at(0, 0)
		if err := b.run(3 * time.Second); err != nil {
			t.Fatal(err)
		}
		if commits := b.commits(); len(commits) != 3 || commits[1] != "1 open" {
			t.Errorf("%v", commits)
		}
	})
}
