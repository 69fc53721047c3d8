package merge

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/clickagg/clickagg/internal/click"
)

var small = Config{Reducers: 1, Top: 5, Lateness: lateness, Tick: 1000}

func TestGap(t *testing.T) {
	t.Parallel()
	r := New(small)
	err := r.Fold(7, &click.Partial{Shard: 1, Shards: 2, Prev: 2, Position: 3})
	gap, ok := errors.AsType[*Gap](err)
	if !ok || *gap != (Gap{Shard: 1, Want: 0, Got: 2}) {
		t.Fatalf("got %v", err)
	}
	if !bytes.Equal(r.AppendSnapshot(nil), New(small).AppendSnapshot(nil)) {
		t.Fatal("a gap changed the state")
	}
}

func TestRefusedPartials(t *testing.T) {
	t.Parallel()
	row := func(ad string, n int64) click.Row { return click.Row{Ad: []byte(ad), Count: n} }
	window := func(start, size int64, top ...click.Row) click.Partial {
		return click.Partial{Shards: 1, Position: 1, Windows: []click.WindowPart{{Start: start, Size: size, Clicks: 1, Ads: 1, Top: top}}}
	}
	for name, p := range map[string]click.Partial{
		"shard out of range":     {Shard: 2, Shards: 2, Position: 1},
		"no shards":              {Position: 1},
		"no range":               {Shards: 1},
		"window without size":    window(0, 0),
		"window after all time":  window(timeMax, minute),
		"window before all time": window(timeMin-1, minute),
		"window without end":     window(0, timeMax+1),
		"list not ranked":        window(0, minute, row("a", 1), row("b", 2)),
		"tie not by bytes":       window(0, minute, row("b", 1), row("a", 1)),
		"ad twice":               window(0, minute, row("a", 1), row("a", 1)),
	} {
		r := New(small)
		if err := r.Fold(0, &p); !errors.Is(err, click.ErrWire) {
			t.Errorf("%s: got %v", name, err)
		}
		if !bytes.Equal(r.AppendSnapshot(nil), New(small).AppendSnapshot(nil)) {
			t.Errorf("%s: it changed the state", name)
		}
	}
}

func TestMisuseByTheCallerPanics(t *testing.T) {
	t.Parallel()
	p := click.Partial{Shards: 1, Position: 1, Last: true, Watermark: 5}
	for name, misuse := range map[string]func(*Reducer){
		"an offset twice":     func(r *Reducer) { _ = r.Fold(0, &p) },
		"snapshot before Out": func(r *Reducer) { r.AppendSnapshot(nil) },
	} {
		r := New(small)
		if err := r.Fold(0, &p); err != nil {
			t.Fatal(err)
		}
		func() {
			defer func() {
				if v := recover(); v == nil || !strings.HasPrefix(fmt.Sprint(v), "merge: ") {
					t.Errorf("%s: recovered %v", name, v)
				}
			}()
			misuse(r)
		}()
	}
}

func TestOutIsEmptyTheSecondTime(t *testing.T) {
	t.Parallel()
	r := New(small)
	if err := r.Fold(0, &click.Partial{Shards: 1, Position: 1, Last: true, Watermark: 5}); err != nil {
		t.Fatal(err)
	}
	if out := r.Out(); !out.Advanced || out.Watermark != 5 {
		t.Fatalf("got %+v", out)
	}
	if out := r.Out(); out.Advanced || out.Watermark != 5 {
		t.Fatalf("the second time %+v", out)
	}
}

func TestRestoreRefuses(t *testing.T) {
	t.Parallel()
	whole := rich(t).AppendSnapshot(nil)
	for i := range whole {
		if _, err := Restore(small, whole[:i]); !errors.Is(err, click.ErrWire) {
			t.Fatalf("cut at %d of %d: %v", i, len(whole), err)
		}
	}
	if _, err := Restore(small, append(bytes.Clone(whole), 0)); !errors.Is(err, click.ErrWire) {
		t.Fatalf("one byte too many: %v", err)
	}
	other := small
	other.Reducer, other.Reducers = 1, 2
	if _, err := Restore(other, whole); err == nil || !strings.Contains(err.Error(), "reducer.partitions") {
		t.Fatalf("another reducer's: %v", err)
	}
}

