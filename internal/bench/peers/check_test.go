package main

import (
	"strconv"
	"strings"
	"testing"

	"github.com/clickagg/clickagg/internal/click"
)

// small is a stream of so few clicks that every answer to it is quickly given.
func small(t *testing.T) *truth {
	t.Helper()
	c := newClicks(20_000, 7)
	for ok := true; ok; {
		_, _, ok = c.next()
	}
	return &c.truth
}

// words are the records of an honest contestant, to be spoilt.
type words struct {
	results, tops []*click.Record
	from          answers
}

// theirWords says the truth as the jobs do.
func theirWords(t *truth) *words {
	w := &words{from: answersOfTheirs("x.")}
	for m := range t.counts { // the open minute too, as some do
		start := base + int64(m)*minuteMs
		for ad, n := range t.counts[m] {
			if n > 0 {
				w.results = append(w.results, &click.Record{Value: theirText(ad, start, int64(n))})
			}
		}
		w.tops = append(w.tops, &click.Record{Value: theirList(start, t.top(m))})
	}
	return w
}

func theirText(ad int, start, n int64) []byte {
	return []byte(`{"ad_id":"` + string(appendAd(nil, ad)) + `","minute":` + digits(start) + `,"count":` + digits(n) + `}`)
}

func theirList(start int64, list []place) []byte {
	var rows []string
	for _, p := range list {
		rows = append(rows, `{"ad_id":"`+string(appendAd(nil, p.ad))+`","count":`+digits(p.count)+`}`)
	}
	return []byte(`{"minute":` + digits(start) + `,"top":[` + strings.Join(rows, ",") + `]}`)
}

func digits(n int64) string { return strconv.FormatInt(n, 10) }

// ourWords says the truth as clickagg does: provisional at first, and each answer twice.
func ourWords(t *truth) *words {
	w := &words{from: answersOfOurs("x")}
	for m := range t.counts {
		start := base + int64(m)*minuteMs
		for _, state := range []click.State{click.Provisional, click.Final, click.Final} {
			if state == click.Final && m == minutes {
				break // nobody closes the last one
			}
			r := click.Ranking{Start: start, Size: minuteMs, Filter: click.FilterAll, State: state, Revision: 1, Version: 9}
			for ad, n := range t.counts[m] {
				if n > 0 {
					c := click.Result{Ad: appendAd(nil, ad), Start: start, Size: minuteMs, Filter: click.FilterAll, Count: int64(n), Revision: 1, State: state, Version: 9}
					w.results = append(w.results, &click.Record{Value: c.AppendJSON(nil)})
				}
			}
			for _, p := range t.top(m) {
				r.Top = append(r.Top, click.Row{Ad: appendAd(nil, p.ad), Count: p.count})
			}
			w.tops = append(w.tops, &click.Record{Value: r.AppendJSON(nil)})
		}
	}
	w.results = append(w.results, &click.Record{}) // a mark
	return w
}

func (w *words) verdict(t *truth) error {
	c := newChecker(t, w.from.tolerant)
	for _, r := range w.results {
		w.from.result(c, r)
	}
	for _, r := range w.tops {
		w.from.top(c, r)
	}
	return c.verdict()
}

func replace(r *click.Record, old, with string) {
	r.Value = []byte(strings.Replace(string(r.Value), old, with, 1))
}

func TestTruthIsRight(t *testing.T) {
	t.Parallel()
	truth := small(t)
	for name, w := range map[string]*words{"theirs": theirWords(truth), "ours": ourWords(truth)} {
		if err := w.verdict(truth); err != nil {
			t.Errorf("%s: the truth is called wrong: %v", name, err)
		}
	}
}

