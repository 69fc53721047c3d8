package writer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/zap"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/storage"
	"github.com/clickagg/clickagg/storage/carry"
	"github.com/clickagg/clickagg/storage/embedded"
)

// lenient puts records aside, so many in a row.
func (w *world) lenient(most int) Config {
	cfg := w.config()
	cfg.Refusals = carry.Refusals{Most: most, Topic: topics.Rejected, Partitions: 1}
	return cfg
}

// poisoned makes the store refuse every batch that has a count of an ad named bad.
func (w *world) poisoned() {
	w.poison = func(b *storage.Batch) bool {
		for i := range b.Results {
			if bytes.HasPrefix(b.Results[i].Ad, []byte("bad")) {
				return true
			}
		}
		return false
	}
}

// TestPutsAsideWhatNoStoreTakes: everything else is stored, and each letter is there
// before the position is.
func TestPutsAsideWhatNoStoreTakes(t *testing.T) {
	t.Parallel()
	for seed := range uint64(100) {
		rng := rand.New(rand.NewPCG(seed, 3))
		w := newWorld(t)
		w.poisoned()
		var bad []int64
		const records = 40
		for i := range int64(records) {
			w.reads = append(w.reads, 1+rng.IntN(20))
			switch n := len(bad); {
			case rng.IntN(4) > 0 || n > 1 && bad[n-1] == i-1 && bad[n-2] == i-2:
				w.result(fmt.Sprintf("good-%d", i), 0, 1, 1)
				continue
			case rng.IntN(3) == 0:
				w.add([]byte("k"), []byte("no result"), click.Header{Key: "h", Value: []byte("v")})
			default:
				w.result(fmt.Sprintf("bad-%d", i), 0, 1, 1)
			}
			bad = append(bad, i)
		}
		if err := w.run(w.lenient(2)); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if len(w.applied) != records-len(bad) || len(w.letters) != len(bad) || w.at.Offset != records {
			t.Fatalf("seed %d: %d rows and %d letters of %d records with %d bad ones, committed %d", seed, len(w.applied), len(w.letters), records, len(bad), w.at.Offset)
		}
		for i, m := range w.letters {
			h := click.MakeHeaders(m.Headers)
			offset, _ := h.Get(click.HeaderOffset)
			if string(offset) != strconv.FormatInt(bad[i], 10) || w.lettersAt[i] > int(bad[i]) || !bytes.Equal(m.Value, w.records[bad[i]].Value) {
				t.Fatalf("seed %d: letter %d of offset %s, %q, when %d was committed", seed, i, offset, m.Value, w.lettersAt[i])
			}
		}
		if v := w.views[0]; v.Refused != int64(len(bad)) || v.Rows != int64(records-len(bad)) {
			t.Fatalf("seed %d: %+v", seed, v)
		}
	}
}

// TestPutsAsideWhatIsNoWindowOfOurs: the first record of a new store decides which windows it
// keeps, so that one of another size would end every writer from then on; one of a roll-up's
// series would be answered from.
func TestPutsAsideWhatIsNoWindowOfOurs(t *testing.T) {
	t.Parallel()
	for _, foreign := range []click.Result{
		{Filter: click.FilterAll, Size: minute / 2}, {Filter: storage.Hour.Series(click.FilterAll), Size: hour},
		{Filter: storage.Day.Series(click.FilterAll), Size: minute}, {Filter: "a/b", Size: minute},
	} {
		for _, lists := range []bool{false, true} {
			store, err := embedded.Open(t.TempDir(), embedded.Options{})
			if err != nil {
				t.Fatal(err)
			}
			w := newWorld(t)
			ctx, stop := context.WithCancel(t.Context())
			w.stop = stop
			out := New(w, store, w.lenient(1), clock{w}, w.metrics, zap.NewNop())
			run := out.Results
			if f := foreign; lists {
				w.topic.Name, run = topics.Rankings, out.Rankings
				l := click.Lineage{Size: f.Size, State: click.Final, Version: 9, Reducers: 1, Shards: []int64{3}}
				r := click.Ranking{Filter: f.Filter, Size: f.Size, State: click.Final, Version: 9}
				if f.Size != minute {
					w.add(nil, l.AppendJSON(nil), click.Header{Key: click.HeaderLineage, Value: []byte("0/1")})
				} else {
					w.add(nil, r.AppendJSON(nil))
				}
				r.Filter, r.Size = click.FilterAll, minute
				w.add(nil, r.AppendJSON(nil))
			} else {
				f.Ad, f.Count, f.State, f.Version = []byte("a"), 777, click.Final, 9
				w.add(f.Ad, f.AppendJSON(nil))
				w.result("a", 0, 1, 1)
			}
			if err := run(ctx, mine); err != nil || len(w.letters) != 1 || w.at == nil || w.at.Offset != 2 {
				t.Errorf("%s of %d ms, lists %t: %d letters, %v", foreign.Filter, foreign.Size, lists, len(w.letters), err)
			}
			stop()
			if err := store.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestALetterSaysWhatWasRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.poisoned()
	w.result("bad", 0, 1, 1)
	w.records[0].Headers, w.records[0].Append = click.MakeHeaders([]click.Header{{Key: "h", Value: []byte("v")}}), 77
	if err := w.run(w.lenient(1)); err != nil {
		t.Fatal(err)
	}
	h := click.MakeHeaders(w.letters[0].Headers)
	for name, want := range map[string]string{
		"h": "v", click.HeaderReason: "refused", click.HeaderTopic: topics.Results, click.HeaderPartition: "2", click.HeaderOffset: "0",
		click.HeaderIncarnation: "0102" + strings.Repeat("0", 28), click.HeaderAppendTime: "77",
		click.HeaderDetail: "writer: offset 0: invalid batch: poison",
	} {
		if v, _ := h.Get(name); string(v) != want {
			t.Errorf("%s is %q, not %q", name, v, want)
		}
	}
}

// TestStopsWhenTooMuchIsRefused: then it is not the records that are wrong.
func TestStopsWhenTooMuchIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.poisoned()
	for i := range int64(9) {
		w.result("bad", i, 1, 1)
	}
	err := w.run(w.lenient(4))
	if !errors.Is(err, storage.ErrInvalid) || !strings.Contains(err.Error(), "offset 4: ") || !strings.Contains(err.Error(), "writer.max_refused") || len(w.letters) != 4 {
		t.Errorf("%d letters, %v", len(w.letters), err)
	}
	// Case: a store of another installation; nothing is put aside.
	w = newWorld(t)
	w.result("a", 0, 1, 1)
	w.refuse = func() (error, bool) { return fmt.Errorf("%w: the store keeps others", storage.ErrOtherSize), false }
	if err := w.run(w.lenient(4)); !errors.Is(err, storage.ErrOtherSize) || len(w.letters) > 0 || w.at != nil {
		t.Errorf("%d letters, %v", len(w.letters), err)
	}
	// Case: what cannot be put aside is not passed over.
	w = newWorld(t)
	w.poisoned()
	w.result("bad", 0, 1, 1)
	w.letterErr = errors.New("away")
	if err := w.run(w.lenient(4)); !errors.Is(err, w.letterErr) || w.at != nil {
		t.Errorf("committed %v, %v", w.at, err)
	}
}
