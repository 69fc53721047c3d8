package status

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/clickagg/clickagg/internal/api"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/internal/stream/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func source(received, routed int64) Account {
	return newAccount(click.Source{Topic: "clicks", Partition: 3}, &click.Account{Received: received, Routed: routed})
}

func mapped(received, routed int64) Entry {
	a := source(received, routed)
	return Entry{Role: RoleMapper, Partition: api.Partition{Topic: "clicks", Partition: 3}, Account: &a, Said: now}
}

func shard(number int32, group string, next, received, counted int64) Entry {
	return Entry{
		Role: RoleAggregator, Partition: api.Partition{Topic: "shuffle", Partition: number, Group: group, Next: next}, Said: now,
		Tallies: []Tally{{Account: source(received, received), Counted: counted}},
	}
}

// Shards that got further than the mapper had when it spoke are no fault in the
// accounts, and a standby is not counted beside the shard it stands by.
func TestAccounts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		entries           []Entry
		received, pending int64
		holds             bool
	}{
		"none was heard":       {[]Entry{mapped(10, 10)}, 10, 10, true},
		"shards behind":        {[]Entry{mapped(10, 10), shard(0, "", 1, 8, 5), shard(1, "", 1, 8, 3)}, 10, 2, true},
		"one shard ahead":      {[]Entry{mapped(10, 10), shard(0, "", 1, 30, 20), shard(1, "", 1, 8, 3)}, 30, 7, true},
		"all shards ahead":     {[]Entry{mapped(10, 10), shard(0, "", 1, 30, 20), shard(1, "", 1, 30, 10)}, 30, 0, true},
		"the mapper is gone":   {[]Entry{shard(0, "", 1, 30, 20)}, 30, 10, true},
		"a standby behind":     {[]Entry{mapped(10, 10), shard(0, "", 5, 10, 10), shard(0, "b", 4, 9, 9)}, 10, 0, true},
		"a standby ahead":      {[]Entry{mapped(10, 10), shard(0, "", 3, 8, 8), shard(0, "b", 4, 9, 9)}, 10, 1, true},
		"a click twice":        {[]Entry{mapped(10, 10), shard(0, "", 1, 10, 11)}, 10, -1, false},
		"a record disappeared": {[]Entry{mapped(11, 10)}, 11, 10, false},
		"a reducer found one": {
			[]Entry{mapped(10, 10), {Role: RoleReducer, Broken: "clicks/3", Said: now}}, 10, 10, false,
		},
	} {
		st := Merge(now, c.entries, Installation{})
		if len(st.Accounting) != 1 {
			t.Fatalf("%s: %+v", name, st.Accounting)
		}
		if a := st.Accounting[0]; a.Source != "clicks/3" || a.Received != c.received || a.Pending != c.pending || a.Holds != c.holds {
			t.Errorf("%s: %+v", name, a)
		}
	}
	// Case: every verdict and every reason has its place.
	a := click.Account{Received: 20, Marks: 1, Late: 2, Routed: 14}
	a.Rejected[click.Malformed] = 3
	account := newAccount(click.Source{Topic: "clicks", Partition: 3}, &a)
	st := Merge(now, []Entry{
		{Role: RoleMapper, Account: &account},
		{Role: RoleAggregator, Tallies: []Tally{{Account: account, Counted: 8, Duplicate: 2, Conflict: 1, Crowded: 1, Stale: 1}}},
	}, Installation{})
	want := api.Accounting{
		Source: "clicks/3", Received: 20, Marks: 1, Late: 2, Rejected: 3,
		Counted: 8, Duplicate: 2, Conflict: 1, Crowded: 1, Stale: 1, Pending: 1, Holds: true,
	}
	if st.Accounting[0] != want || st.Rejected["malformed"] != 3 {
		t.Errorf("got %+v %v, want %+v", st.Accounting[0], st.Rejected, want)
	}
}

