package merge

import (
	"errors"
	"testing"

	"github.com/clickagg/clickagg/internal/click"
)

// tell folds one shard's progress with one source.
func tell(t *testing.T, r *Reducer, shard int32, g click.Progress) {
	t.Helper()
	var said int64
	if r.shards != nil {
		said = r.shards[shard].said
	}
	p := click.Partial{Shard: shard, Shards: 3, Prev: said, Position: said + 1, Last: true, Watermark: click.None, Sources: []click.Progress{g}}
	if err := r.Fold(r.Position(), &p); err != nil {
		t.Fatal(err)
	}
	r.Out()
}

// TestForkedAccount: one offset of one source with two accounts is a broken
// identity, even where both hold.
func TestForkedAccount(t *testing.T) {
	t.Parallel()
	r := New(only)
	src := click.Source{Topic: "clicks"}
	tell(t, r, 0, click.Progress{Source: src, High: 2, Account: click.Account{Received: 2, Marks: 2}})
	tell(t, r, 1, click.Progress{Source: src, High: 1, Account: click.Account{Received: 1, Marks: 1}})
	if b := r.Status().Broken; b != nil {
		t.Fatalf("another offset has another account, and it is broken: %+v", b)
	}
	tell(t, r, 2, click.Progress{Source: src, High: 2, Account: click.Account{Received: 2, Late: 2}})
	if b := r.Status().Broken; b == nil || *b != (Broken{Source: src, High: 2, Offset: 2}) {
		t.Fatalf("got %+v", b)
	}
}

// TestSourceStatus: the shard that is furthest says what the source's account
// and watermark are, and the tallies of all are added up.
func TestSourceStatus(t *testing.T) {
	t.Parallel()
	r := New(only)
	src := click.Source{Topic: "clicks", Partition: 2}
	far := click.Account{Received: 99, Routed: 99}
	say := func(shard int32, high, watermark int64) SourceStatus {
		a := far
		if high < 99 {
			a = click.Account{Received: high, Routed: high}
		}
		tell(t, r, shard, click.Progress{Source: src, High: high, Watermark: watermark, Account: a, Tally: click.Tally{Counted: 1, Duplicate: 2, Conflict: 4, Crowded: 8, Stale: 16}})
		return r.Status().Sources[0]
	}
	say(0, 50, 700)
	say(1, 99, 600) // no partition does this, but what is further is what counts
	say(2, 50, 800)
	want := SourceStatus{
		Source: src, High: 99, Watermark: 600, Account: far,
		Tally: click.Tally{Counted: 3, Duplicate: 6, Conflict: 12, Crowded: 24, Stale: 48},
	}
	if got := r.Status().Sources[0]; got != want {
		t.Fatalf("got  %+v\nwant %+v", got, want)
	}
	if got := say(2, 99, 650); got.Watermark != 650 || got.Settled {
		t.Fatalf("a source that moves on while idle: %+v", got)
	}
	if got := say(0, 99, 640); got.Watermark != 650 || !got.Settled || got.Holds {
		t.Fatalf("a shard that heard of it earlier: %+v", got)
	}
}

// TestRestoreRefusesDisorder: a state has one encoding, so what is in another
// order is not a snapshot.
func TestRestoreRefusesDisorder(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Reducer){
		"windows":       func(r *Reducer) { r.windows[0], r.windows[1] = r.windows[1], r.windows[0] },
		"sources":       func(r *Reducer) { r.sources[0], r.sources[1] = r.sources[1], r.sources[0] },
		"a part twice":  func(r *Reducer) { w := r.windows[0]; w.parts = append(w.parts, w.parts[len(w.parts)-1]) },
		"a seat twice":  func(r *Reducer) { s := r.sources[0]; s.seats = append(s.seats, s.seats[len(s.seats)-1]) },
		"no such shard": func(r *Reducer) { r.windows[0].parts[0].shard = int32(len(r.shards)) },
		"empty list":    func(r *Reducer) { r.windows[0].parts[0].list = nil },
		"list not ranked": func(r *Reducer) {
			p := &r.windows[0].parts[0]
			p.list = append(p.list, p.list[0])
		},
		"another's accounts":   func(r *Reducer) { r.sources[0].agreed.Source = r.sources[1].name },
		"accounts with a time": func(r *Reducer) { r.sources[0].agreed.Watermark = 0 },
		"window without size":  func(r *Reducer) { r.windows[0].size = 0 },
	} {
		r := rich(t)
		if _, err := Restore(only, r.AppendSnapshot(nil)); err != nil {
			t.Fatal(err)
		}
		change(r)
		if _, err := Restore(only, r.AppendSnapshot(nil)); !errors.Is(err, click.ErrWire) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
