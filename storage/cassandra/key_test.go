package cassandra

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/clickagg/clickagg/internal/calendar"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/storage"
)

// TestEveryWriteHasItsTime: a row that is written without a timestamp of ours gets
// the clock's, and no later version ever replaces it.
func TestEveryWriteHasItsTime(t *testing.T) {
	t.Parallel()
	for _, s := range []string{putCount, putWindow, putStart, putDay, putRanking, putList, putRollup, putTouch, putMark, putRaw, putRawBucket} {
		if !strings.HasSuffix(s, " USING TIMESTAMP ?") {
			t.Errorf("%s has no timestamp at its end", s)
		}
	}
	r := click.Result{Ad: []byte("a"), Start: 60_000, Filter: click.FilterAll, Version: 3}
	when, err := at(r.Start, r.Version)
	if err != nil || when != 60_000_003 {
		t.Errorf("%d, %v", when, err)
	}
	rows := rankingRows(&click.Ranking{Start: 60_000, Version: 3, Top: make([]click.Row, headOf+1)}, when)
	if short := rankingRows(&click.Ranking{Top: make([]click.Row, headOf)}, when); len(rows) != 2 || len(short) != 1 {
		t.Errorf("%d rows of a list with more than a head, %d of one with no more", len(rows), len(short))
	}
	for _, u := range append(rows,
		countRow(&r, when), windowRow(&r, when),
		markRow(&storage.Mark{Watermark: 60_000, Closed: click.None}), rollupRow(&click.Ranking{Start: 60_000, Version: 3}, when),
		touchRow(storage.Touch{Hour: 3_600_000, Offset: 30_000_001}),
	) {
		if n := strings.Count(u.statement, "?"); n != len(u.args) {
			t.Errorf("%s takes %d values, there are %d", u.statement, n, len(u.args))
		}
		if last, ok := u.args[len(u.args)-1].(int64); !ok || last/10 != 6_000_000 {
			t.Errorf("%s is written at %v", u.statement, u.args[len(u.args)-1])
		}
	}
}

func TestTimeRisesWithTheVersion(t *testing.T) {
	t.Parallel()
	for _, start := range []int64{minStart, -60_000, 0, 60_000, maxStart} {
		before := writeTime(math.MinInt64)
		for _, version := range []int64{0, 1, 2, 1 << 31, 1 << 53, 1 << 62} {
			when, err := at(start, version)
			if err != nil || when <= before {
				t.Errorf("version %d of %d is written at %d, after %d: %v", version, start, when, before, err)
			}
			before = when
		}
	}
	for _, version := range []int64{-1, math.MaxInt64} {
		if _, err := at(60_000, version); !errors.Is(err, storage.ErrInvalid) {
			t.Errorf("version %d: %v", version, err)
		}
	}
}

func TestFloor(t *testing.T) {
	t.Parallel()
	for ms, want := range map[int64]int64{0: 0, 1: 0, day - 1: 0, day: day, -1: -day, -day: -day, -day - 1: -2 * day, minStart: minStart} {
		if got := calendar.Floor(ms, day); got != want {
			t.Errorf("%d lies in %d, not %d", ms, got, want)
		}
	}
}

// TestBucketsStay: where an ad lives is part of what is stored.
func TestBucketsStay(t *testing.T) {
	t.Parallel()
	var got []int8
	for _, ad := range []string{"", "a", "b", "ad000001", "日本"} {
		got = append(got, bucket([]byte(ad)))
	}
	if want := []int8{2, 7, 7, 6, 0}; !slices.Equal(got, want) {
		t.Errorf("ads live in %v, and lived in %v", got, want)
	}
}

func TestRefusesWhatCannotBeStored(t *testing.T) {
	t.Parallel()
	type row struct {
		ad, filter  string
		start, size int64
		state       click.State
	}
	for name, r := range map[string]row{
		"no size":               {"a", "000", 0, 0, click.Final},
		"inside a window":       {"a", "000", 1, 60_000, click.Final},
		"before the year 0":     {"a", "000", minStart - 60_000, 60_000, click.Final},
		"after the year 9999":   {"a", "000", maxStart + 1, 60_000, click.Final},
		"no state":              {"a", "000", 0, 60_000, 0},
		"an unknown state":      {"a", "000", 0, 60_000, click.Corrected + 1},
		"an ad that is no text": {"\xff", "000", 0, 60_000, click.Final},
		"a filter that is none": {"a", "\xff", 0, 60_000, click.Final},
		"no filter":             {"a", "", 0, 60_000, click.Final},
		"an ad without end":     {strings.Repeat("a", maxKey), "000", 0, 60_000, click.Final},
	} {
		if err := checkRow([]byte(r.ad), r.filter, r.start, r.size, r.state); !errors.Is(err, storage.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, start := range []int64{minStart, 0, maxStart + 1 - 60_000} {
		if err := checkRow([]byte("é"), "000", start, 60_000, click.Provisional); err != nil {
			t.Error(err)
		}
	}
	for _, m := range []storage.Mark{
		{Partitions: 1, Reducers: 1, Watermark: click.None}, {Partition: 1, Partitions: 1, Reducers: 1}, {Partitions: 1, Reducer: -1, Reducers: 1},
	} {
		if err := checkMark(&m); !errors.Is(err, storage.ErrInvalid) {
			t.Errorf("%+v: %v", m, err)
		}
	}
}
