package click

import (
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"strconv"
	"testing"
	"time"
)

// texts are ads and filters that are hard to write.
var texts = []string{"", "a", FilterAll, `"`, `\`, `\"quoted\"`, "tab\tand\nline", "\x00\x1f\x7f", "é漢字🙂", "<script>&", "\u2028\u2029", "a b"}

func someResult(rng *rand.Rand) Result {
	return Result{
		Ad: []byte(texts[rng.IntN(len(texts))]), Start: rng.Int64N(4e12) * []int64{1, 1000}[rng.IntN(2)] % 4e12, Size: 60_000,
		Filter: texts[rng.IntN(len(texts))], Count: someTotal(rng), Digest: rng.Uint64() >> rng.IntN(70), Revision: someTotal(rng),
		State: Provisional + State(rng.IntN(3)), Version: someTotal(rng),
	}
}

// TestResultIsJSON reads results as another program would.
func TestResultIsJSON(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 3))
	for range 1000 {
		r := someResult(rng)
		var got struct {
			Ad       string    `json:"ad_id"`
			Start    time.Time `json:"window_start"`
			Size     int64     `json:"window_ms"`
			Filter   string    `json:"filter"`
			Count    int64     `json:"count"`
			Digest   string    `json:"digest"`
			Revision int64     `json:"revision"`
			State    string    `json:"state"`
			Version  int64     `json:"version"`
		}
		b := r.AppendJSON(nil)
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		state, err := ParseState(got.State)
		digest, _ := strconv.ParseUint(got.Digest, 16, 64) // 0 when there is none
		if back := (Result{
			Ad: []byte(got.Ad), Start: got.Start.UnixMilli(), Size: got.Size, Filter: got.Filter,
			Count: got.Count, Digest: digest, Revision: got.Revision, State: state, Version: got.Version,
		}); err != nil || !reflect.DeepEqual(back, r) {
			t.Fatalf("%s read as %+v, %v; written from %+v", b, back, err, r)
		}
	}
}

func TestRankingIdentity(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(2, 3))
	for range 1000 {
		r := someResult(rng)
		k := Ranking{
			Start: r.Start, Size: r.Size, Filter: r.Filter, State: r.State, Revision: r.Revision, Version: r.Version,
			Clicks: someTotal(rng), Ads: someTotal(rng), Top: []Row{},
		}
		for range rng.IntN(4) {
			k.Top = append(k.Top, Row{Ad: []byte(texts[rng.IntN(len(texts))]), Count: someTotal(rng)})
		}
		b := k.AppendJSON(nil)
		if got, err := ParseRanking(b); err != nil || !reflect.DeepEqual(got, k) {
			t.Fatalf("%s read as %+v, %v; written from %+v", b, got, err, k)
		}
	}
}

func TestParseRankingRefuses(t *testing.T) {
	t.Parallel()
	for name, b := range map[string]string{
		"nothing":           "",
		"no object":         "null",
		"two objects":       `{"window_start":"2019-11-24T00:00:00Z","state":"final"}{}`,
		"no start":          `{"state":"final"}`,
		"a number as start": `{"window_start":1,"state":"final"}`,
		"no state":          `{"window_start":"2019-11-24T00:00:00Z"}`,
		"unknown state":     `{"window_start":"2019-11-24T00:00:00Z","state":"sure"}`,
		"before year 0":     `{"window_start":"0000-01-01T00:00:00+01:00","state":"final"}`,
		"after year 9999":   `{"window_start":"9999-12-31T23:59:59-01:00","state":"final"}`,
	} {
		if k, err := ParseRanking([]byte(b)); !errors.Is(err, ErrWire) {
			t.Errorf("%s: %+v, %v", name, k, err)
		}
	}
}

// FuzzParseRanking: JSON says one thing in many ways, so what was taken is not
// written as it came, but what is written says the same.
func FuzzParseRanking(f *testing.F) {
	k := Ranking{Start: goldenMinute, Size: 60_000, Filter: FilterAll, State: Final, Revision: 1, Top: []Row{{Ad: []byte("a"), Count: 1}}}
	f.Add(k.AppendJSON(nil))
	f.Add([]byte(`{"window_start":"0000-01-01T00:00:00.0009+00:01","state":"corrected","top":[{"ad_id":"\ud800"},{}],"ads":-1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := ParseRanking(b)
		if err != nil {
			if !errors.Is(err, ErrWire) {
				t.Fatal(err)
			}
			return
		}
		again := k.AppendJSON(nil)
		if got, err := ParseRanking(again); err != nil || !reflect.DeepEqual(got, k) {
			t.Fatalf("%s was taken, and written as %s: %v", b, again, err)
		}
	})
}

func TestAppendStart(t *testing.T) {
	t.Parallel()
	for ms, want := range map[int64]string{
		goldenMinute:       "2019-11-24T00:00:00Z",
		goldenMinute + 500: "2019-11-24T00:00:00.5Z",
		0:                  "1970-01-01T00:00:00Z",
		-1:                 "1969-12-31T23:59:59.999Z",
	} {
		if got := string(AppendStart(nil, ms)); got != want {
			t.Errorf("%d: %s, want %s", ms, got, want)
		}
	}
	AppendStart(nil, math.MinInt64) // must not panic
}

func TestResultAllocatesNothing(t *testing.T) {
	r := Result{Ad: []byte(`ad"1`), Start: goldenMinute, Size: 60_000, Filter: FilterAll, Count: 17, Revision: 1, State: Final, Version: 812}
	b := make([]byte, 0, 512)
	if n := testing.AllocsPerRun(100, func() { b = r.AppendJSON(b[:0]) }); n != 0 {
		t.Errorf("%v allocations per result", n)
	}
}
