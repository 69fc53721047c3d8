package embedded

import (
	"bytes"
	"encoding/hex"
	"math"
	"slices"
	"testing"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/storage"
)

// TestFormat holds the bytes on disk to what they were: a store that exists must
// be read by every later version.
func TestFormat(t *testing.T) {
	t.Parallel()
	r := click.Result{Ad: []byte("ad"), Start: 60_000, Filter: "000", Count: 17, Revision: 1, State: click.Final, Version: 812}
	l := click.Ranking{
		Start: -60_000, Filter: "000", State: click.Final, Revision: 1, Version: 812, Clicks: 20, Ads: 2,
		Top: []click.Row{{Ad: []byte("ad"), Count: 17}, {Ad: []byte("b"), Count: 3}},
	}
	li := click.Lineage{Start: 60_000, Size: 60_000, State: click.Final, Version: 812, Reducers: 1}
	m := storage.Mark{Partition: 1, Partitions: 4, Reducer: 0, Reducers: 2, Watermark: -1, Closed: -2}
	d := click.Ranking{Start: -60_000, Size: 90_000, Filter: "000/24h", State: click.Final, Version: 3}
	to := storage.Touch{Hour: 3_600_000, Partition: 2, Offset: 7}
	for name, c := range map[string]struct {
		got  []byte
		want string
	}{
		"cell key":    {appendCellKey(nil, &r), "63" + "03303030" + "800000000000ea60" + "6164"},
		"cell":        {appendCell(nil, &r), "800000000000032c" + "22" + "02" + "02"},
		"ranking key": {appendRankingKey(nil, &l), "72" + "03303030" + "7fffffffffff15a0"},
		"ranking":     {appendRanking(nil, &l), "800000000000032c" + "02" + "28" + "04" + "02" + "02" + "026164" + "21" + "0162" + "1c"},
		"lineage key": {appendLineageKey(nil, 60_000), "6c" + "800000000000ea60"},
		"lineage":     {appendLineage(nil, &li)[:9], "800000000000032c" + "7b"}, // and JSON, whose bytes internal/click holds
		"mark key":    {appendMarkKey(nil, kindMark, &m), "6d" + "00000001" + "00000000"},
		"mark":        {appendMark(nil, &m, m.Watermark), "00000004" + "00000002" + "7fffffffffffffff"},
		"closed key":  {appendMarkKey(nil, kindClosed, &m), "6b" + "00000001" + "00000000"},
		"day's list":  {appendRanking(nil, &d), "8000000000000003" + "00" + "00" + "00" + "02" + "00" + "a0fe0a"},
		"roll-up key": {appendRollupKey(nil, &d), "75" + "073030302f323468" + "7fffffffffff15a0"},
		"roll-up":     {appendRollup(nil, &d), "8000000000000003" + "a0fe0a"},
		"touch key":   {appendTouchKey(nil, &to), "74" + "800000000036ee80" + "00000002"},
	} {
		if hex.EncodeToString(c.got) != c.want {
			t.Errorf("%s is %x, was %s", name, c.got, c.want)
		}
	}
}

func TestOrderedNumbers(t *testing.T) {
	t.Parallel()
	numbers := []int64{math.MinInt64, -1 << 40, -256, -255, -1, 0, 1, 255, 256, 1 << 40, math.MaxInt64}
	var before []byte
	for _, n := range numbers {
		b := appendOrdered(nil, n)
		if ordered(b) != n || bytes.Compare(before, b) >= 0 {
			t.Errorf("%d is %x after %x and reads %d", n, b, before, ordered(b))
		}
		before = b
	}
}

func TestAfter(t *testing.T) {
	t.Parallel()
	for _, prefix := range [][]byte{{'c'}, {'c', 0}, {'c', 1, 0xff}, {'c', 0xff, 0xff}} {
		end := after(prefix)
		inside := append(slices.Clone(prefix), bytes.Repeat([]byte{0xff}, 20)...)
		if bytes.Compare(inside, end) >= 0 || bytes.HasPrefix(end, prefix) {
			t.Errorf("%x ends before %x", prefix, end)
		}
	}
}

