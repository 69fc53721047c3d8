package main

import (
	"bytes"
	"encoding/json"
	"testing"
)

// TestStream holds the stream to what is said of it, and the truth to a recount.
func TestStream(t *testing.T) {
	t.Parallel()
	const n = 50_000
	c, twin := newClicks(n, 7), newClicks(n, 7)
	recount, seen := newTruth(), map[string]int64{}
	var made, again, behind10, size, newest int64
	for {
		key, value, ok := c.next()
		if _, same, _ := twin.next(); !bytes.Equal(same, value) {
			t.Fatalf("click %d: the same seed gives other bytes", made)
		}
		if !ok {
			break
		}
		var click struct {
			ID string `json:"event_id"`
			Ad string `json:"ad_id"`
			TS int64  `json:"ts"`
		}
		if err := json.Unmarshal(value, &click); err != nil || click.ID != string(key) {
			t.Fatalf("%s, key %s: %v", value, key, err)
		}
		made++
		size += int64(len(value))
		at := click.TS - base
		if first, had := seen[click.ID]; had {
			if again++; at != first {
				t.Fatalf("%s comes again with another time", click.ID)
			}
			continue
		}
		seen[click.ID] = at
		newest = max(newest, at)
		if newest-at > disorderMs {
			t.Fatalf("a new click is %d ms behind", newest-at)
		}
		if newest-at > 1000 {
			behind10++
		}
		recount.add(parseAd([]byte(click.Ad)), at)
	}
	if made != n || recount.clicks != c.truth.clicks || recount.finals != c.truth.finals {
		t.Errorf("%d clicks made, recount %d in %d counts, truth %d in %d", made, recount.clicks, recount.finals, c.truth.clicks, c.truth.finals)
	}
	within := func(what string, got, low, high float64) {
		if got < low || got > high {
			t.Errorf("%s is %v, not between %v and %v", what, got, low, high)
		}
	}
	within("bytes of a click", float64(size)/n, 143, 147)
	within("share of repeats", float64(again)/n, 0.018, 0.022)
	within("share behind by over a second", float64(behind10)/n, 0.08, 0.16)
	within("event time at the end", float64(newest), minutes*minuteMs+15_000, spanMs)
	within("clicks of the first ad to those of the tenth", ratio(&recount, 0, 9), 10, 16) // 10^1.1 is 12.6
}

func ratio(t *truth, a, b int) float64 {
	var na, nb float64
	for _, m := range t.counts {
		na, nb = na+float64(m[a]), nb+float64(m[b])
	}
	return na / nb
}

func TestAdNames(t *testing.T) {
	t.Parallel()
	for _, ad := range []int{0, 9, 99_998, ads - 1} {
		if name := appendAd(nil, ad); parseAd(name) != ad {
			t.Errorf("ad %d is written %s, read as %d", ad, name, parseAd(name))
		}
	}
	for _, name := range []string{"", "ad000000", "ad100001", "ad00001", "ad0000001", "xx000001", "ad00000x"} {
		if parseAd([]byte(name)) != -1 {
			t.Errorf("%q is ad %d", name, parseAd([]byte(name)))
		}
	}
}

func TestSummaryOfTheDemo(t *testing.T) {
	t.Parallel()
	f, err := readSummary("…\n\n1,000,000 events from the first sent to the last final in 3.17s: 315,457/s, 2.41 µs of CPU each (broker and store included), at most 1,170 MB of memory\nevery answer agrees with the truth\n")
	if err != nil || f.Seconds != 3.17 || f.Rate != 315457 || f.CPU != 2.41 || f.PeakMB != 1170 {
		t.Errorf("read as %+v, %v", f, err)
	}
	if _, err := readSummary("something else"); err == nil {
		t.Error("a text without figures is read")
	}
}

func TestTableIsInTheOrderNamed(t *testing.T) {
	t.Parallel()
	racing, err := named("flink-set, clickagg," + demoName)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	err = table(racing, []figures{
		{Contestant: "clickagg", Rate: 900, CPU: 1}, {Contestant: demoName, Rate: 600, Includes: "broker"}, {Contestant: "flink-set", Rate: 300, CPU: 4},
	}).Print(&b)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.Split(b.Bytes(), []byte("\n"))
	for i, want := range []string{"clicks/s", "flink-set", "clickagg ", "clickagg-embedded (with broker)"} {
		if !bytes.Contains(lines[i], []byte(want)) {
			t.Errorf("line %d is %q, want %q in it", i, lines[i], want)
		}
	}
	if _, err := named("clickagg,spark"); err == nil {
		t.Error("spark races")
	}
}
