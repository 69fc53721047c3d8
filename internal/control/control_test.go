package control

import (
	"errors"
	"strings"
	"testing"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/internal/stream/memory"
)

const (
	topic   = "clickagg.control"
	shuffle = "clickagg.shuffle"
)

func newLog() *memory.Log {
	l := new(memory.Log)
	l.Create(topic, 1)
	l.Create(shuffle, 2)
	return l
}

func TestSettle(t *testing.T) {
	t.Parallel()
	log, ctx := newLog(), t.Context()
	want := Cluster{Shards: 4, Reducers: 2, WindowMS: 60_000}

	// Case: the first start makes an identity and a secret.
	first, err := Settle(ctx, log, topic, want, shuffle)
	if err != nil {
		t.Fatal(err)
	}
	if c := first.Cluster; len(c.ID) != 32 || c.Secret == 0 || c.Shards != 4 {
		t.Fatalf("facts of the first start: %+v", c)
	}
	// Case: every later start finds the same.
	second, err := Settle(ctx, log, topic, want, shuffle)
	if err != nil || *second.Cluster != *first.Cluster {
		t.Fatalf("second start: %+v, %v", second.Cluster, err)
	}
	// Case: another number is refused, by name.
	for _, c := range []struct {
		change func(*Cluster)
		key    string
	}{
		{func(c *Cluster) { c.Shards = 8 }, "aggregator.shards"},
		{func(c *Cluster) { c.Reducers = 3 }, "reducer.partitions"},
		{func(c *Cluster) { c.WindowMS = 1000 }, "window.size"},
	} {
		other := want
		c.change(&other)
		_, err := Settle(ctx, log, topic, other, shuffle)
		if !errors.Is(err, ErrMismatch) || !strings.Contains(err.Error(), c.key) {
			t.Errorf("%s: %v", c.key, err)
		}
	}
}

// An installation that has counted is not given another secret.
func TestFactsLost(t *testing.T) {
	t.Parallel()
	log, ctx := newLog(), t.Context()
	if err := log.Append(ctx, shuffle, []stream.Message{{Partition: 1, Value: []byte("x")}}); err != nil {
		t.Fatal(err)
	}
	_, err := Settle(ctx, log, topic, Cluster{Shards: 2, Reducers: 1, WindowMS: 1}, shuffle)
	if !errors.Is(err, ErrLost) || !strings.Contains(err.Error(), "restore the control topic") || len(log.Records(topic, 0)) != 0 {
		t.Errorf("%v", err)
	}
}

// Two processes that start at once both write; the log decides for the first.
func TestFirstRecordCounts(t *testing.T) {
	t.Parallel()
	log, ctx := newLog(), t.Context()
	for _, id := range []string{"one", "two"} {
		if err := propose(ctx, log, topic, Cluster{ID: id, Shards: 1, Reducers: 1, WindowMS: 1}); err != nil {
			t.Fatal(err)
		}
	}
	f, err := Settle(ctx, log, topic, Cluster{Shards: 1, Reducers: 1, WindowMS: 1}, shuffle)
	if err != nil || f.Cluster.ID != "one" {
		t.Fatalf("%+v, %v", f.Cluster, err)
	}
}

func TestLive(t *testing.T) {
	t.Parallel()
	log, ctx := newLog(), t.Context()
	id := click.TopicID{1, 2, 3}
	f, err := Load(ctx, log, topic)
	if err != nil || f.LiveSince(id) != click.None {
		t.Fatalf("live before it was announced: %d, %v", f.LiveSince(id), err)
	}
	for range 2 {
		if err := AnnounceLive(ctx, log, topic, id); err != nil {
			t.Fatal(err)
		}
	}
	if f, err = Load(ctx, log, topic); err != nil {
		t.Fatal(err)
	}
	if first := log.Records(topic, 0)[0].Append; f.LiveSince(id) != first {
		t.Errorf("live since %d, the first record was appended at %d", f.LiveSince(id), first)
	}
	if f.LiveSince(click.TopicID{9}) != click.None {
		t.Error("another topic is live")
	}
}

func TestBadRecords(t *testing.T) {
	t.Parallel()
	for key, value := range map[string]string{"cluster": "{", "live/zz": "{}", "live/0102": "{}", "rules/0": "["} {
		log := newLog()
		if err := log.Append(t.Context(), topic, []stream.Message{{Key: []byte(key), Value: []byte(value)}}); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(t.Context(), log, topic); err == nil || !strings.Contains(err.Error(), "offset 0") {
			t.Errorf("%s %s: %v", key, value, err)
		}
	}
	log := newLog()
	_ = propose(t.Context(), log, topic, Cluster{ID: "x"})
	log.Cut(topic, 0, 1)
	if _, err := Load(t.Context(), log, topic); err == nil {
		t.Error("a control topic without its beginning was taken")
	}
}
