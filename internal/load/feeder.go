package load

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/progress"
)

// Formats of an input.
const (
	formatLines = "jsonl"
	formatCSV   = "csv"
)

// inFlight is how many batches there are: one being sent, one waiting, one
// being filled.
const inFlight = 3

// faultMax is how much is shown of why a line is bad, in bytes.
const faultMax = 300

// feeder reads and judges the lines of an input on a goroutine of its own.
type feeder struct {
	in    *input
	o     *ProduceOptions
	size  int // messages of a batch
	full  chan *batch
	free  chan *batch
	err   error // why the input ended, nil at its end; read it when full is closed
	batch *batch
	shown int
}

func newFeeder(in *input, o *ProduceOptions, size int) *feeder {
	f := &feeder{in: in, o: o, size: size, full: make(chan *batch, 1), free: make(chan *batch, inFlight), batch: newBatch()}
	for range inFlight - 1 {
		f.free <- newBatch()
	}
	return f
}

// run reads to the end of the input, or until ctx ends, and closes full.
func (f *feeder) run(ctx context.Context) {
	defer close(f.full)
	if err := f.read(ctx); err != nil && ctx.Err() == nil {
		f.err = fmt.Errorf("read %s: %w", f.in.name, err)
	}
}

func (f *feeder) read(ctx context.Context) error {
	content, release, err := f.in.unpack(cmp.Or(f.o.UnpackedMax, UnpackedMax))
	if err != nil {
		return err
	}
	defer release()
	lines := newLines(content)
	from, err := f.source(lines)
	if err != nil {
		return err
	}
	if f.in.size == 0 {
		// A pipe may pause: what came before is sent and not held back.
		f.in.raw.waiting = f.offer
	}
	for {
		value, line, err := from.next()
		if err == nil {
			f.judge(value, line)
		} else if bad, ok := errors.AsType[*fault](err); ok {
			f.refuse(bad)
		} else {
			return errors.Join(notEnd(err, lines.number), f.hand(ctx))
		}
		if f.batch.full(f.size) || f.batch.bad >= int64(f.size) {
			if err := f.hand(ctx); err != nil {
				return err
			}
		}
	}
}

// notEnd is nil at the end of the input, and says where another error happened.
func notEnd(err error, line int64) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return fmt.Errorf("after line %d: %w", line, err)
}

// source is the input in its format.
func (f *feeder) source(l *lines) (source, error) {
	format := f.o.Format
	if format == "" {
		name := strings.TrimSuffix(strings.TrimSuffix(f.in.name, ".gz"), ".zst")
		if format = formatLines; strings.HasSuffix(name, ".csv") {
			format = formatCSV
		}
	}
	if format == formatCSV {
		return newTable(l, f.o.Map, cmp.Or(f.o.TimeField, "ts"))
	}
	if len(f.o.Map) > 0 {
		return nil, fmt.Errorf("only columns of csv can be mapped, and this is %s", format)
	}
	return jsonLines{l}, nil
}

// judge puts a click into the batch, or refuses it.
func (f *feeder) judge(value []byte, line int64) {
	_, id, at, err := f.o.Check(value)
	if ahead := at - time.Now().UnixMilli(); err == nil && f.o.MaxFuture > 0 && ahead > f.o.MaxFuture.Milliseconds() {
		err = fmt.Errorf("%s: event time %d ms ahead of this machine's clock", click.Ahead, ahead)
	}
	if err != nil {
		f.refuse(&fault{line, err.Error()})
		return
	}
	f.batch.add(id, value, at)
}

func (f *feeder) refuse(bad *fault) {
	f.batch.lines++
	f.batch.bad++
	if f.shown++; f.shown <= Shown {
		text := progress.Clean(bad.text[:min(len(bad.text), faultMax)])
		f.batch.faults = append(f.batch.faults, fmt.Sprintf("%s:%d: %s", f.in.name, bad.line, text))
	}
}

// hand gives the batch to the sender and takes an empty one, when there is one.
func (f *feeder) hand(ctx context.Context) error {
	f.batch.position = f.in.raw.read
	select {
	case f.full <- f.batch:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case f.batch = <-f.free:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// offer hands the batch over if it has something and the sender waits for it.
func (f *feeder) offer() {
	if f.batch.lines == 0 || len(f.free) == 0 {
		return
	}
	f.batch.position = f.in.raw.read
	select {
	case f.full <- f.batch:
		f.batch = <-f.free
	default:
	}
}
