package e2e

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/clickagg/clickagg/internal/gen"
	"github.com/clickagg/clickagg/internal/load"
)

// BenchmarkRestart kills an aggregator that remembers RESTART_IDS event ids (five
// million by default), starts it again at once, and measures for how long no partial
// was written while clicks came in: alone, and with a standby.
func BenchmarkRestart(b *testing.B) {
	ids := 5_000_000
	if os.Getenv("RESTART_IDS") != "" {
		ids = fromEnv(b, "RESTART_IDS", ids)
	}
	for name, standby := range map[string]bool{"alone": false, "standby": true} {
		b.Run(name, func(b *testing.B) {
			ctx, cancel := context.WithTimeout(b.Context(), 15*time.Minute)
			defer cancel()
			c := newCluster(b, kafkaServer(b).Addrs(), cassandraServer(b).Addr(), quick)
			first := c.add("aggregator")
			if standby {
				c.add("aggregator", "--aggregator.standby-group", "b")
			}
			for _, role := range []string{"mapper", "reducer", "writer", "api"} {
				c.add(role)
			}
			c.ready(ctx)
			// All ids lie within the horizon, and the last minutes are still open.
			o := gen.Defaults()
			o.Events, o.Seed, o.Ads, o.Repeat, o.Late, o.Garbage = ids, 3, 100_000, 0, 0, 0
			o.Start, o.Span = time.Now().Add(-8*time.Minute), 8*time.Minute
			if _, _, err := load.Generate(ctx, c.dial(ctx), load.GenerateOptions{Gen: o, Topic: c.input(), Batch: 5000}); err != nil {
				b.Fatal(err)
			}
			var before int64
			c.eventually(ctx, "all is counted", func() error {
				st, err := c.client.Status(ctx)
				if before = total(st.Accounting).Counted; err == nil && before < int64(ids)*99/100 {
					err = os.ErrNotExist
				}
				return err
			})
			live, stop := context.WithCancel(ctx)
			done := make(chan struct{})
			log := c.dial(ctx)
			go func() {
				defer close(done)
				o := gen.Defaults()
				o.Events, o.Seed, o.Now = 0, 4, time.Now
				_, _, _ = load.Generate(live, log, load.GenerateOptions{Gen: o, Topic: c.input(), Batch: 20, Rate: 1000})
			}()
			c.eventually(ctx, "live clicks are counted", func() error {
				st, err := c.client.Status(ctx)
				if err == nil && total(st.Accounting).Counted < before+5000 {
					err = os.ErrNotExist
				}
				return err
			})
			f := &flow{c: c, log: log}
			var longest time.Duration
			for b.Loop() {
				from := time.Now()
				first.kill()
				first.start()
				time.Sleep(12 * time.Second) // the time looked at: no longer silence is told apart
				longest = max(longest, f.silence(ctx, c.name+".partials", from, time.Now()))
			}
			stop()
			<-done
			b.ReportMetric(longest.Seconds(), "s-silent")
		})
	}
}
