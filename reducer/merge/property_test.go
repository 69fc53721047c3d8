package merge

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/rank"
)

const (
	minute   = 60_000
	lateness = 3 * minute
)

// speaker is a shard as simple as can be: it counts, and says what it counted.
type speaker struct {
	rng       *rand.Rand
	shard     int32
	shards    int32
	at, told  int64 // position, and that of the last emission
	now       int64
	watermark int64
	counts    map[key]map[string]int64
	news      map[key]map[string]bool
	revised   map[key]int64 // revision of windows said to be final
	top       int
	said      [][]byte
	chunks    []int32               // per partial, its number in its emission
	lists     []map[key][]click.Row // per partial, what it said of each window
	shares    []map[key][]click.Row // likewise, its shares of the ads that are spread
}

// row is what a shard says of an ad that it counted so often. Now and then shard 0 does not know the
// digest.
func (s *speaker) row(ad string, n int64) click.Row {
	r := click.Row{Ad: []byte(ad), Count: n, Digest: uint64(n) * click.HashAd([]byte(ad), uint64(s.shard))}
	if s.shard == 0 && n%3 == 0 {
		r.Digest = 0
	}
	return r
}

// spread tells whether an ad is counted by several shards; that of some windows only.
func spread(ad string) bool { return ad[0] == 'h' }

// step counts a few clicks in windows that still take them and says so.
func (s *speaker) step() {
	for range s.rng.IntN(6) {
		k := key{start: s.watermark/minute*minute + int64(s.rng.IntN(6)-3)*minute, size: minute, filter: "000"}
		if k.start < 0 || k.end()+lateness <= s.watermark {
			continue
		}
		ad := fmt.Sprintf("s%d-%02d", s.shard, s.rng.IntN(12))
		if k.start/minute%2 == 0 && s.rng.IntN(3) == 0 {
			ad = fmt.Sprintf("hot%d", s.rng.IntN(2))
		}
		filters := []string{"000", "us"}[:1+s.rng.IntN(2)]
		for _, k.filter = range filters {
			if s.counts[k] == nil {
				s.counts[k], s.news[k] = map[string]int64{}, map[string]bool{}
			}
			s.counts[k][ad]++
			s.news[k][ad] = true
		}
	}
	s.now += int64(s.rng.IntN(2_000))
	from := s.watermark
	if s.rng.IntN(4) > 0 {
		s.watermark += int64(s.rng.IntN(minute))
	}
	s.say(from)
}

// say emits what is news, in one partial or in several.
func (s *speaker) say(from int64) {
	var parts []click.WindowPart
	for _, k := range slices.SortedFunc(maps.Keys(s.counts), key.compare) {
		ads := slices.Sorted(maps.Keys(s.news[k]))
		w := click.WindowPart{Start: k.start, Size: k.size, Filter: k.filter, State: click.Provisional, Revision: 1}
		switch {
		case s.revised[k] == 0 && s.watermark >= k.end():
			ads = slices.Sorted(maps.Keys(s.counts[k]))
			s.revised[k] = 1
			w.State = click.Final
			if from >= k.end() {
				w.State, w.Revision, s.revised[k] = click.Corrected, 2, 2
			}
		case len(ads) == 0:
			continue
		case s.revised[k] > 0:
			s.revised[k]++
			w.State, w.Revision = click.Corrected, s.revised[k]
		}
		var all []click.Row
		for ad, n := range s.counts[k] {
			w.Clicks += n
			if row := s.row(ad, n); spread(ad) {
				w.Shares = append(w.Shares, row)
			} else {
				all = append(all, row)
			}
		}
		slices.SortFunc(w.Shares, func(a, b click.Row) int { return bytes.Compare(a.Ad, b.Ad) })
		slices.SortFunc(all, rank.Order)
		w.Ads, w.Top = int64(len(all)), all[:min(s.top, len(all))]
		for _, ad := range slices.DeleteFunc(ads, spread) {
			w.Rows = append(w.Rows, s.row(ad, s.counts[k][ad]))
		}
		clear(s.news[k])
		if len(w.Rows) > 2 && s.rng.IntN(3) == 0 { // more rows than one record holds
			first := w
			first.Rows, first.Top, first.Shares, w.Rows = w.Rows[:2], nil, nil, w.Rows[2:]
			parts = append(parts, first)
		}
		parts = append(parts, w)
	}
	s.at += 1 + int64(s.rng.IntN(3))
	chunk := int32(0)
	for len(parts) > 1 && s.rng.IntN(3) == 0 {
		s.record(parts[:1], chunk, false)
		parts = parts[1:]
		chunk++
	}
	s.record(parts, chunk, true)
	s.told = s.at
}

