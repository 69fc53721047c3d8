package correct

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/copies"
	"github.com/clickagg/clickagg/internal/rank"
)

// rowsOf reads "a=1 b=2#7", where 7 is a digest.
func rowsOf(text string) (rows []click.Row) {
	for word := range strings.FieldsSeq(text) {
		var r click.Row
		ad, n, _ := strings.Cut(word, "=")
		r.Ad = []byte(ad)
		n, digest, _ := strings.Cut(n, "#")
		_, _ = fmt.Sscan(n, &r.Count)
		_, _ = fmt.Sscan(digest, &r.Digest)
		rows = append(rows, r)
	}
	return rows
}

// final is rows as they are stored when their window has ended.
func final(rows []click.Row) (stored []Row) {
	for _, r := range rows {
		stored = append(stored, Row{r, click.Standing{State: click.Final, Revision: 1}})
	}
	return stored
}

func list(clicks, ads, revision int64, top string) *click.Ranking {
	return &click.Ranking{State: click.Final, Clicks: clicks, Ads: ads, Revision: revision, Top: rowsOf(top)}
}

func TestCompare(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		stored   string
		revision int64
		list     *click.Ranking
		counted  string
		ads      []string
		want     string // changes
		isList   bool
		top      string
	}{
		"nothing at all":                   {},
		"equal":                            {stored: "a=1 b=2", list: list(3, 2, 1, "b=2 a=1"), counted: "a=1 b=2", top: "b=2 a=1"},
		"equal, with a shorter list":       {stored: "a=1 b=2", list: list(3, 2, 1, "b=2"), counted: "a=1 b=2", top: "b=2 a=1"},
		"equal, with a longer list":        {stored: "a=1 b=2 c=3", list: list(6, 3, 1, "c=3 b=2 a=1"), counted: "a=1 b=2 c=3", top: "c=3 b=2 a=1"},
		"as many other clicks":             {stored: "a=2#5", list: list(2, 1, 1, "a=2"), counted: "a=2#6", want: "a 2#5→2#6", top: "a=2"},
		"as many, of which one is unknown": {stored: "a=2 b=1#3", list: list(3, 2, 1, "a=2 b=1"), counted: "a=2#6 b=1", top: "a=2 b=1"},
		"other clicks, and more":           {stored: "a=2#5", list: list(2, 1, 1, "a=2"), counted: "a=3#6", want: "a 2#5→3#6", isList: true, top: "a=3"},
		"all is missing":                   {counted: "a=1 b=2", want: "a 0→1 b 0→2", isList: true, top: "b=2 a=1"},
		"all is too much":                  {stored: "a=1", list: list(1, 1, 1, "a=1"), want: "a 1→0", isList: true},
		"counts":                           {stored: "a=1 b=2 d=4", list: list(7, 3, 1, "d=4 b=2"), counted: "b=5 c=1 d=4", want: "a 1→0 b 2→5 c 0→1", isList: true, top: "b=5 d=4"},
		"the list is missing":              {stored: "a=1", counted: "a=1", isList: true, top: "a=1"},
		"the list has another order":       {stored: "a=2 b=2", list: list(4, 2, 1, "b=2 a=2"), counted: "a=2 b=2", isList: true, top: "a=2 b=2"},
		"the list has other sums":          {stored: "a=2", list: list(3, 1, 1, "a=2"), counted: "a=2", isList: true, top: "a=2"},
		"the list shows nothing":           {stored: "a=2", list: list(2, 1, 1, ""), counted: "a=2", isList: true, top: "a=2"},
		"the list is of an open window":    {stored: "a=2", list: &click.Ranking{State: click.Provisional, Clicks: 2, Ads: 1, Top: rowsOf("a=2")}, counted: "a=2", isList: true, top: "a=2"},
		"a list of nothing":                {list: list(0, 0, 3, "")},
		"one ad of several":                {stored: "a=1 b=2", list: list(3, 2, 1, "b=2 a=1"), counted: "a=5 b=9 c=1", ads: []string{"a"}, want: "a 1→5", isList: true, top: "a=5 b=2"},
		"an ad that is right, and another": {stored: "a=1 b=2", list: list(3, 2, 1, "b=2 a=1"), counted: "a=1 b=9", ads: []string{"a", "z"}, top: "b=2 a=1"},
	} {
		s := Stored{Rows: final(rowsOf(c.stored)), List: c.list, Revision: 4}
		d := Compare(base, minute, click.FilterAll, &s, rowsOf(c.counted), 2, c.ads)
		var got []string
		for _, ch := range d.Changes {
			digest := func(d uint64) string {
				if d == 0 {
					return ""
				}
				return fmt.Sprint("#", d)
			}
			got = append(got, fmt.Sprintf("%s %d%s→%d%s", ch.Ad, ch.Old, digest(ch.OldDigest), ch.New, digest(ch.NewDigest)))
		}
		if strings.Join(got, " ") != c.want || d.List != c.isList || d.None() != (c.want == "" && !c.isList) || d.Revision != 5 {
			t.Errorf("%s: %v, list %v, revision %d", name, got, d.List, d.Revision)
		}
		if !slices.EqualFunc(d.Top, rowsOf(c.top), func(a, b click.Row) bool { return a.Count == b.Count && bytes.Equal(a.Ad, b.Ad) }) {
			t.Errorf("%s: the list is %v", name, d.Top)
		}
	}
}

