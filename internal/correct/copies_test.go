package correct

import (
	"fmt"
	"strings"
	"testing"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/copies"
	"github.com/clickagg/clickagg/storage"
	"github.com/clickagg/clickagg/storage/embedded"
	"github.com/clickagg/clickagg/storage/storagetest"
)

// TestCompareCopies: what an ad is answered for with is put right as well, also where the window is right.
func TestCompareCopies(t *testing.T) {
	t.Parallel()
	standing := click.Standing{State: click.Final, Revision: 1}
	odd := func(text string) (list []copies.Odd) {
		for _, r := range rowsOf(text) {
			list = append(list, copies.Odd{Ad: string(r.Ad), ByAd: click.Count{Sum: r.Sum(), Standing: standing}})
		}
		return list
	}
	for name, c := range map[string]struct {
		stored, copied, counted string
		rest                    bool
		ads                     []string
		want                    string
	}{
		"none":                             {stored: "a=1 b=2", counted: "a=1 b=2"},
		"another count":                    {stored: "a=1 b=2", copied: "b=5", counted: "a=1 b=2", want: "b 5→2"},
		"other clicks":                     {stored: "a=1#4", copied: "a=1#5", counted: "a=1#4", want: "a 1→1"},
		"clicks that are not known":        {stored: "a=1#4", copied: "a=1", counted: "a=1#4"},
		"none of an ad":                    {stored: "a=1 b=2", copied: "a=0", counted: "a=1 b=2", want: "a 0→1"},
		"an ad that is not in the window":  {stored: "a=1 c=2", copied: "b=5", counted: "a=1 c=2", want: "b 5→0"},
		"such a one first and last":        {stored: "b=1", copied: "a=5 c=6", counted: "b=1", want: "a 5→0 c 6→0"},
		"only the window is wrong":         {stored: "a=2", copied: "a=1", counted: "a=1", want: "a 2→1"},
		"both are":                         {stored: "a=2", copied: "a=3", counted: "a=1", want: "a 2→1"},
		"an ad that nobody asked for":      {stored: "a=1 b=2", copied: "a=5 b=5", counted: "a=1 b=2", ads: []string{"b"}, want: "b 5→2"},
		"so many that nobody looked":       {stored: "a=1 b=2", counted: "a=1 b=2", rest: true, want: "a 1→1 b 2→2"},
		"of these, one that is asked for":  {stored: "a=1 b=2", counted: "a=1 b=2", rest: true, ads: []string{"a"}, want: "a 1→1"},
		"an ad that was in neither before": {stored: "", copied: "a=1", counted: "a=1", want: "a 0→1"},
	} {
		found := copies.Found{Odd: map[copies.Part][]copies.Odd{
			{Start: base, Series: click.FilterAll}: odd(c.copied), {Start: base, Series: "de"}: odd("a=9"), {Start: base + minute, Series: click.FilterAll}: odd("a=9"),
		}}
		if c.rest {
			found.Rest = []copies.Part{{Start: base, Series: click.FilterAll}}
		}
		s := Stored{Rows: final(rowsOf(c.stored))}
		s.Note(click.FilterAll, base, &found)
		d := Compare(base, minute, click.FilterAll, &s, rowsOf(c.counted), 2, c.ads)
		var got []string
		for _, ch := range d.Changes {
			got = append(got, fmt.Sprintf("%s %d→%d", ch.Ad, ch.Old, ch.New))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
		if ads := int64(strings.Count(c.counted, "=")); len(c.ads) == 0 && d.Ads != ads {
			t.Errorf("%s: %d ads, want %d", name, d.Ads, ads)
		}
	}
}

// TestShownTwice: a correction is shown when the window has it, and every ad is answered for by it.
func TestShownTwice(t *testing.T) {
	t.Parallel()
	byAd, err := embedded.Open(t.TempDir(), embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = byAd.Close() }()
	w := newWorld(t, 1)
	p := w.publisher()
	p.Store = &storagetest.Twofold{Store: w.store, ByAd: byAd}
	j := &Job{Publisher: p}
	if j.spool, err = newSpool(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = j.Close() }()
	d := Diff{
		Start: base, Size: minute, Filter: click.FilterAll, Revision: 2, Clicks: 3, Ads: 1, Top: rowsOf("a=3"),
		Changes: []Change{{Ad: []byte("a"), New: 3, NewDigest: 5}, {Ad: []byte("b"), Old: 1}},
	}
	if err := j.Add(&d); err != nil {
		t.Fatal(err)
	}
	row := func(ad string, count int64, digest uint64, version int64) click.Result {
		return click.Result{
			Ad: []byte(ad), Start: base, Size: minute, Filter: click.FilterAll, Count: count, Digest: digest, Revision: 2, State: click.Corrected, Version: version,
		}
	}
	before := row("a", 3, 5, 1) // right but for its state
	before.Revision, before.State = 1, click.Provisional
	var none []click.Result // of what there was before
	for i := range 6 {
		none = append(none, row(fmt.Sprint("ad-", i), 0, 0, 1000))
	}
	list := click.Ranking{Start: base, Size: minute, Filter: click.FilterAll, Clicks: 3, Ads: 1, Top: rowsOf("a=3"), Revision: 2, State: click.Corrected, Version: 1000}
	for _, step := range []struct {
		name  string
		store storage.Store
		batch storage.Batch
		shown bool
	}{
		{"an ad too much", byAd, storage.Batch{Results: []click.Result{row("b", 1, 1, 1)}}, false},
		{"the ad as it was", byAd, storage.Batch{Results: []click.Result{before}}, false},
		{"the window", w.store, storage.Batch{Results: append(none, row("a", 3, 5, 1000)), Rankings: []click.Ranking{list}}, false},
		{"no ad too much", byAd, storage.Batch{Results: []click.Result{row("b", 0, 0, 1000)}}, false},
		{"the ad", byAd, storage.Batch{Results: []click.Result{row("a", 3, 5, 1000)}}, true},
		{"other clicks of the ad", byAd, storage.Batch{Results: []click.Result{row("a", 3, 6, 1001)}}, false},
	} {
		if err := step.store.Apply(t.Context(), &step.batch); err != nil {
			t.Fatal(err)
		}
		if shown, err := j.shown(t.Context(), &j.spool.entries[0]); err != nil || shown != step.shown {
			t.Errorf("%s: %v, %v", step.name, shown, err)
		}
	}
}

// TestShownAgain: a count that was right but for its state is shown when it has the revision of the correction.
func TestShownAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	const start = base + 50*minute // of which the world knows nothing
	spool, err := newSpool(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	j := &Job{Publisher: w.publisher(), spool: spool}
	defer func() { _ = j.Close() }()
	a := click.Result{
		Ad: []byte("a"), Start: start, Size: minute, Filter: click.FilterAll, Count: 3, Digest: 5, Revision: 1, State: click.Provisional, Version: 1000,
	}
	list := click.Ranking{Start: start, Size: minute, Filter: click.FilterAll, Clicks: 3, Ads: 1, Top: rowsOf("a=3"), Revision: 2, State: click.Corrected, Version: 1001}
	if err := w.store.Apply(t.Context(), &storage.Batch{Results: []click.Result{a}, Rankings: []click.Ranking{list}}); err != nil {
		t.Fatal(err)
	}
	stored, err := Read(t.Context(), w.store, click.FilterAll, start, minute)
	if err != nil {
		t.Fatal(err)
	}
	d := Compare(start, minute, click.FilterAll, &stored, rowsOf("a=3#5"), 1, nil)
	d.Revision = 2
	if err := j.Add(&d); err != nil || len(d.Changes) != 1 {
		t.Fatalf("%+v, %v", d, err)
	}
	for _, shown := range []bool{false, true} {
		if got, err := j.shown(t.Context(), &j.spool.entries[0]); err != nil || got != shown {
			t.Errorf("%v, %v: revision %d", got, err, a.Revision)
		}
		a.Revision, a.State, a.Version = 2, click.Corrected, 1001
		if err := w.store.Apply(t.Context(), &storage.Batch{Results: []click.Result{a}}); err != nil {
			t.Fatal(err)
		}
	}
}
