package window

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand"
	"os"
	"slices"
	"testing"

	"github.com/clickagg/clickagg/internal/click"
)

// state is all a shard knows, in an order that the log alone decides: two shards of
// one log have equal states, however their tables lie in memory and whether or not a
// snapshot is being taken.
func state(s *Shard) []byte {
	b := s.appendEnd(nil)
	for _, w := range s.live() {
		for i := range w.ads.entries {
			e := &w.ads.entries[i]
			b = append(append(b, w.ads.ad(e)...), 0, byte(e.Count), byte(e.Count>>8), byte(e.Count>>16))
			b = binary.BigEndian.AppendUint64(b, e.Digest)
		}
	}
	for _, w := range s.live() {
		for _, c := range w.masked.cells {
			b = fmt.Appendf(b, "%d %v %b %d %x\n", c.place, w.masked.sets[c.set].filters, c.mask, c.Count, c.Digest)
		}
	}
	for _, w := range s.windows {
		b = append(b, byte(w.number), byte(w.number>>8), byte(w.clicks), byte(w.clicks>>8))
	}
	var ids []slot
	for i := range s.ids.segments {
		g := &s.ids.segments[i]
		for j, tags := range g.tags {
			for m := occupied(tags); m != 0; m &= m - 1 {
				if c := g.slots[j*groupSlots+first(m)]; int64(c.window) >= s.forgotten {
					ids = append(ids, c)
				}
			}
		}
	}
	slices.SortFunc(ids, func(a, b slot) int {
		return cmp.Or(cmp.Compare(a.hi, b.hi), cmp.Compare(a.lo, b.lo), cmp.Compare(a.window, b.window))
	})
	return appendIDs(b, ids)
}

// A snapshot whose pieces are taken between Folds is the state at the last piece,
// whatever was folded meanwhile.
func TestSnapshotInPieces(t *testing.T) {
	t.Parallel()
	pieces, meanwhile := 0, 0
	for seed := range int64(300) {
		rng := rand.New(rand.NewSource(seed))
		cfg := randomSetting(rng)
		s, undisturbed := New(cfg.Config), New(cfg.Config)
		var taking *Snapshot
		var b []byte
		var began int64
		size := 1 + rng.Intn(300)
		for i, record := range story(rng, cfg, 60) {
			mustFold(t, s, record)
			mustFold(t, undisturbed, record)
			if !bytes.Equal(drain(s), drain(undisturbed)) {
				t.Fatalf("seed %d, record %d: a snapshot changed what is said", seed, i)
			}
			if taking == nil {
				taking, b, began = s.Snapshot(), nil, s.Position()
			}
			for range rng.Intn(6) {
				var whole bool
				b, whole = taking.Append(b, size)
				pieces++
				if !whole {
					continue
				}
				again, err := Restore(cfg.Config, b)
				if err != nil {
					t.Fatalf("seed %d, record %d: %v", seed, i, err)
				}
				if !bytes.Equal(state(again), state(s)) {
					t.Fatalf("seed %d: taken from record %d to %d: restored\n%q\nis\n%q", seed, began, i, state(again), state(s))
				}
				if s.Position() > began {
					meanwhile++
				}
				s = again // and goes on from there
				taking = nil
				break
			}
		}
	}
	if meanwhile < 200 || pieces < 1000 {
		t.Errorf("%d snapshots were taken over several records, in %d pieces", meanwhile, pieces)
	}
}

// A snapshot that was given up takes no more pieces, and does not disturb the next.
func TestSnapshotGivenUp(t *testing.T) {
	t.Parallel()
	traffic, s := newTraffic(2_000), New(production)
	mustFold(t, s, traffic.section(5_000))
	old := s.Snapshot()
	old.Append(nil, 1_000)
	mustFold(t, s, traffic.section(5_000))
	again, err := Restore(production, s.AppendSnapshot(nil))
	if err != nil || !bytes.Equal(state(again), state(s)) {
		t.Errorf("restored otherwise: %v", err)
	}
	defer func() {
		if recover() == nil {
			t.Error("a piece of what was given up")
		}
	}()
	old.Append(nil, 1_000)
}

// The same with a table that is large beside a piece, so that clicks meet every
// segment while it is about to be taken.
func TestSnapshotOfManyIDs(t *testing.T) {
	t.Parallel()
	traffic, s := newTraffic(60_000), New(production)
	for range 10 {
		mustFold(t, s, traffic.section(5_000))
	}
	taking := s.Snapshot()
	var b []byte
	for pieces := 1; ; pieces++ {
		var whole bool
		if b, whole = taking.Append(b, 8<<10); whole {
			if pieces < 100 {
				t.Errorf("%d pieces", pieces)
			}
			break
		}
		mustFold(t, s, traffic.section(1_000))
		s.Out()
	}
	again, err := Restore(production, b)
	if err != nil || !bytes.Equal(state(again), state(s)) {
		t.Errorf("restored otherwise: %v", err)
	}
}

// Snapshots of the releases before there were filters, and before there were digests, are read,
// and written anew. What was counted without a digest has none, however it goes on.
func TestRestoreOlder(t *testing.T) {
	t.Parallel()
	for _, version := range []byte{unmaskedVersion, undigestedVersion} {
		text, err := os.ReadFile(fmt.Sprintf("testdata/snapshot-%d.hex", version))
		if err != nil {
			t.Fatal(err)
		}
		old, err := hex.DecodeString(string(text))
		if err != nil {
			t.Fatal(err)
		}
		cfg := Config{Shard: 1, Shards: 3, Reducers: 2, Size: 1000, Filter: click.FilterAll}
		s, err := Restore(cfg, old)
		if err != nil || old[0] != version {
			t.Fatalf("version %d: %v", old[0], err)
		}
		if st := s.Status(); st.Windows < 2 || st.IDs < 5 || st.Ads < 3 {
			t.Errorf("%+v", st)
		}
		again, err := Restore(cfg, s.AppendSnapshot(nil))
		if err != nil || !bytes.Equal(state(again), state(s)) {
			t.Errorf("version %d, written anew and restored: %v", version, err)
		}
		w := s.live()[0]
		ad := bytes.Clone(w.ads.ad(&w.ads.entries[0]))
		known, added := w.ads.add(click.HashAd(ad, s.seed), ad, 7, 1000), w.ads.add(click.HashAd([]byte("new"), s.seed), []byte("new"), 7, 1000)
		if w.ads.entries[known].Known() || w.ads.entries[added].Sum != (click.Sum{Count: 1, Digest: 7}) {
			t.Errorf("version %d: then %+v and %+v", version, w.ads.entries[known], w.ads.entries[added])
		}
	}
}
