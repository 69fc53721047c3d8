package window

import (
	"math/rand"
	"testing"

	"github.com/clickagg/clickagg/internal/click"
)

// The table against a plain map, with ids of several windows, forgetting and
// sweeping.
func TestIDsAreAPlainSet(t *testing.T) {
	t.Parallel()
	for seed := range int64(30) {
		rng := rand.New(rand.NewSource(seed))
		table := &ids{reach: rng.Int63n(4)}
		type key struct {
			id     click.ID
			window uint32
		}
		model := map[key]uint32{}
		base := uint32(0)
		for range 20_000 {
			k := key{id(rng.Int63n(3000)), base + uint32(rng.Intn(6))}
			check := uint32(rng.Intn(2))
			want := Verdict(0)
			for w := int64(k.window) - table.reach; w <= int64(k.window)+table.reach; w++ {
				if c, ok := model[key{k.id, uint32(w)}]; ok && w >= 0 {
					if c == check {
						want = Duplicate
						break
					}
					want = Conflict
				}
			}
			if got := table.find(k.id.Digest(), k.id, check, k.window); got != want {
				t.Fatalf("seed %d: id %v window %d: %v, want %v", seed, k.id, k.window, got, want)
			}
			if want == 0 {
				table.insert(k.id.Digest(), slot{k.id.Hi, k.id.Lo, check, k.window})
				model[k] = check
			}
			if rng.Intn(500) == 0 {
				base += uint32(rng.Intn(3))
				below := int64(base) - table.reach
				table.forget(max(below, table.forgotten))
				for k := range model {
					if int64(k.window) < below {
						delete(model, k)
					}
				}
			}
			if rng.Intn(3000) == 0 { // other rules; what was forgotten stays so
				table.reach = rng.Int63n(4)
			}
			table.sweep(rng.Intn(100))
		}
		held := 0
		for i := range table.segments {
			if b := table.segments[i].append(nil, table.forgotten); len(b) > 0 {
				held += (len(b) - 5) / idBytes
			}
		}
		if held != len(model) {
			t.Fatalf("seed %d: %d ids held, want %d", seed, held, len(model))
		}
	}
}

// A steady flow takes no more and more memory, and it is given back in the end.
func TestIDsGiveMemoryBack(t *testing.T) {
	t.Parallel()
	table := &ids{reach: 10}
	fill := func(window uint32) {
		for n := range int64(200_000) {
			id := id(n + int64(window)*1_000_000)
			table.insert(id.Digest(), slot{id.Hi, id.Lo, 0, window})
		}
	}
	fill(1)
	full := table.bytes()
	if perID := full / 200_000; perID > 45 {
		t.Errorf("%d bytes per id", perID)
	}
	for window := uint32(2); window < 20; window++ {
		table.forget(int64(window))
		fill(window)
		for table.unswept > 0 {
			table.sweep(0)
		}
	}
	if table.bytes() > full*5/4 {
		t.Errorf("a steady number of ids grew from %d to %d bytes", full, table.bytes())
	}
	table.forget(100)
	for table.unswept > 0 {
		table.sweep(0)
	}
	if table.bytes() != 0 {
		t.Errorf("%d bytes are left", table.bytes())
	}
}
