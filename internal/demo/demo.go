package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"go.uber.org/zap"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/gen"
	"github.com/clickagg/clickagg/internal/load"
	"github.com/clickagg/clickagg/internal/progress"
	"github.com/clickagg/clickagg/internal/settle"
	"github.com/clickagg/clickagg/internal/stream/kafka"
)

// ErrWrong: something the server answered is not the truth.
var ErrWrong = errors.New("the answers differ from the truth")

// Options says what to show.
type Options struct {
	Binary string      // the clickagg to run
	Gen    gen.Options // the stream; Events 0 is a live one without end
	Rate   float64     // events per second of the live stream
	Exit   bool        // end after the comparison; else go on showing until told to stop

	Out      io.Writer
	Terminal bool // whether Out is one
}

// Run runs the demonstration. It returns nil when it was told to stop or when
// everything agreed, and [ErrWrong] when something did not.
func Run(ctx context.Context, o Options) (err error) {
	dir, err := os.MkdirTemp("", "clickagg-demo-")
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	defer func() {
		if err != nil && ctx.Err() == nil {
			fmt.Fprintf(o.Out, "what it left is in %s\n", dir)
			return
		}
		_ = os.RemoveAll(dir)
	}()
	fmt.Fprintln(o.Out, "starting all roles in", dir)
	s, err := startServer(ctx, o.Binary, dir)
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	fmt.Fprintf(o.Out, "API:    http://%s/v1/ads/top_clicked_ads?n=10&last=5m\n        http://%s/v1/ads/ad000001/aggregated_count?last=5m\n        http://%s/v1/status\nBroker: %s (topic clicks)\n\n",
		s.api, s.api, s.api, s.broker)
	connecting, cancel := context.WithTimeout(ctx, 30*time.Second)
	log, err := kafka.Open(connecting, kafka.Config{Brokers: []string{s.broker}, ClientID: "clickagg-demo"}, zap.NewNop())
	cancel()
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	defer func() { _ = log.Close() }()
	if o.Gen.Events > 0 {
		if err := o.check(ctx, s, log); err != nil || o.Exit {
			return err
		}
	}
	return o.show(ctx, s, log)
}

// check sends a stream that ends, and compares every answer with the truth.
func (o *Options) check(ctx context.Context, s *server, log *kafka.Log) error {
	started, used := time.Now(), s.cpu()
	r, truth, err := load.Generate(ctx, log, load.GenerateOptions{
		Gen: o.Gen, Topic: "clicks", Finish: true, Out: o.Out, Terminal: o.Terminal,
	})
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	err = settle.Wait(ctx, settle.Options{
		Log: log, Input: "clicks", Topics: click.TopicsOf("clickagg"), Until: r.Watermark, Every: 20 * time.Millisecond,
		Status: s.client.Status,
	})
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	took, cpu := time.Since(started), s.cpu()-used
	topic, err := log.Topic(ctx, "clicks")
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	v, err := compare(ctx, s.client, truth, r.Sent, int64(topic.Partitions))
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	fmt.Fprintln(o.Out)
	v.print(o.Out)
	fmt.Fprintf(o.Out, "\n%s events from the first sent to the last final in %v: %s/s, %.2f µs of CPU each (broker and store included), at most %s MB of memory\n",
		progress.Group(r.Sent), took.Round(10*time.Millisecond), progress.Group(int64(float64(r.Sent)/took.Seconds())),
		float64(cpu.Microseconds())/float64(r.Sent), progress.Group(s.memory()>>20))
	if !v.ok() {
		return ErrWrong
	}
	fmt.Fprintln(o.Out, "every answer agrees with the truth")
	return nil
}
