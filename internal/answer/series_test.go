package answer

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/clickagg/clickagg/internal/calendar"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/storage"
)

// Whatever the range and the step, the steps add up to the count, follow each other
// within the range, and are as a recount by steps says.
func TestSeriesAddsUp(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 5))
		s := newFake()
		for w := range int64(200) {
			if rng.IntN(3) > 0 {
				s.put((w-100)*minute, "a", rng.Int64N(9)+1, rng.Int64N(3)+1)
			}
		}
		s.complete = rng.Int64N(400)*minute - 200*minute
		step := []time.Duration{time.Minute, 5 * time.Minute, time.Hour, 24 * time.Hour}[rng.IntN(4)]
		from := rng.Int64N(300)*minute - 150*minute
		to := from + (rng.Int64N(300)+1)*minute
		total, steps, err := New(s, time.Minute).Series(t.Context(), click.FilterAll, []byte("a"), from, to, storage.Cut{
			Longest: storage.Day, Step: func(at int64) calendar.Span {
				from := calendar.Floor(at, step.Milliseconds())
				return calendar.Span{From: from, To: from + step.Milliseconds()}
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		want := map[int64]int64{}
		for _, w := range within(s.cells, from, to) {
			want[max(calendar.Floor(w, step.Milliseconds()), from)] += s.cells[w][0].Count
		}
		at, revision, clicks := from, int64(0), int64(0)
		for _, c := range steps {
			if c.From < at || c.To > to || c.From >= c.To || c.To-c.From > step.Milliseconds() || c.Clicks != want[c.From] || c.Clicks == 0 || c.CompleteUntil != s.complete {
				t.Fatalf("seed %d: step %+v of [%d,%d), want %d clicks", seed, c, from, to, want[c.From])
			}
			at, revision, clicks = c.To, revision+c.Revision-1, clicks+c.Clicks
		}
		if len(steps) > 0 {
			revision++
		}
		if len(steps) != len(want) || clicks != total.Clicks || revision != total.Revision {
			t.Fatalf("seed %d: %d steps of %d clicks, revision %d; want %d of %d, %d", seed, len(steps), clicks, revision, len(want), total.Clicks, total.Revision)
		}
	}
}

func TestCounts(t *testing.T) {
	t.Parallel()
	s := newFake()
	s.complete = minute
	var ads []string
	for i := range 50 {
		ads = append(ads, fmt.Sprint("ad", i))
		s.put(0, ads[i], int64(i+1), 1)
		s.put(minute, ads[i], 1000, 2)
	}
	slices.Reverse(ads)
	r := New(s, time.Minute)
	frame, counts, err := r.Counts(t.Context(), click.FilterAll, append(ads, "none"), 0, minute)
	if err != nil || frame != (Frame{From: 0, To: minute, CompleteUntil: minute}) || len(counts) != 51 {
		t.Fatalf("%+v, %d counts, %v", frame, len(counts), err)
	}
	for i, c := range counts {
		if want := int64(50 - i); c.Clicks != want || c.Frame != frame || c.Revision != min(want, 1) {
			t.Errorf("%d: %+v, want %d clicks", i, c, want)
		}
	}
	s.err = storage.ErrUnavailable
	if _, _, err := r.Counts(t.Context(), click.FilterAll, ads, 0, minute); !errors.Is(err, storage.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}

// Ads are looked for in the newest windows first, and no further than needed.
func TestAds(t *testing.T) {
	t.Parallel()
	s := newFake()
	for w := range int64(100) {
		s.put(w*minute, fmt.Sprintf("old-%02d", w), 1, 1)
	}
	s.put(99*minute, "new-1", 1, 1)
	s.put(99*minute, "new-2", 1, 1)
	r := New(s, time.Minute)
	for _, test := range []struct {
		prefix string
		limit  int
		want   string
		looks  int
	}{
		{"new", 1, "new-1", 1},
		{"", 2, "new-1 new-2", 1},
		{"old", 2, "old-97 old-98", 2},
		{"old-4", 9, "old-40 old-41 old-42 old-43 old-44 old-45 old-46 old-47 old-48", 6},
		{"old-3", 9, "", 6}, // more than an hour ago
	} {
		s.asked = nil
		ads, err := r.Ads(t.Context(), test.prefix, test.limit)
		if got := strings.Join(ads, " "); err != nil || got != test.want || len(s.asked) != test.looks {
			t.Errorf("%d of %q: %q in %d looks, %v; want %q in %d", test.limit, test.prefix, got, len(s.asked), err, test.want, test.looks)
		}
	}
	if ads, err := New(newFake(), time.Minute).Ads(t.Context(), "", 9); len(ads) != 0 || err != nil {
		t.Errorf("of nothing: %q, %v", ads, err)
	}
}
