package answer

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/storage"
)

// published is a store of complete windows with a list and a lineage each.
func published(windows ...int64) *fake {
	s := newFake()
	s.lineages = map[int64]click.Lineage{}
	for _, w := range windows {
		s.put(w, "a", 2, 1)
		s.put(w, "b", 1, 1)
		s.rank(w, 10, click.Final)
		s.lineages[w] = click.Lineage{Start: w, Size: minute, State: click.Final, Version: s.lists[w].Version, Reducers: 1}
		s.complete = w + minute
	}
	return s
}

func TestAuditReadsAllCompleteWindows(t *testing.T) {
	t.Parallel()
	s := published(0, minute, 100*minute, 200*minute)
	s.complete = 200*minute + 1
	var told [][2]int64
	f, r, err := New(s, time.Minute).Audit(t.Context(), 1, 500*minute, func(passed, all int64) error {
		told = append(told, [2]int64{passed, all})
		return nil
	})
	if err != nil || !r.Holds() || r.Windows != 3 || r.Clicks != 9 || r.Unsigned != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	if want := (Frame{From: 0, To: 200 * minute, CompleteUntil: 200*minute + 1}); f != want {
		t.Errorf("frame %+v, want %+v", f, want)
	}
	if want := [][2]int64{{60, 200}, {120, 200}, {180, 200}, {200, 200}}; !slices.Equal(told, want) {
		t.Errorf("told %v, want %v", told, want)
	}
}

// Each filter that held in the range is held against its own lists.
func TestAuditUnderFilters(t *testing.T) {
	t.Parallel()
	s := published(0, minute)
	wrong := published(minute)
	wrong.put(minute, "c", 1, 1)
	s.filters = []storage.Filter{
		{ID: "de", From: 0, Until: minute}, {ID: "de", From: minute, Until: click.None},
		{ID: "later", From: 2 * minute, Until: click.None}, {ID: "over", From: -minute, Until: 0},
	}
	s.under = map[string]*fake{"de": published(0, minute), "later": wrong, "over": wrong}
	nothing := func(int64, int64) error { return nil }
	_, r, err := New(s, time.Minute).Audit(t.Context(), 0, 2*minute, nothing)
	if err != nil || !r.Holds() || r.Windows != 2 || r.Clicks != 6 {
		t.Errorf("%+v, %v", r, err)
	}
	synctest.Test(t, func(t *testing.T) {
		s.under["de"] = wrong
		_, r, err := New(s, time.Minute).Audit(t.Context(), 0, 2*minute, nothing)
		if err != nil || r.Found != 1 || !strings.Contains(r.Findings[0].Text, "under the filter de") {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

// What an ad is answered for with is held against what is read of all ads.
func TestAuditOfCopies(t *testing.T) {
	t.Parallel()
	s := published(0, minute)
	for _, w := range []int64{0, minute} {
		s.copied = append(s.copied, s.cells[w]...)
	}
	nothing := func(int64, int64) error { return nil }
	if _, r, err := New(s, time.Minute).Audit(t.Context(), 0, 2*minute, nothing); err != nil || !r.Holds() {
		t.Errorf("%+v, %v", r, err)
	}
	s.copied[0].Count, s.copied[3].Digest = 5, 9
	s.copied[2].State, s.copied[2].Revision = click.Corrected, 2
	_, r, err := New(s, time.Minute).Audit(t.Context(), 0, 2*minute, nothing)
	want := []string{
		"1970-01-01T00:00:00Z: under 000, ad a has 5 clicks when it is asked for, and 2 among all ads",
		"1970-01-01T00:01:00Z: under 000, ad a is corrected at revision 2 when it is asked for, and final at 1 among all ads",
		"1970-01-01T00:01:00Z: under 000, ad b has 1 clicks when it is asked for, and as many others among all ads",
	}
	var got []string
	for _, f := range r.Findings {
		got = append(got, f.String())
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v", got, err)
	}
}

// A count of a complete minute is final, or corrected with a revision.
func TestAuditOfStates(t *testing.T) {
	for name, c := range map[string]struct {
		state    click.State
		revision int64
		holds    bool
	}{
		"final": {click.Final, 1, true}, "corrected": {click.Corrected, 3, true},
		"open": {click.Provisional, 1, false}, "final twice": {click.Final, 2, false}, "corrected by nothing": {click.Corrected, 1, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := published(0, minute)
			s.cells[minute][1].State, s.cells[minute][1].Revision = c.state, c.revision
			_, r, err := New(s, time.Minute).Audit(t.Context(), 0, 2*minute, func(int64, int64) error { return nil })
			if err != nil || r.Holds() != c.holds || !c.holds &&
				r.Findings[0].String() != "1970-01-01T00:01:00Z: the state or revision of 1 of 2 counts is not that of a complete minute" {
				t.Errorf("%s: %+v, %v", name, r, err)
			}
		})
	}
}

func TestAuditOfNothingComplete(t *testing.T) {
	t.Parallel()
	for _, complete := range []int64{click.None, minute} {
		s := published(5 * minute)
		s.complete = complete
		f, r, err := New(s, time.Minute).Audit(t.Context(), 5*minute, 9*minute, func(int64, int64) error { return nil })
		if err != nil || !r.Holds() || r.Windows != 0 || f.From != f.To {
			t.Errorf("complete until %d: %+v, %+v, %v", complete, f, r, err)
		}
	}
}

// What a correction is stored in parts must not look like a fault.
func TestAuditWaitsForWhatIsBeingStored(t *testing.T) {
	for _, test := range []struct {
		name  string
		heals time.Duration
		holds bool
	}{{"soon", 2500 * time.Millisecond, true}, {"never", time.Hour, false}} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := published(0, minute)
				list := s.lists[minute]
				list.Clicks++
				s.lists[minute] = list
				heals := time.Now().Add(test.heals)
				healing := &healing{fake: s, at: heals}
				_, r, err := New(healing, time.Minute).Audit(t.Context(), 0, 2*minute, func(int64, int64) error { return nil })
				if err != nil || r.Holds() != test.holds {
					t.Errorf("%+v, %v", r, err)
				}
			})
		})
	}
}

// healing is a store whose list is right from a moment on.
type healing struct {
	*fake
	at time.Time
}

func (h *healing) Rankings(ctx context.Context, filter string, from, to int64, most int) ([]click.Ranking, error) {
	if !time.Now().Before(h.at) {
		h.rank(minute, 10, click.Final)
	}
	return h.fake.Rankings(ctx, filter, from, to, most)
}

func TestAuditEndsWithItsCaller(t *testing.T) {
	t.Parallel()
	s := published(0)
	delete(s.lists, 0)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := New(s, time.Minute).Audit(ctx, 0, minute, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("it ends with %v", err)
	}
	gone := errors.New("gone")
	if _, _, err := New(published(0), time.Minute).Audit(t.Context(), 0, minute, func(int64, int64) error { return gone }); !errors.Is(err, gone) {
		t.Errorf("it ends with %v", err)
	}
}

func TestAuditOfAStoreThatFails(t *testing.T) {
	t.Parallel()
	s := published(0)
	s.err = errors.New("broken")
	if _, _, err := New(s, time.Minute).Audit(t.Context(), 0, minute, nil); !errors.Is(err, s.err) {
		t.Errorf("it ends with %v", err)
	}
}