func TestMergeKeepsTheGreatest(t *testing.T) {
	t.Parallel()
	values := [][]byte{{2, 1}, {1, 9, 9}, {2, 1}, {2}, {}}
	m, err := merger.Merge(nil, values[0])
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range values[1:] {
		take := m.MergeNewer
		if i%2 == 1 {
			take = m.MergeOlder
		}
		if err := take(v); err != nil {
			t.Fatal(err)
		}
	}
	if got, _, err := m.Finish(true); err != nil || !bytes.Equal(got, []byte{2, 1}) {
		t.Errorf("%x, %v", got, err)
	}
}

// FuzzRows reads arbitrary bytes as rows: an error or a row that is written the
// same again.
func FuzzRows(f *testing.F) {
	r := click.Result{Ad: []byte("ad"), Start: 60_000, Count: 17, Revision: 1, State: click.Final, Version: 812}
	l := click.Ranking{Start: 60_000, State: click.Final, Version: 1, Top: []click.Row{{Ad: []byte("ad"), Count: 17}, {Ad: []byte("b"), Count: 20}}}
	f.Add(appendOrdered(nil, 60_000), appendCell(nil, &r))
	f.Add(appendOrdered(nil, -60_000), appendRanking(nil, &l))
	f.Add([]byte{}, appendLineage(nil, &click.Lineage{Size: 1, State: click.Final, Reducers: 1}))
	f.Add(make([]byte, 8), appendMark(nil, &storage.Mark{Partitions: 1, Reducers: 1}, 5))
	f.Add(make([]byte, 8), appendRollup(nil, &click.Ranking{Size: 5, Version: 1}))
	f.Add(make([]byte, 12), appendOrdered(nil, 7))
	f.Fuzz(func(t *testing.T, suffix, value []byte) {
		if c, err := cell(suffix, value); err == nil {
			r := click.Result{Count: c.Count, Revision: c.Revision, State: c.State, Version: c.Version}
			if again := appendCell(nil, &r); !bytes.Equal(again, value) {
				t.Errorf("cell %x became %x", value, again)
			}
		}
		for _, series := range []string{"000", "000/24h"} {
			if l, err := ranking(series, suffix, value, storage.WholeList); err == nil {
				head, err := ranking(series, suffix, value, 2)
				if !slices.EqualFunc(head.Top, l.Top[:min(2, len(l.Top))], func(a, b click.Row) bool { return bytes.Equal(a.Ad, b.Ad) && a.Count == b.Count }) || head.Size != l.Size || err != nil {
					t.Errorf("the head of ranking %x is %+v, %v", value, head, err)
				}
				if again := appendRanking(nil, &l); !bytes.Equal(again, value) {
					t.Errorf("ranking %x became %x", value, again)
				}
			}
		}
		if u, err := rollup(suffix, value); err == nil {
			if again := appendRollup(nil, &click.Ranking{Size: u.End - u.Start, Version: u.Version}); !bytes.Equal(again, value) {
				t.Errorf("roll-up %x became %x", value, again)
			}
		}
		if u, err := touch(suffix, value); err == nil && u.Offset >= 0 {
			if again := appendOrdered(nil, u.Number()); !bytes.Equal(again, value) || !bytes.Equal(appendTouchKey(nil, &u)[1:], suffix) {
				t.Errorf("touch %x became %x", value, again)
			}
		}
		if l, err := lineage(value); err == nil {
			if again := appendLineage(nil, &l); !bytes.Equal(again, value) {
				t.Errorf("lineage %x became %x", value, again)
			}
		}
		if m, at, err := mark(suffix, value); err == nil {
			if again := appendMark(nil, &m, at); !bytes.Equal(again, value) || !bytes.Equal(appendMarkKey(nil, kindMark, &m)[1:], suffix) {
				t.Errorf("mark %x became %x", value, again)
			}
		}
	})
}
