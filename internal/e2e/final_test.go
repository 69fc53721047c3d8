package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/clickagg/clickagg/internal/api"
	"github.com/clickagg/clickagg/internal/api/client"
	"github.com/clickagg/clickagg/internal/gen"
	"github.com/clickagg/clickagg/internal/load"
)

// watcher asks the same questions again and again, and remembers what was final.
type watcher struct {
	s         *server
	questions []question
	final     map[int]said // by question
	finals    int          // answers that were final
	corrected int          // of these: of a higher revision than the one before
}

// question is one for a count, or, without an ad, for a ranking.
type question struct {
	ad string
	client.Range
}

type said struct {
	text     string
	revision int64
}

func (w *watcher) ask(ctx context.Context, q question) (said, bool, error) {
	if q.ad == "" {
		a, err := w.s.client.Top(ctx, 20, q.Range)
		return said{fmt.Sprint(a.Ads, a.Exact), a.Revision}, a.Status == api.Final, err
	}
	a, err := w.s.client.Count(ctx, q.ad, q.Range)
	return said{fmt.Sprint(a.Count), a.Revision}, a.Status == api.Final, err
}

// round asks everything once.
func (w *watcher) round(ctx context.Context) error {
	for i, q := range w.questions {
		now, final, err := w.ask(ctx, q)
		if err != nil {
			return fmt.Errorf("%+v: %w", q, err)
		}
		was, known := w.final[i]
		switch {
		case !final && known:
			return fmt.Errorf("%+v: was final (%+v), and is provisional (%+v)", q, was, now)
		case !final:
			continue
		case known && (now.revision < was.revision || now.revision == was.revision && now.text != was.text):
			return fmt.Errorf("%+v: was final as %+v, and is %+v", q, was, now)
		case known && now.revision > was.revision:
			w.corrected++
		}
		w.final[i] = now
		w.finals++
	}
	return nil
}

// An answer that was called final never changes, unless with a higher revision, while
// clicks come in, some of them late enough to correct minutes, and while minutes are
// rolled up to hours beneath it. In the end it is the truth.
func TestFinalStaysFinal(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	s := running(ctx, t)
	o := gen.Defaults()
	o.Events, o.Ads, o.Span, o.Late = 150_000, 500, 5*time.Hour, 0.03
	w := &watcher{s: s, final: map[int]said{}}
	ask := func(from, to time.Duration) {
		r := client.Range{From: o.Start.Add(from).Format(time.RFC3339), To: o.Start.Add(to).Format(time.RFC3339)}
		for _, ad := range []string{"", "ad000001", "ad000002", "ad000100"} {
			w.questions = append(w.questions, question{ad, r})
		}
	}
	for h := range 5 {
		from := time.Duration(h) * time.Hour
		ask(from, from+time.Hour)
		ask(from+59*time.Minute, from+time.Hour)
		ask(from+7*time.Minute, from+31*time.Minute)
		ask(0, from+30*time.Minute)
	}
	type loaded struct {
		report load.Report
		truth  *gen.Truth
		err    error
	}
	done := make(chan loaded, 1)
	go func() {
		report, truth, err := load.Generate(ctx, s.dial(ctx), load.GenerateOptions{Gen: o, Topic: "clicks", Finish: true, Batch: 500, Rate: 10_000})
		done <- loaded{report, truth, err}
	}()
	var l loaded
	for l.truth == nil && l.err == nil {
		if err := w.round(ctx); err != nil {
			t.Fatal(err)
		}
		select {
		case l = <-done:
		default:
		}
	}
	if l.err != nil {
		t.Fatal(l.err)
	}
	s.completeUntil(ctx, l.report.Watermark)
	if err := w.round(ctx); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d answers were final, %d of them corrected", w.finals, w.corrected)
	if w.finals < 2*len(w.questions) || w.corrected == 0 {
		t.Errorf("of %d final answers %d were corrected: nothing is proven", w.finals, w.corrected)
	}
	s.isTruth(ctx, l.truth)
}
