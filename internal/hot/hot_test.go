package hot

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/clickagg/clickagg/internal/control"
	"github.com/clickagg/clickagg/internal/stream/memory"
)

const topic = "clickagg.control"

// installation is a log with an installation of four shards, with minutes open up to noon.
func installation(t *testing.T) *memory.Log {
	t.Helper()
	log := new(memory.Log)
	log.Create(topic, 1)
	log.Create("clickagg.shuffle", 4)
	if _, err := List(t.Context(), log, topic); !errors.Is(err, ErrUsage) || !strings.Contains(err.Error(), "topic_prefix") {
		t.Errorf("nothing is there: %v", err)
	}
	if _, err := control.Settle(t.Context(), log, topic, control.Cluster{Shards: 4, Reducers: 1, WindowMS: 60_000}, "clickagg.shuffle"); err != nil {
		t.Fatal(err)
	}
	if _, err := Pin(t.Context(), log, topic, "a", 0); !errors.Is(err, ErrUsage) || !strings.Contains(err.Error(), "no mapper") {
		t.Errorf("nothing is open: %v", err)
	}
	if err := control.Open(t.Context(), log, topic, noon.UnixMilli()); err != nil {
		t.Fatal(err)
	}
	return log
}

var noon = time.Date(2019, 11, 24, 12, 0, 0, 0, time.UTC)

func TestPin(t *testing.T) {
	t.Parallel()
	log, ctx := installation(t), t.Context()
	for ad, shards := range map[string]int32{"": 0, "a\n": 0, strings.Repeat("a", 129): 0, "\xff": 0, "too many": 5, "too few": -1} {
		if _, err := Pin(ctx, log, topic, ad, shards); !errors.Is(err, ErrUsage) {
			t.Errorf("%q over %d: %v", ad, shards, err)
		}
	}
	if _, err := Unpin(ctx, log, topic, "a"); !errors.Is(err, ErrUsage) || !strings.Contains(err.Error(), "not pinned") {
		t.Error(err)
	}
	a, err := Pin(ctx, log, topic, "a", 0)
	if err != nil || a.Shards != 4 || !a.Pinned || !a.Operator || !a.From.Equal(noon) {
		t.Fatalf("%+v, %v", a, err)
	}
	if _, err := Pin(ctx, log, topic, "b", 1); err != nil {
		t.Fatal(err)
	}
	list, err := List(ctx, log, topic)
	if err != nil || len(list) != 2 || list[0] != a || list[1].Shards != 1 {
		t.Fatalf("%+v, %v", list, err)
	}
	if a, err = Unpin(ctx, log, topic, "a"); err != nil || a.Shards != 4 || a.Pinned {
		t.Fatalf("%+v, %v", a, err)
	}
	if _, err := Unpin(ctx, log, topic, "b"); err != nil {
		t.Fatal(err)
	}
	if list, err = List(ctx, log, topic); err != nil || len(list) != 1 || list[0] != a {
		t.Fatalf("%+v, %v", list, err)
	}
}

func TestPrint(t *testing.T) {
	t.Parallel()
	log, ctx := installation(t), t.Context()
	show := func(asJSON bool) string {
		list, err := List(ctx, log, topic)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := Print(&b, list, asJSON); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	if got := show(true); got != "[]\n" {
		t.Errorf("no ad: %q", got)
	}
	if got := show(false); !strings.Contains(got, "no ad") {
		t.Errorf("no ad: %q", got)
	}
	if err := control.NoteHot(ctx, log, topic, "x\x1b[2J", control.Hot{Shards: 2}); err != nil {
		t.Fatal(err)
	}
	if _, err := Pin(ctx, log, topic, "y", 3); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"2019-11-24T12:00:00Z", "operator, pinned", "shards"} {
		if got := show(false); !strings.Contains(got, want) || strings.Contains(got, "\x1b") {
			t.Errorf("%q lacks %q, or has what a terminal obeys", got, want)
		}
	}
	if got := show(true); !strings.Contains(got, `"ad_id": "y"`) {
		t.Error(got)
	}
}

func TestBoard(t *testing.T) {
	t.Parallel()
	log, ctx := installation(t), t.Context()
	facts, err := control.Load(ctx, log, topic)
	if err != nil {
		t.Fatal(err)
	}
	b := NewBoard(log, topic, facts)
	if ads := b.Ads(ctx); len(ads) != 0 {
		t.Error(ads)
	}
	a, err := Pin(ctx, log, topic, "a", 2)
	if err != nil {
		t.Fatal(err)
	}
	if ads := b.Ads(ctx); len(ads) != 1 || ads[0] != a {
		t.Error(ads)
	}
	log.Cut(topic, 0, 1) // it cannot be read any more
	if ads := b.Ads(ctx); len(ads) != 1 || ads[0] != a {
		t.Error(ads)
	}
}
