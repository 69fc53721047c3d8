package control

import (
	"slices"
	"strings"
	"testing"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/internal/stream/memory"
)

// settled is a log with an installation of four shards and windows of 60 ms.
func settled(t *testing.T) *memory.Log {
	t.Helper()
	log := newLog()
	if err := propose(t.Context(), log, topic, Cluster{ID: "x", Shards: 4, Reducers: 1, WindowMS: 60}); err != nil {
		t.Fatal(err)
	}
	return log
}

// A fact holds from the end of what was opened before it, whoever reads how much of
// the topic at once.
func TestHot(t *testing.T) {
	t.Parallel()
	const end = click.None
	shards := func(n int32) Hot { return Hot{Shards: n} }
	pin := func(n int32) Hot { return Hot{Shards: n, Pinned: true, Operator: true} }
	for name, c := range map[string]struct {
		facts []any // int64 opens up to there, Hot is said of the ad
		spans []click.Span
		now   Hot
		from  int64
	}{
		"nothing is open yet":          {facts: []any{shards(2)}},
		"from the very beginning":      {[]any{int64(0), shards(2)}, []click.Span{{From: 0, Until: end, Shards: 2}}, shards(2), 0},
		"from what is open":            {[]any{int64(120), shards(2), int64(180)}, []click.Span{{From: 120, Until: end, Shards: 2}}, shards(2), 120},
		"from the next window":         {[]any{int64(121), shards(2)}, []click.Span{{From: 180, Until: end, Shards: 2}}, shards(2), 180},
		"an older opening comes late":  {[]any{int64(120), int64(60), shards(2)}, []click.Span{{From: 120, Until: end, Shards: 2}}, shards(2), 120},
		"said twice":                   {[]any{int64(60), shards(2), int64(120), shards(2)}, []click.Span{{From: 60, Until: end, Shards: 2}}, shards(2), 60},
		"merged back":                  {[]any{int64(60), shards(2), int64(120), shards(1)}, []click.Span{{From: 60, Until: 120, Shards: 2}}, shards(1), 120},
		"merged back before it held":   {[]any{int64(60), shards(2), shards(1)}, nil, shards(1), 60},
		"other shards before it held":  {[]any{int64(60), shards(2), shards(3)}, []click.Span{{From: 60, Until: end, Shards: 3}}, shards(3), 60},
		"again":                        {[]any{int64(60), shards(2), int64(120), shards(1), int64(180), shards(4)}, []click.Span{{From: 60, Until: 120, Shards: 2}, {From: 180, Until: end, Shards: 4}}, shards(4), 180},
		"others":                       {[]any{int64(60), shards(2), int64(120), shards(4)}, []click.Span{{From: 60, Until: 120, Shards: 2}, {From: 120, Until: end, Shards: 4}}, shards(4), 120},
		"pinned against the shards":    {[]any{int64(60), pin(1), shards(4)}, nil, pin(1), 60},
		"pinned over the shards":       {[]any{int64(60), shards(2), int64(120), pin(3), shards(1)}, []click.Span{{From: 60, Until: 120, Shards: 2}, {From: 120, Until: end, Shards: 3}}, pin(3), 120},
		"left to the shards":           {[]any{int64(60), pin(2), Hot{Shards: 2, Operator: true}, int64(120), shards(1)}, []click.Span{{From: 60, Until: 120, Shards: 2}}, shards(1), 120},
		"pinned as it is":              {[]any{int64(60), shards(2), int64(120), pin(2)}, []click.Span{{From: 60, Until: end, Shards: 2}}, pin(2), 60},
		"pinned twice, by two at once": {[]any{int64(60), pin(2), pin(3)}, []click.Span{{From: 60, Until: end, Shards: 3}}, pin(3), 60},
	} {
		log, ctx := settled(t), t.Context()
		steps, err := Load(ctx, log, topic)
		if err != nil {
			t.Fatal(err)
		}
		for _, fact := range c.facts {
			switch fact := fact.(type) {
			case int64:
				err = Open(ctx, log, topic, fact)
			case Hot:
				err = NoteHot(ctx, log, topic, "ad", fact)
			}
			if err != nil {
				t.Fatal(err)
			}
			before := steps.Spans(click.None)
			was := slices.Clone(before["ad"])
			if steps, err = Refresh(ctx, log, topic, steps); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(before["ad"], was) {
				t.Errorf("%s: what was read before has changed", name)
			}
		}
		whole, err := Load(ctx, log, topic)
		if err != nil {
			t.Fatal(err)
		}
		for how, f := range map[string]*Facts{"step by step": &steps, "at once": &whole} {
			now, known := f.Hot("ad")
			if got := f.Spans(click.None)["ad"]; !slices.Equal(got, c.spans) || now.Hot != c.now || now.From != c.from || known != (c.now != Hot{}) {
				t.Errorf("%s, read %s: %v, %+v; want %v, %+v from %d", name, how, got, now, c.spans, c.now, c.from)
			}
			if listed := len(f.Spreads()) == 1; listed != (c.now.Shards > 1 || c.now.Pinned) {
				t.Errorf("%s, read %s: listed: %v", name, how, f.Spreads())
			}
		}
	}
}

