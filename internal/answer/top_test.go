package answer

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/rank"
	"github.com/clickagg/clickagg/storage"
)

func format(rows []click.Row) string {
	s := ""
	for _, r := range rows {
		s += fmt.Sprintf("%s:%d ", r.Ad, r.Count)
	}
	return s
}

// recount is the answer by the slow obvious way.
func recount(s *fake, n int, from, to int64) []click.Row {
	total := map[string]int64{}
	for w, cells := range s.cells {
		for _, c := range cells {
			if from <= w && w < to {
				total[string(c.Ad)] += c.Count
			}
		}
	}
	var rows []click.Row
	for ad, n := range total {
		rows = append(rows, click.Row{Ad: []byte(ad), Count: n})
	}
	slices.SortFunc(rows, rank.Order)
	return rows[:min(n, len(rows))]
}

// randomStore fills a store with windows of skewed or flat counts with many
// ties, some without a list, some with the list of a moment when they were open.
func randomStore(rng *rand.Rand) *fake {
	s := newFake()
	windows := rng.Int64N(rng.Int64N(100)+1) + 1
	s.complete = rng.Int64N(windows+2) * minute
	ads, skew, k := rng.IntN(rng.IntN(50)+1)+1, rng.IntN(4), rng.IntN(12)+1
	for w := range windows {
		start := w * minute
		for ad := range ads {
			if rng.IntN(5) == 0 {
				continue
			}
			count := rng.Int64N(3) + 1
			if skew > 0 {
				count += int64(1000 / (skew * (ad + 1)))
			}
			s.put(start, fmt.Sprintf("ad%02d", (ad*37)%60), count, rng.Int64N(2)+1)
		}
		switch rng.IntN(20) {
		case 0: // the list has not arrived
		case 1: // only an early one has
			s.rank(start, k, click.Provisional)
			l := s.lists[start]
			l.Top = slices.Clone(l.Top)
			if start+minute <= s.complete && len(l.Top) > 0 {
				l.Top[0].Count = 1
				l.Top = l.Top[:1]
				s.lists[start] = l
			}
		default:
			s.rank(start, k, click.Final)
		}
	}
	return s
}

// Top agrees with a recount for any range, whatever the lists show, and does so
// by each of its ways.
func TestTopIsExact(t *testing.T) {
	t.Parallel()
	var ways struct{ lists, sums, scans int }
	for seed := range uint64(800) {
		rng := rand.New(rand.NewPCG(seed, 1))
		s := randomStore(rng)
		from := rng.Int64N(rng.Int64N(90)+1)*minute - rng.Int64N(3)*minute
		to := from + (rng.Int64N(rng.Int64N(100)+1)+1)*minute
		n := rng.IntN(15) + 1
		r := New(s, time.Minute)
		if seed%2 == 0 { // lists have heads, of which not all suffice
			r.effort.headLeast, r.effort.headTimes, r.effort.headSums = 1+rng.IntN(3), 1, rng.Int64N(4)
		}
		got, err := r.Top(t.Context(), click.FilterAll, n, from, to)
		if err != nil {
			t.Fatal(err)
		}
		if want := recount(s, n, from, to); !got.Exact || format(got.Rows) != format(want) {
			t.Fatalf("seed %d: first %d of [%d,%d):\n got %s\nwant %s", seed, n, from/minute, to/minute, format(got.Rows), format(want))
		}
		switch {
		case slices.Contains(s.asked, "count"):
			ways.sums++
		case slices.Contains(s.asked, "scan"):
			ways.scans++
		default:
			ways.lists++
		}
	}
	if ways.lists < 20 || ways.sums < 20 || ways.scans < 20 {
		t.Errorf("a way was hardly taken: %+v", ways)
	}
}

