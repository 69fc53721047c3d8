package audit

import (
	"reflect"
	"strings"
	"testing"

	"github.com/clickagg/clickagg/internal/click"
)

var left, right = click.Source{Topic: "clicks", ID: click.TopicID{1}}, click.Source{Topic: "clicks", ID: click.TopicID{1}, Partition: 1}

// origin is a source of whose log the first 10 offsets are gone. Of each 10 records
// after them 6 are counted, and one each is a duplicate, late, refused and none of ours.
func origin(s click.Source, tens int64) click.Origin {
	o := click.Origin{
		Source: s, Heard: 10 + 10*tens + 3, Settled: 10 + 10*tens,
		Account: click.Account{Skipped: tens, Received: 9 * tens, Late: tens, Routed: 7 * tens},
		Tally:   click.Tally{Counted: 6 * tens, Duplicate: tens},
	}
	o.Account.Rejected[click.BadTime] = tens
	return o
}

// history is three windows, the first of which was corrected after the others.
func history() []*Window {
	var windows []*Window
	for i, tens := range []int64{9, 2, 5} {
		start, version := int64(i)*60_000, 10*tens
		state, revision := click.Final, int64(1)
		if i == 0 {
			state, revision = click.Corrected, 3
		}
		windows = append(windows, &Window{
			Start: start, Filter: click.FilterAll, Clicks: 100, Ads: 7,
			List: &click.Ranking{Start: start, State: state, Revision: revision, Version: version, Clicks: 100, Ads: 7},
			Lineage: &click.Lineage{
				Start: start, Size: 60_000, State: state, Version: version, Reducers: 1,
				Sources: []click.Origin{origin(left, tens), origin(right, tens-1)},
			},
		})
	}
	return windows
}

func report(windows []*Window) Report {
	var f Fold
	for _, w := range windows {
		f.Add(w)
	}
	return f.Report()
}

func TestWholeHistoryHolds(t *testing.T) {
	r := report(history())
	if !r.Holds() {
		t.Fatalf("%v", r.Findings)
	}
	if r.Windows != 3 || r.Corrected != 1 || r.Unsigned != 0 || r.Clicks != 300 || r.Corrects != 2 || len(r.Sources) != 2 {
		t.Errorf("%+v", r)
	}
	low, high, seven := origin(right, 1), origin(right, 8), origin(right, 7)
	if want := (Source{
		Source: right, From: low.Settled, To: high.Settled, Account: seven.Account, Tally: seven.Tally,
		Base: 10, Total: high.Account, Totals: high.Tally,
	}); !reflect.DeepEqual(r.Sources[1], want) {
		t.Errorf("%+v, want %+v", r.Sources[1], want)
	}
}

func TestNothingStored(t *testing.T) {
	if r := report(nil); !r.Holds() || r.Windows != 0 || len(r.Sources) != 0 {
		t.Errorf("%+v", r)
	}
}

func TestWindowWithoutLineage(t *testing.T) {
	w := history()
	w[1].Lineage = nil
	if r := report(w); !r.Holds() || r.Unsigned != 1 || r.Windows != 3 {
		t.Errorf("%+v", r)
	}
}

func TestSourceThatNeverSettled(t *testing.T) {
	w := history()
	for i := range w {
		w[i].Lineage.Sources[0] = click.Origin{Source: left, Heard: 5}
	}
	if r := report(w); !r.Holds() || len(r.Sources) != 1 {
		t.Errorf("%+v", r)
	}
}

// Under a filter a window has counts and a list; it is no further window, and its clicks no
// further clicks.
func TestWindowUnderAFilter(t *testing.T) {
	w := history()
	de := &Window{Start: 0, Filter: "de", Clicks: 3, Ads: 2, List: &click.Ranking{Filter: "de", Clicks: 3, Ads: 2, Revision: 9}}
	if r := report(append(w, de)); !r.Holds() || r.Windows != 3 || r.Clicks != 300 || r.Corrects != 2 || r.Unsigned != 0 {
		t.Errorf("%+v", r)
	}
	de.Clicks++
	if r := report(append(w, de)); r.Found != 1 || !strings.Contains(r.Findings[0].Text, "under the filter de: the counts are 4 clicks") {
		t.Errorf("%+v", r)
	}
}

