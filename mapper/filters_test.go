package mapper

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/control"
	"github.com/clickagg/clickagg/internal/stream"
)

// settle makes the bench's installation.
func (b *bench) settle() {
	b.t.Helper()
	cluster := control.Cluster{ID: "x", Shards: 2, Reducers: 1, WindowMS: 60_000}
	if _, err := control.Settle(b.t.Context(), b.log, b.topics.Control, cluster, b.topics.Shuffle); err != nil {
		b.t.Fatal(err)
	}
}

// say says a set of filters, each given by its id and predicate.
func (b *bench) say(filters ...control.Filter) {
	b.t.Helper()
	if err := control.NoteFilters(b.t.Context(), b.log, b.topics.Control, control.NewFilterSet(filters, nil)); err != nil {
		b.t.Fatal(err)
	}
}

// passes lists, by event time, the filters that clicks at it were said to pass, each
// time they were sent.
func (b *bench) passes() map[int64][]string {
	out := map[int64][]string{}
	for shard := range int32(2) {
		for _, s := range b.sections(shard) {
			for c := (click.Routed{}); s.Clicks.Next(&c); {
				var ids []string
				for i, id := range c.Filters {
					if c.Mask>>i&1 == 1 {
						ids = append(ids, id)
					}
				}
				out[c.Time] = append(out[c.Time], strings.Join(ids, " "))
			}
		}
	}
	return out
}

// Filters that are said while clicks come hold from the end of what is open. A mapper
// that runs takes them up by itself; who maps the same clicks again, before and after,
// says the same of each.
func TestFilters(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, began := newBench(t), time.Now().Truncate(time.Minute)
		b.settle()
		if err := control.Open(t.Context(), b.log, b.topics.Control, 0); err != nil {
			t.Fatal(err)
		}
		b.say(control.Filter{ID: "kr", Where: `country == "KR"`}, control.Filter{ID: "all", Where: "true"})
		time.Sleep(30 * time.Minute)
		put := func(minute int) {
			at := began.UnixMilli() + int64(minute)*60_000
			b.put(fmt.Sprintf(`{"event_id":"%d","ad_id":"ad","ts":%d,"country":"KR"}`, minute, at))
		}
		put(10)
		if err := b.run(time.Second); err != nil {
			t.Fatal(err)
		}
		b.say(control.Filter{ID: "korea", Where: `country == "KR"`})
		for m := 10; m < 20; m++ {
			put(m)
		}
		put(12) // out of order, after minutes of the new set were opened
		crash := errors.New("the positions are away")
		b.log.OnCommit = func(_, _ string, _ int32, at stream.Position) error {
			if at.Offset > 1 { // all has been sent
				return crash
			}
			return nil
		}
		b.m = b.mapper()
		if err := b.run(10 * time.Second); err == nil {
			t.Fatal("it did not crash")
		}
		b.log.OnCommit = nil
		b.m = b.mapper()
		if err := b.run(10 * time.Second); err != nil {
			t.Fatal(err)
		}
		facts, err := control.Load(t.Context(), b.log, b.topics.Control)
		if err != nil {
			t.Fatal(err)
		}
		now, _ := facts.Filters()
		change := (now.From - began.UnixMilli()) / 60_000
		if change <= 10 || change >= 19 {
			t.Fatalf("the new filters hold from minute %d", change)
		}
		said := b.passes()
		for m := int64(10); m < 20; m++ {
			want := "all kr"
			if m >= change {
				want = "korea"
			}
			sent := said[began.UnixMilli()+m*60_000]
			if len(sent) < 2 {
				t.Errorf("minute %d was sent %d times", m, len(sent))
			}
			for _, got := range sent {
				if got != want {
					t.Errorf("minute %d passes %q, want %q", m, got, want)
				}
			}
		}
	})
}

// Filters that this release cannot read stop a source before it maps a click by
// others. Such that never held do not matter.
func TestUnreadableFilters(t *testing.T) {
	t.Parallel()
	for held, wanted := range map[bool]error{true: ErrFilters, false: nil} {
		synctest.Test(t, func(t *testing.T) {
			b, began := newBench(t), time.Now()
			b.settle()
			if err := control.Open(t.Context(), b.log, b.topics.Control, 0); err != nil {
				t.Fatal(err)
			}
			b.say(control.Filter{ID: "new", Where: `country soundsLike "KR"`})
			if !held {
				b.say(control.Filter{ID: "old", Where: `country == "KR"`})
			}
			b.put(clickOf(1, 0, began))
			err := b.run(time.Second)
			if !errors.Is(err, wanted) || held && !strings.Contains(err.Error(), "filter new: line 1, column 9") {
				t.Errorf("held: %v: %v", held, err)
			}
			if sent := len(b.passes()); held != (sent == 0) {
				t.Errorf("held: %v: %d clicks were sent", held, sent)
			}
		})
	}
}
