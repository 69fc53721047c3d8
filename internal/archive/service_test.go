package archive

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/internal/stream/memory"
)

// at is a clock that stands, and whose sleepers sleep until a test lets none wait any more.
type at struct {
	now    time.Time
	sleeps int
	end    context.CancelFunc
}

func (a *at) Now() time.Time { return a.now }

func (a *at) Sleep(ctx context.Context, d time.Duration) error {
	if d == Interval {
		if a.sleeps--; a.sleeps <= 0 {
			a.end()
		}
	}
	return ctx.Err()
}

// TestService: how far the log and the raw store have come decides what is archived; topics that
// are gone are archived wholly, and one source's fault is no other's.
func TestService(t *testing.T) {
	t.Parallel()
	log := &memory.Log{}
	log.Create("clicks", 2)
	for p := range int32(2) {
		if err := log.Append(t.Context(), "clicks", []stream.Message{{Partition: p, Value: []byte("1")}, {Partition: p, Value: []byte("2")}}); err != nil {
			t.Fatal(err)
		}
	}
	topic, err := log.Topic(t.Context(), "clicks")
	if err != nil {
		t.Fatal(err)
	}
	whole, behind := click.Source{Topic: "clicks", ID: topic.ID}, click.Source{Topic: "clicks", ID: topic.ID, Partition: 1}
	older, gone := click.Source{Topic: "clicks", ID: click.TopicID{7}}, click.Source{Topic: "gone"}
	for partition, stored := range []int64{2, 1} {
		if err := log.Commit(t.Context(), "g", "clicks", int32(partition), stream.Position{Offset: stored}); err != nil {
			t.Fatal(err)
		}
	}
	raw := shelf{}
	for _, s := range []click.Source{whole, behind, older, gone} {
		raw[s] = []click.Record{{Offset: 0, Append: base}, {Offset: 1, Append: base + 1}}
	}
	blobs := newAttic()
	ctx, end := context.WithCancel(t.Context())
	defer end()
	clock := &at{time.UnixMilli(base + 3*hour), 2, end}
	s := &Service{Archiver: archiver(t, raw, blobs), Log: log, Group: "g", After: 2 * time.Hour, Skew: time.Second}
	s.clock = clock
	want := func(until map[click.Source]int64) {
		t.Helper()
		got, strangers, err := Archived(t.Context(), blobs)
		if err != nil || len(strangers) > 0 {
			t.Fatal(strangers, err)
		}
		for _, source := range []click.Source{whole, behind, older, gone} {
			if got[source] != until[source] {
				t.Errorf("%v of %v is archived up to %d, want %d", source, source.ID, got[source], until[source])
			}
		}
	}
	if err := s.Pass(ctx, func(*Manifest) {}); err != nil {
		t.Fatal(err)
	}
	want(nil) // not old enough, by a second
	clock.now = clock.now.Add(time.Second)
	blobs.before = func(verb, name string) error {
		if verb == "put" && strings.Contains(name, "gone.") {
			return errKilled
		}
		return nil
	}
	if err := s.Pass(ctx, func(*Manifest) {}); !errors.Is(err, errKilled) || !strings.Contains(err.Error(), "archive gone/0: ") {
		t.Error(err)
	}
	want(map[click.Source]int64{whole: 2, older: 2})
	blobs.before = nil
	if err := log.Commit(t.Context(), "g", "clicks", 1, stream.Position{Offset: 2}); err != nil {
		t.Fatal(err)
	}
	if err := s.Run(ctx); err != nil {
		t.Fatal(err)
	}
	want(map[click.Source]int64{whole: 2, older: 2, behind: 2, gone: 2})
	s.Log = nil
	if reach, err := s.reach(t.Context(), whole); err != nil || reach.Whole {
		t.Errorf("without a log: %+v, %v", reach, err)
	}
}

// TestArchivedOfRenamed: while a manifest has another name, a raw store lets go of nothing of its source; what lies elsewhere holds up nobody.
func TestArchivedOfRenamed(t *testing.T) {
	t.Parallel()
	blobs, raw := newAttic(), history(1)
	a, b := source("clicks.eu", 0), source("clicks.eu", 1)
	for _, s := range []click.Source{a, b} {
		if _, err := archiver(t, raw, blobs).Source(t.Context(), s, far, func(*Manifest) {}); err != nil {
			t.Fatal(err)
		}
	}
	blobs.blobs[manifests+".DS_Store"], blobs.blobs[manifests+"notes/today"] = nil, nil
	until, strangers, err := Archived(t.Context(), blobs)
	if err != nil || len(until) != 2 || until[a] == 0 || len(strangers) > 0 {
		t.Fatalf("%v, %q, %v", until, strangers, err)
	}
	slices, err := listSource(t.Context(), blobs, a)
	if err != nil || len(slices) < 3 {
		t.Fatal(slices, err)
	}
	name := slices[1].manifestName()
	blobs.blobs[name+".bak"] = blobs.blobs[name]
	delete(blobs.blobs, name)
	was := until[b]
	if until, strangers, err = Archived(t.Context(), blobs); err != nil || len(until) != 1 || until[b] != was || len(strangers) != 1 || strangers[0] != name+".bak" {
		t.Errorf("%v, %q, %v", until, strangers, err)
	}
}

// TestRests: an archiver rests as long as it worked.
func TestRests(t *testing.T) {
	t.Parallel()
	src := source("clicks.eu", 0)
	slow := &ticking{}
	a := archiver(t, history(1), newAttic())
	a.cfg.Rest, a.clock = 2, slow
	if _, err := a.Source(t.Context(), src, far, func(*Manifest) {}); err != nil {
		t.Fatal(err)
	}
	if slow.slept == 0 || slow.slept%(2*time.Second) != 0 {
		t.Errorf("slept %v", slow.slept)
	}
}

// ticking is a clock that goes on by a second whenever it is looked at.
type ticking struct {
	clock
	looked time.Duration
}

func (c *ticking) Now() time.Time {
	c.looked += time.Second
	return time.Unix(0, 0).Add(c.looked)
}