func (s *speaker) record(parts []click.WindowPart, chunk int32, last bool) {
	p := click.Partial{
		Shard: s.shard, Shards: s.shards, Prev: s.told, Position: s.at, Chunk: chunk, At: s.now, Top: int64(s.top), Tick: 1000, Last: last,
		Watermark: s.watermark, Closed: s.watermark - lateness, Windows: parts,
	}
	lists, shares := map[key][]click.Row{}, map[key][]click.Row{}
	for _, w := range parts {
		if len(w.Top)+len(w.Shares) > 0 {
			k := key{w.Start, w.Size, w.Filter}
			lists[k], shares[k] = w.Top, w.Shares
		}
	}
	s.shares = append(s.shares, shares)
	s.said, s.chunks, s.lists = append(s.said, p.Append(nil)), append(s.chunks, chunk), append(s.lists, lists)
}

// record is one of a log, and which shard's which partial it is.
type record struct {
	value     []byte
	shard, at int
}

// history makes shards, lets them speak, and mixes their words into one log with repeats.
func history(seed uint64, top int) (speakers []*speaker, log []record) {
	rng := rand.New(rand.NewPCG(seed, 1))
	shards := 1 + rng.IntN(4)
	for i := range shards {
		s := &speaker{
			rng: rng, shard: int32(i), shards: int32(shards), top: top,
			counts: map[key]map[string]int64{}, news: map[key]map[string]bool{}, revised: map[key]int64{},
		}
		for range 20 {
			s.step()
		}
		s.watermark = max(s.watermark, 20*minute) // every window closes
		s.say(20 * minute)
		speakers = append(speakers, s)
	}
	next := make([]int, shards)
	for {
		i := rng.IntN(shards)
		if next[i] == len(speakers[i].said) {
			if i = slices.IndexFunc(speakers, func(s *speaker) bool { return next[s.shard] < len(s.said) }); i < 0 {
				return speakers, log
			}
		}
		if back := rng.IntN(8); back < 4 { // a restarted or doubled shard says it all again from here
			next[i] = max(0, next[i]-back)
			for speakers[i].chunks[next[i]] > 0 { // an emission from its beginning
				next[i]--
			}
		}
		log = append(log, record{speakers[i].said[next[i]], i, next[i]})
		next[i]++
	}
}

// render makes an output comparable.
func render(out *Output) []byte {
	b := fmt.Appendf(nil, "watermark %d %v\n", out.Watermark, out.Advanced)
	for i := range out.Results {
		b = append(out.Results[i].AppendJSON(b), '\n')
	}
	for i := range out.Rankings {
		b = append(out.Rankings[i].AppendJSON(b), '\n')
	}
	for i := range out.Lineages {
		b = append(out.Lineages[i].AppendJSON(b), '\n')
	}
	return b
}

// feeder folds records through one buffer, as a stage does.
type feeder struct {
	r      *Reducer
	p      click.Partial
	buffer []byte
}

func (f *feeder) fold(t *testing.T, offset int, rec record) *Output {
	t.Helper()
	for i := range f.buffer {
		f.buffer[i] = 0xff // a view that was kept shows
	}
	f.buffer = append(f.buffer[:0], rec.value...)
	if err := f.p.Parse(f.buffer); err != nil {
		t.Fatal(err)
	}
	if err := f.r.Fold(int64(offset), &f.p); err != nil {
		t.Fatalf("offset %d: %v", offset, err)
	}
	return f.r.Out()
}