// TestTopIsHonest: where too much would have to be read, the answer is not called exact unless it
// is, its counts are, and no ad outside has more than it allows.
func TestTopIsHonest(t *testing.T) {
	t.Parallel()
	var inexact, wrong int
	for seed := range uint64(800) {
		rng := rand.New(rand.NewPCG(seed, 1))
		s := randomStore(rng)
		n, to := rng.IntN(15)+1, (rng.Int64N(90)+1)*minute
		r := New(s, time.Minute)
		r.effort.scanMost = 1
		got, err := r.Top(t.Context(), click.FilterAll, n, 0, to)
		if err != nil {
			t.Fatal(err)
		}
		all := recount(s, 100, 0, to)
		want := all[:min(n, len(all))]
		if got.Exact {
			if format(got.Rows) != format(want) || got.MaxError != 0 {
				t.Fatalf("seed %d: called exact: %s, want %s", seed, format(got.Rows), format(want))
			}
			continue
		}
		inexact++
		if format(got.Rows) != format(want) {
			wrong++
		}
		end, last := int64(0), len(got.Rows)-1
		if last >= 0 {
			end = got.Rows[last].Count
		}
		for _, row := range all {
			i := slices.IndexFunc(got.Rows, func(r click.Row) bool { return string(r.Ad) == string(row.Ad) })
			if i < 0 && row.Count > end+got.MaxError || i >= 0 && row.Count != got.Rows[i].Count {
				t.Fatalf("seed %d: %s:%d, but the answer is %s, off by %d at most", seed, row.Ad, row.Count, format(got.Rows), got.MaxError)
			}
		}
	}
	if inexact < 50 || wrong < 10 {
		t.Errorf("%d were inexact, %d of them wrong: too few to tell", inexact, wrong)
	}
}

func TestTopOfOneWindow(t *testing.T) {
	t.Parallel()
	fill := func(k int) *fake {
		s := newFake()
		for ad, count := range map[string]int64{"a": 2, "b": 5, "c": 2, "d": 2, "e": 1} {
			s.put(0, ad, count, 3)
		}
		s.rank(0, k, click.Final)
		return s
	}
	for _, test := range []struct {
		name    string
		k, n    int
		want    string
		scanned bool
	}{
		{"the list answers", 3, 2, "b:5 a:2 ", false},
		{"its last place too, though others tie with it", 3, 3, "b:5 a:2 c:2 ", false},
		{"it is too short", 3, 4, "b:5 a:2 c:2 d:2 ", true},
		{"it is short but whole", 5, 9, "b:5 a:2 c:2 d:2 e:1 ", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := fill(test.k)
			got, err := New(s, time.Minute).Top(t.Context(), click.FilterAll, test.n, 0, minute)
			if err != nil || format(got.Rows) != test.want || got.Revision != 3 || !got.Exact {
				t.Errorf("got %+v, %v; want %s", got, err, test.want)
			}
			if scanned := slices.Contains(s.asked, "scan"); scanned != test.scanned || slices.Contains(s.asked, "count") {
				t.Errorf("asked %v", s.asked)
			}
		})
	}
}

// A skewed hour is answered from the lists and a few sums.
func TestTopDoesNotScanASkewedHour(t *testing.T) {
	t.Parallel()
	s := newFake()
	rng := rand.New(rand.NewPCG(1, 2))
	for w := range int64(60) {
		for ad := range 300 {
			s.put(w*minute, fmt.Sprintf("ad%03d", ad), int64(10_000/(ad+1))+rng.Int64N(5)+1, 1)
		}
		s.rank(w*minute, 100, click.Final)
	}
	got, err := New(s, time.Minute).Top(t.Context(), click.FilterAll, 10, 0, 60*minute)
	if want := recount(s, 10, 0, 60*minute); err != nil || format(got.Rows) != format(want) {
		t.Errorf("got %s, %v; want %s", format(got.Rows), err, format(want))
	}
	if slices.Contains(s.asked, "scan") {
		t.Errorf("asked %v", s.asked)
	}
}

