package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"go.uber.org/zap"

	"github.com/clickagg/clickagg/internal/calendar"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/rank"
	"github.com/clickagg/clickagg/storage"
	"github.com/clickagg/clickagg/storage/roll"
)

const (
	minute = 60_000
	listed = 1000 // ads in a ranked list
	// end is when the last minute ends: within an hour and a day, so that their edges
	// are read in minutes, as they are when someone asks for the last hours.
	end = 1_750_000_000_000 / minute * minute
	// open is how many of the last minutes may still be corrected.
	open = 6
)

func adName(i int) string { return fmt.Sprintf("ad%06d", i) }

// begin is when the first minute begins.
func (o *options) begin() int64 { return end - int64(o.hours)*60*minute }

// fill stores the minutes as writers do, counts and ranked lists.
func (o *options) fill(ctx context.Context, s storage.Store) (rows int64, err error) {
	share, sum := make([]float64, o.ads), 0.0
	for i := range share {
		share[i] = math.Pow(float64(i+1), -o.zipf)
		sum += share[i]
	}
	rng := rand.New(rand.NewPCG(1, 2))
	var b storage.Batch
	for start := o.begin(); start < end; start += minute {
		best := rank.NewFirst(listed)
		list := click.Ranking{Start: start, Size: minute, Filter: click.FilterAll, State: click.Final, Revision: 1, Version: 1}
		for i := range share {
			n := int64(float64(o.clicks)*share[i]/sum + rng.Float64())
			if n == 0 {
				continue
			}
			ad := []byte(adName(i))
			best.Add(click.Row{Ad: ad, Count: n})
			list.Clicks, list.Ads = list.Clicks+n, list.Ads+1
			b.Results = append(b.Results, click.Result{
				Ad: ad, Start: start, Size: minute, Filter: click.FilterAll, Count: n, Revision: 1, State: click.Final, Version: 1,
			})
		}
		list.Top = best.Sorted()
		b.Rankings = append(b.Rankings, list)
		if len(b.Results) >= 20_000 || start+minute == end {
			for err = s.Apply(ctx, &b); errors.Is(err, storage.ErrUnavailable) && ctx.Err() == nil; {
				err = s.Apply(ctx, &b) // it is slow now and then, with much to put together
			}
			if err != nil {
				return rows, err
			}
			rows += int64(len(b.Results))
			b = storage.Batch{Results: b.Results[:0]}
		}
	}
	return rows, s.Apply(ctx, &storage.Batch{Marks: []storage.Mark{{Partitions: 1, Reducers: 1, Watermark: end, Closed: end - open*minute}}})
}

// rollUp makes one pass of a roller.
func rollUp(ctx context.Context, s storage.Store) error {
	ctx, done := context.WithCancel(ctx)
	defer done()
	r := roll.New(s, roll.Config{
		Units: []storage.Unit{storage.Hour, storage.Day}, Calendar: calendar.New(time.UTC, time.Minute), Top: listed,
	}, once(done), roll.NewMetrics(nil), zap.NewNop())
	return r.Run(ctx)
}

// once is a clock with which a run ends after its first pass.
type once context.CancelFunc

// Now implements stream.Clock.
func (once) Now() time.Time { return time.Time{} }

// Sleep implements stream.Clock.
func (o once) Sleep(ctx context.Context, _ time.Duration) error {
	o()
	return ctx.Err()
}