// TestAnyInterleaving holds the output of any mixture of the shards' words
// against a recount of what the shards counted.
func TestAnyInterleaving(t *testing.T) {
	t.Parallel()
	for seed := range uint64(120) {
		speakers, log := history(seed, 5)
		f := feeder{r: New(only)}
		results := map[string]click.Result{}
		rankings := map[key]click.Ranking{}
		heard := make([]int, len(speakers))
		watermark := int64(click.None)
		for offset, rec := range log {
			out := f.fold(t, offset, rec)
			heard[rec.shard] = max(heard[rec.shard], rec.at+1)
			for _, res := range out.Results {
				res.Ad = bytes.Clone(res.Ad)
				results[fmt.Sprint(res.Start, res.Filter, " ", string(res.Ad))] = res
			}
			for _, k := range out.Rankings {
				w := key{k.Start, k.Size, k.Filter}
				if want := slowRanking(speakers, heard, w, 5); !slices.EqualFunc(k.Top, want, equalRows) {
					t.Fatalf("seed %d, offset %d, window %v: ranking %v, recounted %v", seed, offset, w, k.Top, want)
				}
				checkSuccession(t, rankings, w, k, out.Watermark)
				for i := range k.Top {
					k.Top[i].Ad = bytes.Clone(k.Top[i].Ad)
				}
				k.Top = slices.Clone(k.Top)
				rankings[w] = k
			}
			checkLineages(t, out, f.r.Status().Shards)
			if out.Advanced != (out.Watermark > watermark) || out.Watermark < watermark {
				t.Fatalf("seed %d, offset %d: watermark %d after %d, advanced %v", seed, offset, out.Watermark, watermark, out.Advanced)
			}
			watermark = out.Watermark
			for w, k := range rankings {
				if w.end() <= watermark && k.State == click.Provisional {
					t.Fatalf("seed %d, offset %d: window %v is not final at watermark %d", seed, offset, w, watermark)
				}
			}
		}
		compareWithTruth(t, seed, speakers, results, rankings)
		if st := f.r.Status(); st.Unranked != 0 {
			t.Fatalf("seed %d: %d windows were not ranked", seed, st.Unranked)
		}
	}
}

// checkLineages tells whether each window that is final in the rankings has one
// lineage, of this very moment, and no other window has.
func checkLineages(t *testing.T, out *Output, shards []ShardStatus) {
	t.Helper()
	var positions, want, got []int64
	for _, s := range shards {
		positions = append(positions, s.Position)
	}
	for _, k := range out.Rankings {
		if k.State != click.Provisional {
			want = append(want, k.Start)
		}
	}
	for i := range out.Lineages {
		l := &out.Lineages[i]
		got = append(got, l.Start)
		if !slices.Equal(l.Shards, positions) || l.State == click.Provisional || l.Version != out.Rankings[0].Version {
			t.Fatalf("lineage %+v, the shards are at %v", l, positions)
		}
	}
	if want = slices.Compact(want); !slices.Equal(got, want) {
		t.Fatalf("lineages of %v, want them of %v", got, want)
	}
}

// slowRanking ranks a window from the last list every shard had said of it.
func slowRanking(speakers []*speaker, heard []int, w key, top int) (rows []click.Row) {
	sums := map[string]int64{}
	for i, s := range speakers {
		for at := heard[i] - 1; at >= 0; at-- {
			if list, ok := s.lists[at][w]; ok {
				for _, r := range list {
					rows = append(rows, click.Row{Ad: r.Ad, Count: r.Count})
				}
				for _, r := range s.shares[at][w] {
					sums[string(r.Ad)] += r.Count
				}
				break
			}
		}
	}
	for ad, n := range sums {
		rows = append(rows, click.Row{Ad: []byte(ad), Count: n})
	}
	slices.SortFunc(rows, rank.Order)
	return rows[:min(top, len(rows))]
}

// checkSuccession tells whether a ranking may follow the one before.
func checkSuccession(t *testing.T, rankings map[key]click.Ranking, w key, k click.Ranking, watermark int64) {
	t.Helper()
	before, known := rankings[w]
	ok := k.Version > before.Version
	switch k.State {
	case click.Provisional:
		ok = ok && w.end() > watermark && k.Revision == 1 && (!known || before.State == click.Provisional)
	case click.Final:
		ok = ok && w.end() <= watermark && k.Revision == 1 && (!known || before.State == click.Provisional)
	case click.Corrected:
		want := before.Revision + 1
		if !known {
			want = 2
		}
		ok = ok && w.end() <= watermark && k.Revision == want && before.State != click.Provisional
	}
	if !ok {
		t.Fatalf("window %v at watermark %d: %+v follows %+v", w, watermark, k, before)
	}
}

