package load

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/gen"
	"github.com/clickagg/clickagg/internal/progress"
	"github.com/clickagg/clickagg/internal/stream"
)

// GenerateOptions says what to make, and where to put it: a file, or a topic
// when File is empty.
type GenerateOptions struct {
	Gen gen.Options // a live stream takes Rate from below

	File   string    // a path, packed by its ending .gz or .zst, or "-" for Stdout
	Stdout io.Writer // what "-" means
	Topic  string
	Truth  string // path for the right counts as CSV, packed by its ending; empty is none

	Rate   float64       // events a second; 0 is as fast as it goes
	Batch  int           // most events an append sends; 0 is 10,000
	Finish bool          // end with a watermark on every partition of the topic
	Window time.Duration // size of a window, for Finish; 0 is a minute

	// Watch, when set, sees the truth of what was sent after each batch. It must
	// not keep it.
	Watch func(*gen.Truth)

	Out      io.Writer // for progress; nil is nowhere
	Terminal bool      // whether Out is one
}

// Generate makes synthetic clicks and returns the right answer to what was sent,
// also when there was an error. When ctx ends, what is being sent is finished
// and the truth written, and ctx's error returned. Without Topic, log may be nil.
func Generate(ctx context.Context, log stream.Log, o GenerateOptions) (Report, *gen.Truth, error) {
	started := time.Now()
	r, truth := Report{Greatest: click.None, Watermark: click.None}, gen.NewTruth()
	if o.Gen.Now != nil {
		o.Gen.Rate = o.Rate
	}
	events, err := gen.New(o.Gen)
	if err != nil {
		return r, truth, fmt.Errorf("generate: %w", err)
	}
	to, topic, err := o.sink(ctx, log)
	if err != nil {
		return r, truth, err
	}
	bar := progress.Start(o.Out, o.Terminal, int64(o.Gen.Events), "events")
	err = o.send(ctx, events, to, func(b *batch) {
		for i := range b.events {
			truth.Add(&b.events[i])
		}
		r.Lines += b.lines
		r.Sent += b.lines
		bar.Set(r.Sent, r.Sent)
		if o.Watch != nil {
			o.Watch(truth)
		}
	})
	r.Greatest = truth.Greatest
	if closed := to.close(); err == nil {
		err = closed
	}
	if err == nil && o.Finish && o.File == "" {
		r.Watermark, err = finish(ctx, log, topic, r.Greatest, o.Window)
	}
	bar.Finish()
	if o.Truth != "" {
		if written := writeTruth(o.Truth, truth); err == nil {
			err = written
		}
	}
	r.Elapsed = time.Since(started)
	return r, truth, err
}

// send makes events in batches, each when its turn has come, so that those of a
// live stream are new when they are sent.
func (o *GenerateOptions) send(ctx context.Context, events *gen.Generator, to sink, sent func(*batch)) error {
	pace, b := newPace(o.Rate, o.Batch), newBatch()
	for more := true; more; {
		if err := pace.wait(ctx, pace.batch); err != nil {
			return err
		}
		b.reset()
		for e := (gen.Event{}); !b.full(pace.batch); {
			if more = events.Next(&e); !more {
				break
			}
			b.addEvent(&e)
		}
		if err := to.write(ctx, b.messages); err != nil {
			return err
		}
		sent(b)
	}
	return nil
}

func writeTruth(path string, truth *gen.Truth) error {
	f, err := create(path)
	if err != nil {
		return fmt.Errorf("truth: %w", err)
	}
	err = truth.Counts.WriteCSV(f)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return fmt.Errorf("truth: %s: %w", path, err)
	}
	return nil
}
