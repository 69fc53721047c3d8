package answer

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/storage"
)

func TestCount(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		from, to int64
		complete int64
		want     Count
		final    bool
	}{
		{"both ends are rounded down", minute + 1, 3*minute + 59_999, click.None,
			Count{Frame: Frame{From: minute, To: 3 * minute, CompleteUntil: click.None}, Clicks: 5, Revision: 1}, false},
		{"whole windows stay as they are", minute, 3 * minute, click.None,
			Count{Frame: Frame{From: minute, To: 3 * minute, CompleteUntil: click.None}, Clicks: 5, Revision: 1}, false},
		{"final when complete to its end", 0, 3 * minute, 3 * minute,
			Count{Frame: Frame{From: 0, To: 3 * minute, CompleteUntil: 3 * minute}, Clicks: 6, Revision: 2}, true},
		{"a millisecond short is provisional", 0, 3 * minute, 3*minute - 1,
			Count{Frame: Frame{From: 0, To: 3 * minute, CompleteUntil: 3*minute - 1}, Clicks: 6, Revision: 2}, false},
		{"the end that counts is the rounded one", 0, 3*minute + 30_000, 3 * minute,
			Count{Frame: Frame{From: 0, To: 3 * minute, CompleteUntil: 3 * minute}, Clicks: 6, Revision: 2}, true},
		{"no click", 10 * minute, 11 * minute, 20 * minute,
			Count{Frame: Frame{From: 10 * minute, To: 11 * minute, CompleteUntil: 20 * minute}, Clicks: 0, Revision: 0}, true},
		{"before 1970 down is down", -1, 1, click.None,
			Count{}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newFake()
			s.complete = test.complete
			s.put(0, "a", 1, 2)
			s.put(minute, "a", 2, 1)
			s.put(2*minute, "a", 3, 1)
			s.put(2*minute, "b", 100, 7)
			s.put(3*minute, "a", 50, 9)
			if test.want == (Count{}) {
				test.want = Count{Frame: Frame{From: -minute, To: 0, CompleteUntil: click.None}}
			}
			got, err := New(s, time.Minute).Count(t.Context(), click.FilterAll, []byte("a"), test.from, test.to)
			if err != nil || got != test.want || got.Final() != test.final {
				t.Errorf("got %+v, final %v, %v; want %+v, final %v", got, got.Final(), err, test.want, test.final)
			}
		})
	}
}

func TestNoWindow(t *testing.T) {
	t.Parallel()
	r := New(newFake(), time.Minute)
	for _, ends := range [][2]int64{{0, 0}, {1, 59_999}, {minute, 0}, {60_001, 119_999}} {
		if _, err := r.Count(t.Context(), click.FilterAll, []byte("a"), ends[0], ends[1]); !errors.Is(err, ErrNoWindow) {
			t.Errorf("Count(%v) = %v, want ErrNoWindow", ends, err)
		}
		if _, err := r.Top(t.Context(), click.FilterAll, 1, ends[0], ends[1]); !errors.Is(err, ErrNoWindow) {
			t.Errorf("Top(%v) = %v, want ErrNoWindow", ends, err)
		}
	}
}

// An answer must not call final what was not there when it was read: the store
// is asked how far it is complete before it is asked for rows.
func TestCompleteUntilComesFirst(t *testing.T) {
	t.Parallel()
	s := newFake()
	r := New(s, time.Minute)
	_, countErr := r.Count(t.Context(), click.FilterAll, []byte("a"), 0, minute)
	_, topErr := r.Top(t.Context(), click.FilterAll, 1, 0, minute)
	if err := errors.Join(countErr, topErr); err != nil {
		t.Fatal(err)
	}
	if want := []string{"marks", "count", "marks", "rankings", "scan"}; !slices.Equal(s.asked, want) {
		t.Errorf("asked %v, want %v", s.asked, want)
	}
}

func TestErrorsKeepTheirCause(t *testing.T) {
	t.Parallel()
	s := newFake()
	s.err = storage.ErrUnavailable
	r := New(s, time.Minute)
	_, countErr := r.Count(t.Context(), click.FilterAll, []byte("a"), 0, minute)
	_, topErr := r.Top(t.Context(), click.FilterAll, 1, 0, minute)
	_, _, _, storedErr := r.Stored(t.Context(), click.FilterAll)
	scanErr := r.Scan(t.Context(), click.FilterAll, Frame{From: 0, To: minute, CompleteUntil: 0}, func(*storage.Cell) error { return nil })
	for _, err := range []error{countErr, topErr, storedErr, scanErr} {
		if !errors.Is(err, storage.ErrUnavailable) {
			t.Errorf("got %v, want ErrUnavailable", err)
		}
	}
}

func TestStored(t *testing.T) {
	t.Parallel()
	s := newFake()
	r := New(s, time.Minute)
	if _, _, ok, err := r.Stored(t.Context(), click.FilterAll); ok || err != nil {
		t.Errorf("empty: %v, %v", ok, err)
	}
	s.put(5*minute, "a", 1, 1)
	s.put(7*minute, "a", 1, 1)
	if from, to, ok, err := r.Stored(t.Context(), click.FilterAll); from != 5*minute || to != 8*minute || !ok || err != nil {
		t.Errorf("got %d, %d, %v, %v", from, to, ok, err)
	}
}