// compareWithTruth recounts everything at the end.
func compareWithTruth(t *testing.T, seed uint64, speakers []*speaker, results map[string]click.Result, rankings map[key]click.Ranking) {
	t.Helper()
	cells, truth, shared := 0, map[key]click.Ranking{}, 0
	sums := map[key]map[string]click.Sum{}
	for _, s := range speakers {
		for w, counts := range s.counts {
			if sums[w] == nil {
				sums[w] = map[string]click.Sum{}
			}
			for ad, n := range counts {
				sum, r := sums[w][ad], s.row(ad, n)
				if sum.Count > 0 {
					shared++
				}
				sum.Add(r.Sum())
				sums[w][ad] = sum
			}
		}
	}
	if shared == 0 && len(speakers) > 1 {
		t.Fatalf("seed %d: no ad was counted by two shards", seed)
	}
	for w, counts := range sums {
		k := truth[w]
		for ad, sum := range counts {
			cells++
			got := results[fmt.Sprint(w.start, w.filter, " ", ad)]
			if got.Sum() != sum || got.State == click.Provisional {
				t.Fatalf("seed %d: %s in %v: %+v, counted %+v", seed, ad, w, got, sum)
			}
			k.Clicks += sum.Count
			k.Ads++
			k.Top = append(k.Top, click.Row{Ad: []byte(ad), Count: sum.Count})
		}
		truth[w] = k
	}
	if cells != len(results) || len(truth) != len(rankings) || cells == 0 {
		t.Fatalf("seed %d: %d results of %d, %d rankings of %d", seed, len(results), cells, len(rankings), len(truth))
	}
	for w, want := range truth {
		slices.SortFunc(want.Top, rank.Order)
		got := rankings[w]
		if got.Clicks != want.Clicks || got.Ads != want.Ads || !slices.EqualFunc(got.Top, want.Top[:min(5, len(want.Top))], equalRows) {
			t.Fatalf("seed %d: window %v: ranking %+v, recounted %+v", seed, w, got, want)
		}
	}
}

// TestRestoreAtEveryCut: a reducer restored from the snapshot of any offset says
// the same as one that never stopped, to the byte, and ends in the same state.
func TestRestoreAtEveryCut(t *testing.T) {
	t.Parallel()
	cfg := Config{Reducer: 1, Reducers: 3}
	for seed := range uint64(3) {
		_, log := history(seed, 3)
		f := feeder{r: New(cfg)}
		outputs := make([][]byte, len(log))
		snapshots := [][]byte{f.r.AppendSnapshot(nil)}
		for offset, rec := range log {
			outputs[offset] = render(f.fold(t, offset, rec))
			snapshots = append(snapshots, f.r.AppendSnapshot(nil))
		}
		for cut := range len(log) {
			b := bytes.Clone(snapshots[cut])
			r, err := Restore(cfg, b)
			if err != nil {
				t.Fatalf("seed %d, cut %d: %v", seed, cut, err)
			}
			clear(b) // nothing may be a view into it
			if int(r.Position()) != cut {
				t.Fatalf("seed %d: position %d after a cut at %d", seed, r.Position(), cut)
			}
			g := feeder{r: r}
			for offset := cut; offset < len(log); offset++ {
				if got := render(g.fold(t, offset, log[offset])); !bytes.Equal(got, outputs[offset]) {
					t.Fatalf("seed %d, cut %d, offset %d: %s\nwithout the cut: %s", seed, cut, offset, got, outputs[offset])
				}
			}
			if !bytes.Equal(r.AppendSnapshot(nil), snapshots[len(log)]) {
				t.Fatalf("seed %d, cut %d: another state at the end", seed, cut)
			}
		}
	}
}

// TestOutMayWait: taking the output after several records gives what taking it
// after each gives, in the same order.
func TestOutMayWait(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		_, log := history(seed, 5)
		f, r := feeder{r: New(only)}, New(only)
		var want, got Output
		for offset, rec := range log {
			out := f.fold(t, offset, rec)
			want.Results = append(want.Results, cloneResults(out.Results)...)
			for _, k := range out.Rankings {
				want.Rankings = append(want.Rankings, cloneRanking(k))
			}
			var p click.Partial
			if err := p.Parse(rec.value); err != nil {
				t.Fatal(err)
			}
			if err := r.Fold(int64(offset), &p); err != nil {
				t.Fatal(err)
			}
			if offset%7 == 6 || offset == len(log)-1 {
				out := r.Out()
				got.Results = append(got.Results, cloneResults(out.Results)...)
				for _, k := range out.Rankings {
					got.Rankings = append(got.Rankings, cloneRanking(k))
				}
			}
		}
		if !bytes.Equal(render(&got), render(&want)) {
			t.Fatalf("seed %d: another output when it is taken later", seed)
		}
	}
}

func cloneResults(results []click.Result) []click.Result {
	results = slices.Clone(results)
	for i := range results {
		results[i].Ad = bytes.Clone(results[i].Ad)
	}
	return results
}

func cloneRanking(k click.Ranking) click.Ranking {
	k.Top = slices.Clone(k.Top)
	for i := range k.Top {
		k.Top[i].Ad = bytes.Clone(k.Top[i].Ad)
	}
	return k
}
