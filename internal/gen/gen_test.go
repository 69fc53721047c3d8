package gen

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/clickagg/clickagg/internal/click"
)

func options(events int, seed uint64) Options {
	o := Defaults()
	o.Events, o.Seed = events, seed
	return o
}

// record is an event that outlives the next one.
type record struct {
	key, value, ad string
	at             int64
	kind           Kind
	reason         click.Reason
}

func generate(t *testing.T, o Options) []record {
	t.Helper()
	g, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	var all []record
	for e := (Event{}); g.Next(&e); {
		all = append(all, record{string(e.Key), string(e.Value), string(e.Ad), e.At, e.Kind, e.Reason})
	}
	return all
}

// TestGolden pins the bytes: changing them changes what a seed means to everyone.
func TestGolden(t *testing.T) {
	t.Parallel()
	for seed, want := range map[uint64]string{
		1: "7c8d373ea760f736fe2c4292c326871e",
		2: "439b11ed57d8143038c23ef2572bc7c2",
	} {
		h := sha256.New()
		for _, r := range generate(t, options(30_000, seed)) {
			fmt.Fprintf(h, "%s\n%s\n", r.key, r.value)
		}
		if got := hex.EncodeToString(h.Sum(nil)[:16]); got != want {
			t.Errorf("seed %d: hash %s, want %s", seed, got, want)
		}
	}
}

// TestTruthIsRecount holds the truth against a count by other means: the
// produced bytes, read by encoding/json, distinct by event id.
func TestTruthIsRecount(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		o := options(30_000, seed)
		o.Ads, o.Repeat, o.Conflict, o.Garbage = 300, 0.2, 0.05, 0.02
		g, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		truth := NewTruth()
		first := map[string]string{}
		var recount Counts
		var duplicates, conflicts, rejected, greatest int64
		for e := (Event{}); g.Next(&e); {
			truth.Add(&e)
			if e.Kind == Garbage {
				rejected++
				continue
			}
			var c struct {
				ID string `json:"event_id"`
				Ad string `json:"ad_id"`
				At int64  `json:"ts"`
			}
			if err := json.Unmarshal(e.Value, &c); err != nil {
				t.Fatalf("%s: %v", e.Value, err)
			}
			if c.ID != string(e.Key) || c.Ad != string(e.Ad) || c.At != e.At {
				t.Fatalf("%s: key %s, ad %s, at %d", e.Value, e.Key, e.Ad, e.At)
			}
			switch before, known := first[c.ID]; {
			case !known:
				first[c.ID] = string(e.Value)
				recount.Add([]byte(c.Ad), time.UnixMilli(c.At).Truncate(time.Minute).UnixMilli(), 1)
				greatest = max(greatest, c.At)
			case before == string(e.Value):
				duplicates++
			default:
				conflicts++
			}
		}
		if r := Compare(&recount, &truth.Counts); !r.Equal() {
			t.Errorf("seed %d: %s", seed, &r)
		}
		got := [...]int64{truth.Clicks, truth.Duplicates, truth.Conflicts, truth.RejectedTotal(), truth.Greatest}
		want := [...]int64{int64(len(first)), duplicates, conflicts, rejected, greatest}
		if got != want {
			t.Errorf("seed %d: truth %v, recount %v", seed, got, want)
		}
	}
}

// TestKinds checks what each event promises, and how often each kind comes.
func TestKinds(t *testing.T) {
	t.Parallel()
	o := options(100_000, 7)
	o.Garbage, o.Conflict = 0.01, 0.001
	start, span := o.Start.UnixMilli(), o.span()
	originals := map[string]record{}
	kinds := map[Kind]int{}
	reasons := map[click.Reason]int{}
	var late, early int
	newest := int64(0)
	for i, r := range generate(t, o) {
		kinds[r.kind]++
		if bytes.ContainsAny([]byte(r.value), "\r\n") {
			t.Fatalf("event %d: %q has a line end", i, r.value)
		}
		if r.kind == Garbage {
			reasons[r.reason]++
			if r.at != 0 || r.ad != "" || r.key == "" {
				t.Fatalf("garbage %d: at %d, ad %q, key %q", i, r.at, r.ad, r.key)
			}
			continue
		}
		now := start + int64(i)*span/int64(o.Events)
		newest = max(newest, r.at)
		if r.at < start || r.at > now || newest-r.at > MaxLag.Milliseconds() {
			t.Fatalf("event %d at %d: now %d, newest %d", i, r.at, now, newest)
		}
		first, known := originals[r.key]
		switch {
		case r.kind == Click:
			if known {
				t.Fatalf("event %d: new click with the id of another", i)
			}
			originals[r.key] = r
			if lag := now - r.at; lag >= minLate.Milliseconds() {
				late++
			} else if lag > o.OutOfOrder.Milliseconds() {
				t.Fatalf("event %d: lag %d ms is neither disorder nor late", i, lag)
			} else if lag > o.OutOfOrder.Milliseconds()/2 {
				early++
			}
		case !known:
			t.Fatalf("event %d: a copy before its first", i)
		case r.ad != first.ad || r.at != first.at || (r.value == first.value) != (r.kind == Repeat):
			t.Fatalf("event %d: %q is no copy of kind %d of %q", i, r.value, r.kind, first.value)
		}
	}
	about := func(what string, got int, want float64) {
		if f := float64(got); f < want*0.85 || f > want*1.15 {
			t.Errorf("%s: %d, want about %.0f", what, got, want)
		}
	}
	n := float64(o.Events)
	about("repeats", kinds[Repeat], o.Repeat*n)
	about("garbage", kinds[Garbage], o.Garbage*n)
	about("late", late, o.Late*float64(kinds[Click])*5/6) // none in the first of six half-minutes
	about("in disorder by half", early, float64(kinds[Click]-late)/2)
	if kinds[Conflict] < 50 || kinds[Conflict] > 150 {
		t.Errorf("conflicts: %d, want about 100", kinds[Conflict])
	}
	for _, s := range spoils {
		if reasons[s.reason] == 0 {
			t.Errorf("no garbage for reason %s", s.reason)
		}
	}
}