// TestRestoreWithAnotherTop: a list that was kept short ends the ranking, and
// grows again with what the shards say next.
func TestRestoreWithAnotherTop(t *testing.T) {
	t.Parallel()
	say := func(r *Reducer, offset int64, at int64) []click.Ranking {
		p := click.Partial{Shards: 1, Position: offset + 1, At: at, Windows: []click.WindowPart{{
			Filter: click.FilterAll, Size: minute, State: click.Provisional, Revision: 1, Clicks: 6 + at, Ads: 3,
			Top: []click.Row{{Ad: []byte("a"), Count: 3 + at}, {Ad: []byte("b"), Count: 2}, {Ad: []byte("c"), Count: 1}},
		}}}
		if err := r.Fold(offset, &p); err != nil {
			t.Fatal(err)
		}
		return r.Out().Rankings
	}
	cfg := small
	for i, want := range []int{2, 3, 1} {
		cfg.Top = want
		r := New(cfg)
		if i > 0 {
			first := small
			first.Top = []int{0, 2, 3}[i]
			r = New(first)
			say(r, 0, 0)
			var err error
			if r, err = Restore(cfg, r.AppendSnapshot(nil)); err != nil {
				t.Fatal(err)
			}
			if got := say(r, 1, 5000); len(got) != 1 || len(got[0].Top) != want {
				t.Errorf("after top %d with top %d: %+v", first.Top, want, got)
			}
			continue
		}
		if got := say(r, 0, 0); len(got) != 1 || len(got[0].Top) != want {
			t.Errorf("with top %d: %+v", want, got)
		}
		if n := len(r.windows[0].parts[0].list); n != want {
			t.Errorf("with top %d it keeps %d", want, n)
		}
	}
}

// rich makes a reducer with something in every field of its state.
func rich(tb testing.TB) *Reducer {
	tb.Helper()
	_, log := history(4, 5)
	r := New(small)
	var p click.Partial
	for offset, rec := range log[:len(log)*2/3] {
		if err := p.Parse(rec.value); err != nil {
			tb.Fatal(err)
		}
		p.Sources = p.Sources[:0]
		for i := range int32(2) { // of two sources most clicks got lost
			p.Sources = append(p.Sources, click.Progress{
				Source: click.Source{Topic: "clicks", Partition: i}, High: 9, Watermark: 9,
				Account: click.Account{Received: 9, Routed: 9}, Tally: click.Tally{Counted: 1},
			})
		}
		if err := r.Fold(int64(offset), &p); err != nil {
			tb.Fatal(err)
		}
	}
	r.Out()
	if st := r.Status(); st.Windows < 2 || st.Broken == nil || st.Watermark == click.None || len(st.Sources) != 2 || len(st.Shards) < 2 {
		tb.Fatalf("not rich: %+v", st)
	}
	return r
}

// FuzzRestore: any bytes are refused or are the one encoding of a state that can go on.
func FuzzRestore(f *testing.F) {
	f.Add(New(small).AppendSnapshot(nil))
	f.Add(rich(f).AppendSnapshot(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := Restore(small, b)
		if err != nil {
			return
		}
		if again := r.AppendSnapshot(nil); !bytes.Equal(again, b) {
			t.Fatalf("restored from %x, written as %x", b, again)
		}
		r.Status()
		shards := int32(max(1, len(r.shards)))
		for i := range 3 {
			p := click.Partial{Shards: shards, Position: 1, At: int64(i) << 40, Last: true, Watermark: int64(i) << 44}
			if len(r.shards) > 0 {
				p.Prev = r.shards[0].said
				p.Position += p.Prev
			}
			if err := r.Fold(r.position, &p); err != nil {
				t.Fatal(err)
			}
			r.Out()
		}
	})
}

// FuzzFold: whatever the log holds, a reducer takes it or says why not, and its
// state can be kept and restored.
func FuzzFold(f *testing.F) {
	_, log := history(4, 5)
	for _, rec := range log[:10] {
		f.Add(rec.value, log[0].value)
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		r := New(small)
		for i, value := range [][]byte{a, b, a} {
			var p click.Partial
			if p.Parse(value) != nil || p.Shards > 1<<10 {
				return
			}
			if err := r.Fold(int64(i), &p); err != nil {
				return
			}
			r.Out()
		}
		kept := r.AppendSnapshot(nil)
		s, err := Restore(small, kept)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(s.AppendSnapshot(nil), kept) {
			t.Fatal("restored another state")
		}
	})
}
