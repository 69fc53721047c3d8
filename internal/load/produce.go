package load

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/time/rate"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/progress"
	"github.com/clickagg/clickagg/internal/stream"
)

// Checker judges the value of a record as the mapper will, and returns its ad,
// its event id and its event time in Unix ms. The slices need to stay valid
// only until the next call. An error says why it is no click.
type Checker func(value []byte) (adID, eventID []byte, ts int64, err error)

// ErrUsage: what was asked for makes no sense, whatever the input holds.
var ErrUsage = errors.New("usage")

// UnpackedMax is the default of [ProduceOptions.UnpackedMax].
const UnpackedMax = 10 << 30

// Shown is how many bad lines are spelled out; all are counted.
const Shown = 20

// sendGrace is how long an append that has begun may still take when the
// command was told to end.
const sendGrace = 5 * time.Second

// ProduceOptions says what to load, and where. Topic, File and Check are needed.
type ProduceOptions struct {
	Topic string
	File  string    // a path, or "-" for Stdin; plain, gzip or zstd
	Stdin io.Reader // what "-" means
	Check Checker

	Format    string            // jsonl or csv; empty tells by the file's name
	Map       map[string]string // csv: a field of the click, and the column it comes from
	TimeField string            // csv: the field with the event time; empty is ts

	// MaxFuture is how far ahead of now an event time may be, as the mapper will
	// judge it by the broker's clock; 0 lets any through. Without it one forged
	// time would set the watermark that Finish promises.
	MaxFuture time.Duration

	Finish bool          // end with a watermark on every partition
	Window time.Duration // size of a window, for Finish; 0 is a minute

	Batch       int     // most lines an append sends; 0 is 10,000
	Rate        float64 // lines a second; 0 is as fast as it goes
	UnpackedMax int64   // bytes a compressed input may unpack to; 0 is 10 GiB

	Out      io.Writer // for bad lines and progress; nil is nowhere
	Terminal bool      // whether Out is one
}

// Report says what was done. It is right also when there was an error.
type Report struct {
	Lines     int64 // read, without blank ones
	Sent      int64 // acknowledged by the log, or written
	Bad       int64 // not sent
	Greatest  int64 // greatest event time sent, Unix ms; click.None when nothing was
	Watermark int64 // what was promised to every partition, Unix ms; click.None when nothing was
	Elapsed   time.Duration
}

// Produce loads a file into a topic. Bad lines are reported and left out; they
// are no error, so look at [Report.Bad]. When ctx ends, what is being sent is
// finished, and ctx's error returned. After another error the clicks of one
// batch may have been sent though they are not in the report.
func Produce(ctx context.Context, log stream.Log, o ProduceOptions) (Report, error) {
	started := time.Now()
	r := Report{Greatest: click.None, Watermark: click.None}
	if o.Format != "" && o.Format != formatLines && o.Format != formatCSV {
		return r, fmt.Errorf("%w: format %q is not one of jsonl, csv", ErrUsage, o.Format)
	}
	topic, err := log.Topic(ctx, o.Topic)
	if err != nil {
		return r, fmt.Errorf("topic %s: %w", o.Topic, err)
	}
	in, err := open(o.File, o.Stdin)
	if err != nil {
		return r, fmt.Errorf("open: %w", err)
	}
	bar := progress.Start(o.Out, o.Terminal, in.size, "clicks")
	p := producer{log: log, topic: topic.Name, bar: bar, report: &r, pace: newPace(o.Rate, o.Batch)}
	err = p.run(ctx, newFeeder(in, &o, p.pace.batch))
	if err == nil && o.Finish {
		r.Watermark, err = finish(ctx, log, topic, r.Greatest, o.Window)
	}
	bar.Finish()
	r.Elapsed = time.Since(started)
	return r, err
}

// producer sends what a feeder reads.
type producer struct {
	log    stream.Log
	topic  string
	bar    *progress.Bar
	report *Report
	pace   pace
	shown  int // bad lines
}

// run sends until the feeder's input ends, and ends the feeder in any case. A
// feeder that waits for standard input is left to end when its read does.
func (p *producer) run(ctx context.Context, f *feeder) error {
	reading, stop := context.WithCancel(ctx)
	go f.run(reading)
	err := p.send(ctx, f)
	stop()
	if err != nil {
		f.in.close()
		if f.in.stdin {
			return err
		}
	}
	for range f.full { // until the feeder has ended
	}
	f.in.close()
	return err
}

func (p *producer) send(ctx context.Context, f *feeder) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case b, ok := <-f.full:
			if !ok {
				return cmp.Or(ctx.Err(), f.err)
			}
			if err := p.sendBatch(ctx, b); err != nil {
				return err
			}
			b.reset()
			f.free <- b
		}
	}
}

func (p *producer) sendBatch(ctx context.Context, b *batch) error {
	for _, text := range b.faults {
		p.bar.Println(text)
	}
	if p.shown += len(b.faults); p.shown == Shown && b.bad > int64(len(b.faults)) {
		p.bar.Println("further bad lines are counted, not shown")
		p.shown++
	}
	p.report.Lines += b.lines
	p.report.Bad += b.bad
	if err := p.pace.wait(ctx, len(b.messages)); err != nil {
		return err
	}
	if err := appendAll(ctx, p.log, p.topic, b.messages); err != nil {
		return err
	}
	p.report.Sent += int64(len(b.messages))
	p.report.Greatest = max(p.report.Greatest, b.greatest)
	p.bar.Set(b.position, p.report.Sent)
	return nil
}

// appendAll appends; when ctx ends it still waits a little for the answer, so
// that it is known what was sent.
func appendAll(ctx context.Context, log stream.Log, topic string, messages []stream.Message) error {
	if len(messages) == 0 {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	sending, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	stop := context.AfterFunc(ctx, func() {
		late := time.AfterFunc(sendGrace, func() { cancel(context.Cause(ctx)) })
		context.AfterFunc(sending, func() { late.Stop() })
	})
	defer stop()
	if err := log.Append(sending, topic, messages); err != nil {
		return fmt.Errorf("send to %s: %w", topic, err)
	}
	return nil
}

// pace spreads a rate evenly. The zero rate is none.
type pace struct {
	limiter *rate.Limiter
	batch   int // messages to send at once
}

// newPace makes batches short enough for a low rate to look even.
func newPace(perSecond float64, batch int) pace {
	if batch <= 0 {
		batch = batchDefault
	}
	if perSecond <= 0 {
		return pace{batch: batch}
	}
	batch = min(batch, max(int(perSecond/20), 1))
	return pace{limiter: rate.NewLimiter(rate.Limit(perSecond), batch), batch: batch}
}

// wait returns when n more messages, at most a batch, may be sent.
func (p pace) wait(ctx context.Context, n int) error {
	if p.limiter == nil || n == 0 {
		return ctx.Err()
	}
	return p.limiter.WaitN(ctx, n)
}
