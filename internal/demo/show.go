package demo

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/clickagg/clickagg/internal/api/client"
	"github.com/clickagg/clickagg/internal/load"
	"github.com/clickagg/clickagg/internal/progress"
	"github.com/clickagg/clickagg/internal/stream/kafka"
)

// shown is how many ads the live view lists.
const shown = 10

// show sends a live stream and shows, once a second, what the server says of it,
// until ctx ends.
func (o *Options) show(ctx context.Context, s *server, log *kafka.Log) error {
	ctx, cancel := context.WithCancel(ctx)
	live := o.Gen
	live.Events, live.Now = 0, time.Now
	sent := make(chan error, 1)
	go func() {
		_, _, err := load.Generate(ctx, log, load.GenerateOptions{Gen: live, Topic: "clicks", Rate: o.Rate})
		sent <- err
		cancel()
	}()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var last view
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-s.ended:
			cancel()
		case <-tick.C:
			next, err := look(ctx, s.client)
			if err == nil {
				o.draw(&last, next)
				last = *next
			}
		}
	}
	cancel()
	if err := <-sent; err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("demo: %w", err)
	}
	return nil
}

// view is what the live view shows.
type view struct {
	at        time.Time
	counted   int64
	duplicate int64
	rejected  int64
	final     string
	top       []string
	lines     int
}

func look(ctx context.Context, c *client.Client) (*view, error) {
	st, err := c.Status(ctx)
	if err != nil {
		return nil, err
	}
	// With the minute that is open: "last" is for whole minutes, and for the first
	// one there would be nothing to see.
	to := time.Now().Truncate(time.Minute).Add(time.Minute)
	top, err := c.Top(ctx, shown, client.Range{From: to.Add(-5 * time.Minute).Format(time.RFC3339), To: to.Format(time.RFC3339)})
	if err != nil {
		return nil, err
	}
	v := &view{at: time.Now(), final: "nothing yet"}
	for _, a := range st.Accounting {
		v.counted += a.Counted
		v.duplicate += a.Duplicate + a.Conflict
		v.rejected += a.Rejected
	}
	if st.CompleteUntil != nil {
		v.final = st.CompleteUntil.Format(time.TimeOnly)
	}
	for i, a := range top.Ads {
		v.top = append(v.top, fmt.Sprintf("%2d. %-12s %12s", i+1, progress.Clean(a.AdID), progress.Group(a.Count)))
	}
	return v, nil
}

// draw shows a view: over the last one on a terminal, as one line elsewhere.
func (o *Options) draw(last, v *view) {
	var rate int64
	if !last.at.IsZero() {
		rate = int64(float64(v.counted-last.counted) / v.at.Sub(last.at).Seconds())
	}
	head := fmt.Sprintf("%s clicks counted, %s/s, %s repeats dropped, %s rejected, final until %s",
		progress.Group(v.counted), progress.Group(rate), progress.Group(v.duplicate), progress.Group(v.rejected), v.final)
	if !o.Terminal {
		if len(v.top) > 0 {
			head += "; top " + strings.Join(strings.Fields(v.top[0]), " ")
		}
		fmt.Fprintln(o.Out, head)
		return
	}
	lines := append([]string{head, "", "Top ads of the last 5 minutes (provisional while minutes are open)"}, v.top...)
	if last.lines > 0 {
		fmt.Fprintf(o.Out, "\x1b[%dA", last.lines)
	}
	for _, l := range lines {
		fmt.Fprintf(o.Out, "\x1b[2K%s\n", l)
	}
	v.lines = len(lines)
}
