package merge

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/clickagg/clickagg/internal/click"
)

// only is the configuration of a reducer that has no others beside it.
var only = Config{Reducers: 1}

func TestGap(t *testing.T) {
	t.Parallel()
	r := New(only)
	err := r.Fold(7, &click.Partial{Shard: 1, Shards: 2, Prev: 2, Position: 3})
	gap, ok := errors.AsType[*Gap](err)
	if !ok || *gap != (Gap{Shard: 1, Want: 0, Got: 2}) || !strings.Contains(err.Error(), "since its position 2, but was heard up to 0 only") {
		t.Fatalf("got %v", err)
	}
	if !bytes.Equal(r.AppendSnapshot(nil), New(only).AppendSnapshot(nil)) {
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
		r := New(only)
		if err := r.Fold(0, &p); !errors.Is(err, click.ErrWire) {
			t.Errorf("%s: got %v", name, err)
		}
		if !bytes.Equal(r.AppendSnapshot(nil), New(only).AppendSnapshot(nil)) {
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
		r := New(only)
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
	r := New(only)
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
		if _, err := Restore(only, whole[:i]); !errors.Is(err, click.ErrWire) {
			t.Fatalf("cut at %d of %d: %v", i, len(whole), err)
		}
	}
	if _, err := Restore(only, append(bytes.Clone(whole), 0)); !errors.Is(err, click.ErrWire) {
		t.Fatalf("one byte too many: %v", err)
	}
	other := only
	other.Reducer, other.Reducers = 1, 2
	if _, err := Restore(other, whole); err == nil || !strings.Contains(err.Error(), "reducer.partitions") {
		t.Fatalf("another reducer's: %v", err)
	}
}

// TestTopComesWithThePartial: a list that was said short ends the ranking, and
// grows again with what the shards say next.
func TestTopComesWithThePartial(t *testing.T) {
	t.Parallel()
	r := New(only)
	rows := []click.Row{{Ad: []byte("a"), Count: 9}, {Ad: []byte("b"), Count: 2}, {Ad: []byte("c"), Count: 1}}
	for i, top := range []int64{2, 3, 1} {
		p := click.Partial{
			Shards: 1, Prev: int64(i), Position: int64(i) + 1, At: int64(i) * 5000, Top: top, Tick: 1000, Last: true, Watermark: click.None,
			Windows: []click.WindowPart{{
				Filter: click.FilterAll, Size: minute, State: click.Provisional, Revision: 1, Clicks: 12, Ads: 3, Top: rows[:top],
			}},
		}
		if err := r.Fold(int64(i), &p); err != nil {
			t.Fatal(err)
		}
		if got := r.Out().Rankings; len(got) != 1 || len(got[0].Top) != int(top) {
			t.Errorf("with top %d: %+v", top, got)
		}
	}
}

// A part of an emission that is not in the log is a loss as well. Whatever two who
// run one shard and one who begins anew mix up is none.
func TestChunks(t *testing.T) {
	t.Parallel()
	chunk := func(prev, position int64, chunk int32, last bool) click.Partial {
		return click.Partial{Shards: 1, Prev: prev, Position: position, Chunk: chunk, Last: last, Watermark: click.None, Closed: click.None}
	}
	a0, a1, a2 := chunk(0, 5, 0, false), chunk(0, 5, 1, false), chunk(0, 5, 2, true)
	b0, b1 := chunk(5, 9, 0, false), chunk(5, 9, 1, true)
	wide0, wide1 := chunk(0, 5, 0, false), chunk(0, 5, 1, true) // as one says it whose records are larger
	for name, c := range map[string]struct {
		log  []click.Partial
		lost int // which one shows a loss; -1 for none
	}{
		"in order":                      {[]click.Partial{a0, a1, a2, b0, b1}, -1},
		"two in step":                   {[]click.Partial{a0, a0, a1, a1, a2, a2, b0, b0, b1, b1}, -1},
		"two, one behind":               {[]click.Partial{a0, a1, a0, a2, a1, b0, a2, b1, b0, b1}, -1},
		"one dies, another begins":      {[]click.Partial{a0, a1, a0, a1, a2, b0, b1}, -1},
		"one dies in the first part":    {[]click.Partial{a0, a0, a1, a2, b0, b1}, -1},
		"records of two sizes":          {[]click.Partial{a0, wide0, a1, wide1, a2, b0, b1}, -1},
		"the first part is lost":        {[]click.Partial{a1, a2}, 0},
		"a part is lost":                {[]click.Partial{a0, a2}, 1},
		"a part is lost, another heard": {[]click.Partial{a0, a0, a2}, 2},
		"the last part is lost":         {[]click.Partial{a0, a1, b0}, 2},
		"the first of the next is lost": {[]click.Partial{a0, a1, a2, b1}, 3},
		"positions of another program":  {[]click.Partial{a0, chunk(0, 4, 0, true), a1}, 2},
	} {
		r := New(only)
		lost := -1
		for i := range c.log {
			err := r.Fold(int64(i), &c.log[i])
			if err != nil {
				if _, ok := errors.AsType[*Gap](err); !ok {
					t.Fatalf("%s: %v", name, err)
				}
				lost = i
				break
			}
			r.Out()
			again, err := Restore(only, r.AppendSnapshot(nil)) // in the middle of an emission, too
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			r = again
		}
		if lost != c.lost {
			t.Errorf("%s: a loss at %d, want %d", name, lost, c.lost)
		}
		if last := c.log[len(c.log)-1]; lost < 0 && r.shards[0].said != last.Position {
			t.Errorf("%s: heard up to %d", name, r.shards[0].said)
		}
	}
}

// rich makes a reducer with something in every field of its state.
func rich(tb testing.TB) *Reducer {
	tb.Helper()
	_, log := history(4, 5)
	r := New(only)
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
	f.Add(New(only).AppendSnapshot(nil))
	f.Add(rich(f).AppendSnapshot(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := Restore(only, b)
		if err != nil || b[0] < snapshotVersion {
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
		r := New(only)
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
		s, err := Restore(only, kept)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(s.AppendSnapshot(nil), kept) {
			t.Fatal("restored another state")
		}
	})
}