// Spans that end before what is asked for are left out, and with the last the table.
func TestSpansAfter(t *testing.T) {
	t.Parallel()
	log, ctx := settled(t), t.Context()
	for i, n := range []int32{2, 1, 3, 1} {
		if err := Open(ctx, log, topic, int64(i+1)*60); err != nil {
			t.Fatal(err)
		}
		if err := NoteHot(ctx, log, topic, "ad", Hot{Shards: n}); err != nil {
			t.Fatal(err)
		}
	}
	f, err := Load(ctx, log, topic)
	if err != nil {
		t.Fatal(err)
	}
	for after, want := range map[int64]int{click.None: 2, 119: 2, 120: 1, 239: 1} {
		if got := f.Spans(after)["ad"]; len(got) != want {
			t.Errorf("after %d: %v", after, got)
		}
	}
	if f.Spans(240) != nil {
		t.Error("an ad is spread that is not any more")
	}
}

// An installation whose clicks were mapped before anything was opened opens all that
// they can have reached.
func TestOpenedAfterAnOlderRelease(t *testing.T) {
	t.Parallel()
	log, ctx := settled(t), t.Context()
	if err := NoteBegun(ctx, log, topic, click.Source{Topic: "clicks"}); err != nil {
		t.Fatal(err)
	}
	if err := Open(ctx, log, topic, 0); err != nil {
		t.Fatal(err)
	}
	f, err := Load(ctx, log, topic)
	if err != nil {
		t.Fatal(err)
	}
	records := log.Records(topic, 0)
	if want := records[len(records)-1].Append + 24*3_600_000; f.Opened() < want {
		t.Errorf("opened %d, clicks may have reached %d", f.Opened(), want)
	}
}

func TestBadHotRecords(t *testing.T) {
	t.Parallel()
	for value, key := range map[string]string{"[": "open", "{": "hot/a", `{"shards":0}`: "hot/a", `{"shards":5}`: "hot/a"} {
		log := settled(t)
		if err := log.Append(t.Context(), topic, []stream.Message{{Key: []byte(key), Value: []byte(value)}}); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(t.Context(), log, topic); err == nil || !strings.Contains(err.Error(), "offset 1") {
			t.Errorf("%s %s: %v", key, value, err)
		}
	}
}

// A topic that is shorter than it was is a loss.
func TestRefreshNoticesALoss(t *testing.T) {
	t.Parallel()
	log := settled(t)
	f, err := Load(t.Context(), log, topic)
	if err != nil {
		t.Fatal(err)
	}
	empty := newLog()
	if _, err := Refresh(t.Context(), empty, topic, f); err == nil || !strings.Contains(err.Error(), "restore it") {
		t.Errorf("%v", err)
	}
}