func TestEachDamageIsFound(t *testing.T) {
	first := func(w []*Window) *click.Origin { return &w[1].Lineage.Sources[0] }
	for want, damage := range map[string]func([]*Window){
		"100 clicks are counted, and no ranked list":                          func(w []*Window) { w[2].List = nil },
		"the counts are 99 clicks of 7 ads, and what was published with them": func(w []*Window) { w[2].Clicks-- },
		"says 100 of 8": func(w []*Window) { w[2].List.Ads++ },
		"of version 51, and the lineage of version 50": func(w []*Window) { w[2].List.Version++ },
		"of version 50, and the lineage of version 51": func(w []*Window) { w[2].Lineage.Version++ },
		"of version 51, and the lineage of version 49": func(w []*Window) {
			w[2].List.Version++
			w[2].Lineage.Version--
			w[2].Lineage.Correction = 1
		},
		"up to offset 30 the accounts do not add up": func(w []*Window) { first(w).Tally.Counted-- },
		"settled at offset 30, beyond 29":            func(w []*Window) { first(w).Heard = 29 },
		"from offset 30 to 100 there are 70 offsets": func(w []*Window) { first(w).Account.Skipped-- },
		"from offset 30 to 61 there are 31 offsets":  func(w []*Window) { w[2].Lineage.Sources[0].Settled++ },
		"different accounts of the records up to offset 60": func(w []*Window) {
			w[1].Lineage.Sources[0] = origin(left, 5)
			first(w).Tally.Counted--
			first(w).Tally.Conflict++
		},
		"from offset 30 to 100 a total falls": func(w []*Window) {
			o := &w[0].Lineage.Sources[0]
			o.Tally = click.Tally{Counted: 62, Duplicate: 1}
		},
		"95 records and 0 other offsets before offset 30": func(w []*Window) {
			*first(w) = click.Origin{Source: left, Heard: 30, Settled: 30, Account: click.Account{Received: 95, Marks: 95}}
			w[0], w[1] = w[1], w[0]
		},
	} {
		windows := history()
		damage(windows)
		r := report(windows)
		var all []string
		for _, f := range r.Findings {
			all = append(all, f.String())
		}
		if text := strings.Join(all, "\n"); r.Holds() || !strings.Contains(text, want) {
			t.Errorf("%q is not said, but:\n%s", want, text)
		}
	}
}

func TestFindingsAreBounded(t *testing.T) {
	var f Fold
	for range 3 * findingsMax {
		f.Add(&Window{Filter: click.FilterAll, Clicks: 1, Ads: 1})
	}
	if r := f.Report(); r.Found != 3*findingsMax || len(r.Findings) != findingsMax {
		t.Errorf("%d of %d findings", len(r.Findings), r.Found)
	}
}

func TestFindingNamesItsPlace(t *testing.T) {
	if got := (Finding{Start: 60_000, Source: "clicks/1", Text: "wrong"}).String(); got != "1970-01-01T00:01:00Z, clicks/1: wrong" {
		t.Error(got)
	}
}

// TestCorrectionUnderAFilter: a correction of another filter's counts leaves the list of all clicks as it was.
func TestCorrectionUnderAFilter(t *testing.T) {
	t.Parallel()
	w := Window{Clicks: 1, Ads: 1, List: &click.Ranking{Version: 5, Clicks: 1, Ads: 1}, Lineage: &click.Lineage{Version: 9, Correction: 2}}
	if !w.Agrees() {
		t.Error("a window does not agree whose lineage names a later correction")
	}
}
