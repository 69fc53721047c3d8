package carry

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/storage"
)

// Refusals is what happens when a store does not take what it is given.
type Refusals struct {
	RetryMax time.Duration // most between two tries of a store that is away; 0 is 10 s
	// Most is how many records in a row may be put aside, because no store takes them; one
	// more ends the run. They go to Topic, of Partitions partitions.
	Most       int
	Topic      string
	Partitions int32
}

// reasonRefused is the reason of a letter about a record that was put aside here.
const reasonRefused = "refused"

// refused tells whether an error is the fault of a record and not of the store.
func refused(err error) bool {
	return errors.Is(err, storage.ErrInvalid) || errors.Is(err, errRecord)
}

// sift stores records of which the store has refused some, as err says. It finds those
// by halves, so that all others are stored, in their order.
func (p *part) sift(ctx context.Context, records []click.Record, err error) error {
	if len(records) == 1 {
		p.load.Reset()
		return p.refuse(ctx, &records[0], err)
	}
	for _, half := range [][]click.Record{records[:len(records)/2], records[len(records)/2:]} {
		p.load.Reset()
		for i := range half {
			if err := p.load.Add(&half[i]); err != nil {
				return err // it was read before
			}
		}
		err := p.keepTrying(ctx)
		if refused(err) {
			err = p.sift(ctx, half, err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// refuse puts a record aside that can never be stored. It ends the run when that befalls
// more records in a row than it may: then it is not they that are wrong. It always ends it
// when the store is another installation's.
func (p *part) refuse(ctx context.Context, r *click.Record, err error) error {
	err = fmt.Errorf("offset %d: %w", r.Offset, err)
	if errors.Is(err, storage.ErrOtherSize) {
		return err
	}
	if p.inRow++; p.inRow > p.Refusals.Most {
		return fmt.Errorf("%w (and %d records before it: more in a row than writer.max_refused are not put aside)", err, p.inRow-1)
	}
	m := stream.Message{Partition: p.number % p.Refusals.Partitions}
	src := click.Source{Topic: p.topic.Name, ID: p.topic.ID, Partition: p.number}
	m.Key, m.Value, m.Headers = click.Letter(src, r, reasonRefused, p.Role+": "+err.Error())
	if err := p.Log.Append(ctx, p.Refusals.Topic, []stream.Message{m}); err != nil {
		return fmt.Errorf("write to %s: %w", p.Refusals.Topic, err)
	}
	p.Logger.Error("a record can never be stored; it is put aside", zap.String("on", p.Refusals.Topic), zap.Error(err))
	p.view.Refused++
	return nil
}