// TestPlantedFaultsAreFound spoils one record at a time.
func TestPlantedFaultsAreFound(t *testing.T) {
	t.Parallel()
	truth := small(t)
	for _, p := range []struct {
		name  string
		spoil func(*words)
		want  string
	}{
		{"wrong count", func(w *words) { replace(w.results[1], `"count":`, `"count":1`) }, "clicks, and there were"},
		{"missing count", func(w *words) { w.results = w.results[1:] }, "final counts and 30 of 30 ranked lists came"},
		{"count of nothing", func(w *words) {
			w.results = append(w.results, &click.Record{Value: theirText(ads-1, base, 1)})
		}, "ad100000 at 16:00: 1 clicks, and there was none"},
		{"unknown ad", func(w *words) { replace(w.results[2], `"ad0`, `"ax0`) }, "which is not in the stream"},
		{"unknown minute", func(w *words) { replace(w.results[2], `:1764`, `:1664`) }, "which is not in the stream"},
		{"between minutes", func(w *words) { replace(w.results[2], `0,"count"`, `1,"count"`) }, "which is not in the stream"},
		{"count twice", func(w *words) { w.results = append(w.results, w.results[5]) }, "final twice"},
		{"not a result", func(w *words) { replace(w.results[3], `}`, ``) }, "is not a result"},
		{"wrong order", func(w *words) {
			list := truth.top(3)
			list[4], list[5] = list[5], list[4]
			w.tops[3] = &click.Record{Value: theirList(base+3*minuteMs, list)}
		}, "the ranked list of 16:03: place 5 is"},
		{"wrong count in a list", func(w *words) { replace(w.tops[0], `"count":`, `"count":1`) }, "the ranked list of 16:00: place 1 is"},
		{"short list", func(w *words) {
			list := truth.top(29)
			w.tops[29] = &click.Record{Value: theirList(base+29*minuteMs, list[:99])}
		}, "has 99 places, and should have 100"},
		{"missing list", func(w *words) { w.tops = w.tops[1:] }, "29 of 30 ranked lists came"},
		{"list twice", func(w *words) { w.tops = append(w.tops, w.tops[0]) }, "the ranked list of 16:00 is final twice"},
	} {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			w := theirWords(truth)
			p.spoil(w)
			if err := w.verdict(truth); err == nil || !strings.Contains(err.Error(), p.want) {
				t.Errorf("the verdict is %v; want %q in it", err, p.want)
			}
		})
	}
}

// TestPlantedFaultsInOurs are those that only versions and states allow.
func TestPlantedFaultsInOurs(t *testing.T) {
	t.Parallel()
	truth := small(t)
	last := func(w *words) *click.Record { return w.results[len(w.results)-2-openAds(truth)] } // before the mark and the open minute
	for _, p := range []struct {
		name  string
		spoil func(*words)
		want  string
	}{
		{"another word after the final one", func(w *words) { replace(last(w), `"count":`, `"count":1`) }, "final twice, with"},
		{"provisional after final", func(w *words) { replace(last(w), `"final"`, `"provisional"`) }, "provisional after it was final"},
		{"corrected", func(w *words) { replace(last(w), `"final"`, `"corrected"`) }, "was corrected, and nothing came late"},
		{"never final", func(w *words) {
			for _, r := range w.results {
				replace(r, `"final"`, `"provisional"`)
			}
		}, "0 of "},
		{"list never final", func(w *words) {
			for _, r := range w.tops {
				replace(r, `"final"`, `"provisional"`)
			}
		}, "0 of 30 ranked lists came"},
		{"another list after the final one", func(w *words) { replace(w.tops[2], `"count":`, `"count":1`) }, "the ranked list of 16:00 is final twice"},
		{"not a result", func(w *words) { replace(last(w), `}`, ``) }, "result"},
	} {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			w := ourWords(truth)
			p.spoil(w)
			if err := w.verdict(truth); err == nil || !strings.Contains(err.Error(), p.want) {
				t.Errorf("the verdict is %v; want %q in it", err, p.want)
			}
		})
	}
}

func openAds(t *truth) (n int) {
	for _, c := range t.counts[minutes] {
		if c > 0 {
			n++
		}
	}
	return n
}
