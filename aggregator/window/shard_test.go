package window

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand"
	"testing"

	"github.com/clickagg/clickagg/internal/click"
)

func TestFoldAllocatesNothingPerClick(t *testing.T) {
	const perMin, size = 20_000, 5_000
	traffic, s := newTraffic(perMin), New(production)
	fold := func(record []byte) {
		mustFold(t, s, record)
		s.Out()
	}
	for range 20 * perMin / size {
		fold(traffic.section(size))
	}
	var records [][]byte
	for range 41 {
		records = append(records, traffic.section(size))
	}
	n := 0
	perSection := testing.AllocsPerRun(40, func() {
		fold(records[n])
		n++
	})
	// A few per section: windows come and go, tables are built anew.
	if perSection > size/50 {
		t.Errorf("%v allocations in a section of %d clicks", perSection, size)
	}
}

func TestRestoreRefuses(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewSource(3))
	set := randomSetting(rng)
	cfg := set.Config
	s := New(cfg)
	for _, record := range story(rng, set, 20) {
		mustFold(t, s, record)
	}
	good := s.AppendSnapshot(nil)
	for name, change := range map[string]func(c *Config){
		"another shard":              func(c *Config) { c.Shard = 0 },
		"another number of shards":   func(c *Config) { c.Shards++ },
		"another number of reducers": func(c *Config) { c.Reducers++ },
		"another window size":        func(c *Config) { c.Size *= 2 },
	} {
		other := cfg
		change(&other)
		if _, err := Restore(other, good); !errors.Is(err, ErrSnapshot) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for n := range good {
		if _, err := Restore(cfg, good[:n]); !errors.Is(err, ErrSnapshot) {
			t.Errorf("cut at %d: %v", n, err)
		}
	}
	if _, err := Restore(cfg, append(bytes.Clone(good), 0)); !errors.Is(err, ErrSnapshot) {
		t.Errorf("a byte too many: %v", err)
	}
	newer := append([]byte{snapshotVersion + 1}, good[1:]...)
	if _, err := Restore(cfg, newer); !errors.Is(err, ErrSnapshot) {
		t.Errorf("newer version: %v", err)
	}
}

// A large window is said in several partials of the same positions, with the
// watermark and the ranked list in the last one only.
func TestLargeWindowIsCut(t *testing.T) {
	t.Parallel()
	cfg := production
	cfg.Reducers = 1
	s := New(cfg)
	const ads = 40_000
	sec := click.Section{Start: 0, End: ads, Watermark: 60_000, Closed: click.None, Sources: 1, Rules: usual}
	sec.Clicks.Reset(0)
	for i := range int64(ads) {
		sec.Clicks.Add(&click.Routed{Offset: i, Time: 1, ID: id(i), Ad: fmt.Appendf(nil, "an-ad-with-a-long-name-%06d", (i*7919)%ads)})
	}
	mustFold(t, s, sec.Append(nil))
	out := s.Out()
	var last []byte
	rows := 0
	for i, o := range out {
		var p click.Partial
		if err := p.Parse(o.Value); err != nil {
			t.Fatal(err)
		}
		end := i == len(out)-1
		if len(o.Value) > s.cfg.PartialBytes+8*len(p.Windows[0].Rows) || p.Prev != 0 || p.Position != 1 || p.Chunk != int32(i) || p.Last != end {
			t.Errorf("partial %d: %d bytes, from %d to %d, chunk %d, last %v", i, len(o.Value), p.Prev, p.Position, p.Chunk, p.Last)
		}
		for _, w := range p.Windows {
			if w.State != click.Final || w.Clicks != ads || w.Ads != ads || (len(w.Top) > 0) != end {
				t.Errorf("partial %d: %v, %d clicks, %d ads, %d top", i, w.State, w.Clicks, w.Ads, len(w.Top))
			}
			for _, r := range w.Rows {
				if bytes.Compare(last, r.Ad) >= 0 {
					t.Fatalf("%q after %q", r.Ad, last)
				}
				last = bytes.Clone(r.Ad)
				rows++
			}
		}
	}
	if rows != ads || len(out) < 3 {
		t.Errorf("%d rows in %d partials", rows, len(out))
	}
}

func FuzzFold(f *testing.F) {
	rng := rand.New(rand.NewSource(1))
	set := randomSetting(rng)
	cfg := set.Config
	for _, record := range story(rng, set, 10) {
		f.Add(record)
	}
	f.Fuzz(func(t *testing.T, record []byte) {
		sec, err := click.ParseSection(record)
		if err != nil {
			return
		}
		s := New(cfg)
		if err := s.Fold(0, &sec); err != nil {
			if !errors.Is(err, click.ErrWire) {
				t.Fatalf("refused for another reason than its bytes: %v", err)
			}
			return // the shard is to be left: part of the section may be in it
		}
		for _, o := range s.Out() {
			if err := new(click.Partial).Parse(o.Value); err != nil {
				t.Fatal(err)
			}
		}
		tally := s.Status().Sources[0].Tally
		if tally.Total() != int64(sec.Clicks.N) {
			t.Fatalf("%d clicks, verdicts on %d", sec.Clicks.N, tally.Total())
		}
		snapshot := s.AppendSnapshot(nil)
		again, err := Restore(cfg, snapshot)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(state(again), state(s)) {
			t.Fatal("restored otherwise")
		}
	})
}

func FuzzRestore(f *testing.F) {
	rng := rand.New(rand.NewSource(2))
	set := randomSetting(rng)
	cfg := set.Config
	s := New(cfg)
	log := story(rng, set, 20)
	for _, record := range log {
		f.Add(s.AppendSnapshot(nil))
		mustFold(f, s, record)
	}
	f.Fuzz(func(t *testing.T, snapshot []byte) {
		s, err := Restore(cfg, snapshot)
		if err != nil {
			if !errors.Is(err, ErrSnapshot) {
				t.Fatal(err)
			}
			return
		}
		again, err := Restore(cfg, s.AppendSnapshot(nil))
		if err != nil || !bytes.Equal(state(again), state(s)) {
			t.Fatalf("restored otherwise: %v", err)
		}
		for _, record := range log {
			if sec, err := click.ParseSection(record); err == nil {
				_ = s.Fold(s.Position(), &sec) // a gap is as good; it must not panic
			}
		}
		s.Out()
		s.Status()
	})
}