func TestParts(t *testing.T) {
	t.Parallel()
	in := Installation{Parts: map[string][]stream.Partition{
		RoleMapper: {{Topic: "clicks", Number: 3}}, RoleAggregator: {{Topic: "shuffle", Number: 0}, {Topic: "shuffle", Number: 1}},
	}}
	old := shard(0, "", 7, 1, 1)
	old.Said = now.Add(-time.Second)
	held := func(entries ...Entry) string { return Merge(now, entries, in).HoldsBack }

	// Case: of two entries of one part the newer counts.
	st := Merge(now, []Entry{shard(0, "", 9, 1, 1), old}, in)
	if got := st.Roles[1].Partitions; len(got) != 2 || got[0].Next != 9 || got[1].State != "nobody works on it" {
		t.Errorf("%+v", got)
	}
	// Case: what nobody works on holds everything back, and so does what is silent.
	if got := held(shard(0, "", 9, 1, 1)); !strings.HasPrefix(got, "mapper clicks/3: nobody works on it") {
		t.Error(got)
	}
	if got := held(mapped(1, 1), shard(0, "", 9, 1, 1)); !strings.HasPrefix(got, "aggregator shuffle/1: nobody works on it") {
		t.Error(got)
	}
	silent := mapped(1, 1)
	silent.Said = now.Add(-time.Minute)
	if got := held(silent, shard(0, "", 9, 1, 1), shard(1, "", 9, 1, 1)); !strings.HasPrefix(got, "mapper clicks/3: silent for 1m0s") {
		t.Error(got)
	}
	// Case: a silent shard with a standby that speaks holds nothing back; then the slowest shard says why.
	silent = shard(1, "", 9, 1, 1)
	silent.Said = now.Add(-time.Minute)
	standby := shard(1, "b", 9, 1, 1)
	standby.Partition.HoldsBack = "clicks/3"
	ahead := shard(0, "", 9, 1, 1)
	ahead.Partition.Watermark = &now
	if got := held(mapped(1, 1), ahead, silent, standby); got != "clicks/3" && got != "" {
		t.Error(got)
	}
}

// flaky fails the first appends.
type flaky struct {
	stream.Log
	faults int
}

func (f *flaky) Append(ctx context.Context, topic string, m []stream.Message) error {
	if f.faults--; f.faults >= 0 {
		return errors.New("away")
	}
	return f.Log.Append(ctx, topic, m)
}

func TestPublishAndFollow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := new(memory.Log)
		log.Create("status", 1)
		for _, old := range []string{"{", `{"role":"mapper"}`} { // said before anybody followed, or by another release
			if err := log.Append(t.Context(), "status", []stream.Message{{Value: []byte(old)}}); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		board := NewBoard()
		next := int64(0)
		collect := func() []Entry {
			next++
			if next > 100 {
				return nil // moved on
			}
			return []Entry{shard(0, "b", next, 1, 1)}
		}
		done := make(chan error, 2)
		go func() { done <- Follow(ctx, log, "status", board) }()
		go func() { done <- Publish(ctx, &flaky{log, 2}, "status", collect, stream.Wall{}, zap.NewNop()) }()

		// Case: a fault is got over, and the newest word is on the board.
		time.Sleep(5*time.Second + 500*time.Millisecond)
		got := board.Entries()
		if len(got) != 1 || got[0].Partition.Next != 5 || got[0].Partition.Group != "b" || time.Since(got[0].Said) > 2*time.Second {
			t.Fatalf("%+v", got)
		}
		// Case: who says nothing for long is forgotten once others speak.
		time.Sleep(200 * time.Second)
		if err := log.Append(t.Context(), "status", []stream.Message{{Value: []byte(`{"role":"writer"}`)}}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := board.Entries(); len(got) != 1 || got[0].Role != RoleWriter {
			t.Fatalf("%+v", got)
		}
		cancel()
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
}

// TestFollowWaitsForItsTopic: one that was deleted ends no process.
func TestFollowWaitsForItsTopic(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := new(memory.Log)
		ctx, cancel := context.WithCancel(t.Context())
		board := NewBoard()
		done := make(chan error, 1)
		go func() { done <- Follow(ctx, log, "status", board) }()
		time.Sleep(time.Minute)
		log.Create("status", 1)
		time.Sleep(2 * readWait)
		if err := log.Append(t.Context(), "status", []stream.Message{{Value: []byte(`{"role":"writer"}`)}}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := board.Entries(); len(got) != 1 {
			t.Errorf("%+v", got)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// Raw records are kept or not: a role that nobody runs is not missed, one that is
// silent is shown, and no window waits for it.
func TestRawHoldsNothingBack(t *testing.T) {
	t.Parallel()
	in := Installation{Parts: map[string][]stream.Partition{RoleRaw: {{Topic: "clicks", Number: 3}, {Topic: "clicks", Number: 4}}}}
	entries := []Entry{shard(0, "", 1, 8, 5)}
	if st := Merge(now, entries, in); len(st.Roles) != len(order) {
		t.Errorf("%+v", st.Roles)
	}
	before := Merge(now, entries, in).HoldsBack
	entries = append(entries, Entry{Role: RoleRaw, Partition: api.Partition{Topic: "clicks", Partition: 3}, Said: now.Add(-time.Hour)})
	st := Merge(now, entries, in)
	raw := st.Roles[len(st.Roles)-1]
	if raw.Name != RoleRaw || len(raw.Partitions) != 2 || raw.Partitions[0].State != "silent for 1h0m0s" || raw.Partitions[1].Next != -1 {
		t.Errorf("%+v", raw)
	}
	if st.HoldsBack != before {
		t.Errorf("held back by %q", st.HoldsBack)
	}
}