// TestGarbageHasOneFault reads the garbage with encoding/json: what it must
// refuse it does, and the rest is refused for its content.
func TestGarbageHasOneFault(t *testing.T) {
	t.Parallel()
	g, err := New(options(1, 3))
	if err != nil {
		t.Fatal(err)
	}
	for i := range spoils {
		s := &spoils[i]
		value := g.appendClick(nil, g.start, s)
		var object map[string]any
		if err := json.Unmarshal(value, &object); (err != nil) != (s.reason == click.Malformed) {
			t.Errorf("%s: %s: %v", s.reason, value, err)
		}
	}
}

func TestPopularity(t *testing.T) {
	t.Parallel()
	g, err := New(options(1, 5))
	if err != nil {
		t.Fatal(err)
	}
	const draws, ranks = 400_000, 50
	for _, exponent := range []float64{0, 0.7, 1.1, 2} {
		p := newPopularity(ranks, exponent)
		var got [ranks]int
		for range draws {
			got[p.draw(g.random.Uint64())]++
		}
		var sum float64
		weight := func(i int) float64 { return 1 / math.Pow(float64(i+1), exponent) }
		for i := range ranks {
			sum += weight(i)
		}
		for _, i := range []int{0, 1, 2, 9} {
			want := draws * weight(i) / sum
			if f := float64(got[i]); f < want*0.93-30 || f > want*1.07+30 {
				t.Errorf("exponent %v: rank %d drawn %d times, want about %.0f", exponent, i, got[i], want)
			}
		}
	}
}

// TestLive drives the generator by a clock that stalls once: no copy may come
// later than it could be counted.
func TestLive(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 30, 0, time.UTC)
	o := options(0, 11)
	o.Rate, o.Repeat, o.Now = 1000, 0.1, func() time.Time { return now }
	g, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	repeats := 0
	for i := range 150_000 {
		now = now.Add(time.Millisecond)
		if i == 100_000 {
			now = now.Add(3 * time.Minute)
		}
		var e Event
		if !g.Next(&e) {
			t.Fatal("a live stream without a number of events ended")
		}
		if e.Kind == Garbage {
			continue
		}
		if lag := now.UnixMilli() - e.At; lag < 0 || lag > MaxLag.Milliseconds() {
			t.Fatalf("event %d of kind %d is %d ms behind", i, e.Kind, lag)
		}
		if e.Kind == Repeat {
			repeats++
		}
	}
	if repeats < 7_000 { // the first ones are still to come
		t.Errorf("%d repeats in 150,000 events, want over half of 15,000", repeats)
	}
}

func TestNoAllocationPerEvent(t *testing.T) {
	o := options(20_000_000, 1)
	o.Span = 48 * time.Hour // few events a second, so that the copies held are soon at their most
	g, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	var e Event
	for range 400_000 {
		g.Next(&e)
	}
	if n := testing.AllocsPerRun(100, func() {
		for range 1000 {
			g.Next(&e)
		}
	}); n > 1 {
		t.Errorf("%v allocations per 1000 events", n)
	}
	if n := len(g.held.slots); n > heldMax {
		t.Errorf("%d copies held", n)
	}
}

func TestOptionsRefused(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*Options){
		"events":       func(o *Options) { o.Events = 0 },
		"ads":          func(o *Options) { o.Ads = 0 },
		"zipf":         func(o *Options) { o.Zipf = -1 },
		"late":         func(o *Options) { o.Late = 1.5 },
		"repeat":       func(o *Options) { o.Repeat = 0.6 },
		"out of order": func(o *Options) { o.OutOfOrder = time.Hour },
		"start":        func(o *Options) { o.Start = time.Time{} },
		"span":         func(o *Options) { o.Span = -1 },
		"rate":         func(o *Options) { o.Now = time.Now },
	} {
		o := Defaults()
		change(&o)
		if _, err := New(o); err == nil || !bytes.Contains([]byte(err.Error()), []byte(want)) {
			t.Errorf("%s: error %v", want, err)
		}
	}
}

func BenchmarkNext(b *testing.B) {
	o := Defaults()
	o.Events = 1 << 40
	g, err := New(o)
	if err != nil {
		b.Fatal(err)
	}
	var e Event
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		g.Next(&e)
		n += len(e.Value)
	}
	b.SetBytes(int64(n / b.N))
}