// TestCompareStates: a count that is right is said once more where its state or revision is none that a closed window has, or is
// another where the ad is asked for, and above all revisions that there were.
func TestCompareStates(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		is, copied click.Standing
		ads        []string
		revision   int64 // 0 when nothing changes
	}{
		"final":                      {is: click.Standing{State: click.Final, Revision: 1}},
		"corrected":                  {is: click.Standing{State: click.Corrected, Revision: 7}},
		"open":                       {is: click.Standing{State: click.Provisional, Revision: 1}, revision: 5},
		"final twice":                {is: click.Standing{State: click.Final, Revision: 6}, revision: 7},
		"corrected by nothing":       {is: click.Standing{State: click.Corrected, Revision: 1}, revision: 5},
		"open, of an ad unasked for": {is: click.Standing{State: click.Provisional, Revision: 1}, ads: []string{"b"}},
		"another copy":               {is: click.Standing{State: click.Final, Revision: 1}, copied: click.Standing{State: click.Corrected, Revision: 8}, revision: 9},
		"an open copy":               {is: click.Standing{State: click.Final, Revision: 1}, copied: click.Standing{State: click.Provisional, Revision: 1}, revision: 5},
	} {
		a, stored := rowsOf("a=2#7"), Stored{Rows: final(rowsOf("a=2#7")), List: list(2, 1, 4, "a=2"), Revision: max(4, c.is.Revision)}
		stored.Rows[0].Standing = c.is
		if c.copied != (click.Standing{}) {
			odd := copies.Odd{Ad: "a", ByAd: click.Count{Sum: a[0].Sum(), Standing: c.copied}, ByWindow: click.Count{Sum: a[0].Sum(), Standing: c.is}}
			stored.Note(click.FilterAll, base, &copies.Found{Odd: map[copies.Part][]copies.Odd{{Start: base, Series: click.FilterAll}: {odd}}})
		}
		d := Compare(base, minute, click.FilterAll, &stored, a, 2, c.ads)
		if changed := c.revision > 0; len(d.Changes) > 0 != changed || d.List || changed && (d.Revision != c.revision || d.Changes[0].Old != 2 || d.Changes[0].New != 2) {
			t.Errorf("%s: %+v", name, d)
		}
	}
}

// TestCompareAny: what is stored, changed as it says, is what was counted, whatever both are.
func TestCompareAny(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	some := func() (rows []click.Row) {
		for i := range 12 {
			if rng.IntN(2) == 0 {
				rows = append(rows, click.Row{Ad: fmt.Appendf(nil, "%x", i), Count: 1 + rng.Int64N(3)})
			}
		}
		return rows
	}
	for range 2000 {
		stored, counted := Stored{Rows: final(some())}, some()
		d := Compare(base, minute, click.FilterAll, &stored, counted, 5, nil)
		is := map[string]int64{}
		for _, r := range stored.Rows {
			is[string(r.Ad)] = r.Count
		}
		for _, c := range d.Changes {
			if is[string(c.Ad)] != c.Old || c.Old == c.New {
				t.Fatalf("%s is said to change from %d to %d", c.Ad, c.Old, c.New)
			}
			is[string(c.Ad)] = c.New
		}
		var sum int64
		ranked := slices.Clone(counted)
		for _, r := range counted {
			sum += r.Count
			if is[string(r.Ad)] != r.Count {
				t.Fatalf("%s becomes %d, want %d", r.Ad, is[string(r.Ad)], r.Count)
			}
			delete(is, string(r.Ad))
		}
		for ad, n := range is {
			if n != 0 {
				t.Fatalf("%s keeps %d", ad, n)
			}
		}
		slices.SortFunc(ranked, rank.Order)
		if ranked = ranked[:min(5, len(ranked))]; d.Clicks != sum || d.Ads != int64(len(counted)) || !slices.EqualFunc(d.Top, ranked, func(a, b click.Row) bool { return rank.Order(a, b) == 0 }) {
			t.Fatalf("%+v of %v", d, counted)
		}
	}
}

// TestSpool: a window of any size comes back in records of a bounded size.
func TestSpool(t *testing.T) {
	t.Parallel()
	s, err := newSpool(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.close() }()
	ads := func(n int) (rows []click.Row) {
		for i := range n {
			rows = append(rows, click.Row{Ad: fmt.Appendf(nil, "an ad with a long name %9d", i), Count: int64(i) + 1})
		}
		return rows
	}
	sizes := []int{20_000, 1, 0, 9_000}
	for n, size := range sizes {
		d := Compare(base+int64(n)*minute, minute, click.FilterAll, &Stored{}, ads(size), 9_000, nil)
		if size == 0 {
			d = Diff{Start: base + int64(n)*minute, Size: minute, Filter: "de", List: true, Revision: 7}
		}
		if err := s.add(&d); err != nil {
			t.Fatal(err)
		}
	}
	for n, size := range sizes {
		rows, records := 0, 0
		var last click.Correction
		err := s.each(&s.entries[n], func(c *click.Correction) error {
			if len(c.Append(nil)) > recordBytes+recordBytes/2 || c.From != base+int64(n)*minute {
				t.Errorf("a record of %d bytes", len(c.Append(nil)))
			}
			rows += len(c.Rows)
			records++
			last = *c
			return nil
		})
		if err != nil || rows != size || last.Ads != int64(size) || len(last.Top) != min(size, 9_000) || size > 9_000 && records < 3 {
			t.Errorf("window %d: %d rows in %d records, %v", n, rows, records, err)
		}
	}
}

// TestFirstRevision: what a correction brings back is corrected, also where nothing at all was stored.
func TestFirstRevision(t *testing.T) {
	t.Parallel()
	if d := Compare(base, minute, click.FilterAll, &Stored{}, rowsOf("a=1"), 2, nil); d.Revision != 2 {
		t.Errorf("revision %d", d.Revision)
	}
}