// Lists and counts that cannot both be true are not mixed.
func TestTopDistrustsListsThatLag(t *testing.T) {
	t.Parallel()
	s := newFake()
	for w := range int64(2) {
		for ad := range 30 {
			s.put(w*minute, fmt.Sprintf("ad%02d", ad), int64(100-3*ad), 1)
		}
	}
	s.rank(0, 3, click.Final)
	s.rank(minute, 4, click.Final)
	for i := range s.cells[0] { // the counts have gone on since: of an ad one list shows, and of one none does
		if ad := string(s.cells[0][i].Ad); ad == "ad03" || ad == "ad29" {
			s.cells[0][i].Count = 500
		}
	}
	got, err := New(s, time.Minute).Top(t.Context(), click.FilterAll, 4, 0, 2*minute)
	if want := recount(s, 4, 0, 2*minute); err != nil || format(got.Rows) != format(want) {
		t.Errorf("got %s, %v; want %s", format(got.Rows), err, format(want))
	}
}

// A roll-up is not answered from the list of an earlier one, nor without one, but from its counts.
func TestTopDistrustsTheListOfAnEarlierRollup(t *testing.T) {
	t.Parallel()
	s := newFake()
	s.put(0, "a", 1, 1)
	s.rank(0, 10, click.Final)
	s.put(0, "b", 2, 1)
	s.put(60*minute, "b", 5, 1)
	s.rolled = []storage.Rollup{{Start: 0, End: 60 * minute, Version: 1}, {Start: 60 * minute, End: 120 * minute, Version: 1}}
	got, err := New(s, time.Minute).Top(t.Context(), click.FilterAll, 2, 0, 120*minute)
	if err != nil || format(got.Rows) != "b:7 a:1 " {
		t.Errorf("got %s, %v", format(got.Rows), err)
	}
}

// A window that is complete is not answered from the list of when it was open.
func TestTopDistrustsAnOpenList(t *testing.T) {
	t.Parallel()
	s := newFake()
	s.complete = minute
	s.put(0, "a", 1, 1)
	s.rank(0, 10, click.Provisional)
	s.put(0, "b", 2, 1)
	got, err := New(s, time.Minute).Top(t.Context(), click.FilterAll, 2, 0, minute)
	if err != nil || format(got.Rows) != "b:2 a:1 " {
		t.Errorf("got %s, %v", format(got.Rows), err)
	}
}

// An ad that no list shows can tie with the last place and come before it.
func TestTopLooksForTiesOutsideTheLists(t *testing.T) {
	t.Parallel()
	s := newFake()
	for _, c := range []struct {
		window int64
		ad     string
		count  int64
	}{{0, "z", 4}, {0, "a", 2}, {0, "m", 2}, {minute, "q", 9}, {minute, "a", 2}, {minute, "m", 2}} {
		s.put(c.window, c.ad, c.count, 1)
	}
	s.rank(0, 2, click.Final)
	s.rank(minute, 2, click.Final)
	got, err := New(s, time.Minute).Top(t.Context(), click.FilterAll, 3, 0, 2*minute)
	if err != nil || format(got.Rows) != "q:9 a:4 m:4 " {
		t.Errorf("got %s, %v", format(got.Rows), err)
	}
}

// Where the lists settle nothing, no more ads are added up than there is room for.
func TestTopOfTooManyAds(t *testing.T) {
	t.Parallel()
	s := newFake()
	for ad := range 10 {
		s.put(0, fmt.Sprint("ad", ad), 5, 1)
	}
	s.rank(0, 3, click.Final)
	r := New(s, time.Minute)
	for most, want := range map[int]error{9: ErrTooManyAds, 10: nil} {
		r.effort.adsMost = most
		if got, err := r.Top(t.Context(), click.FilterAll, 5, 0, minute); !errors.Is(err, want) || err == nil && len(got.Rows) != 5 {
			t.Errorf("room for %d: %+v, %v, want %v", most, got, err, want)
		}
	}
}

func TestTopOfNothing(t *testing.T) {
	t.Parallel()
	got, err := New(newFake(), time.Minute).Top(t.Context(), click.FilterAll, 10, 0, 90*minute)
	if err != nil || len(got.Rows) != 0 || !got.Exact || got.Revision != 0 {
		t.Errorf("got %+v, %v", got, err)
	}
}
