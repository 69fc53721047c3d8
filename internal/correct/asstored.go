package correct

import (
	"context"
	"fmt"
	"slices"

	"go.uber.org/zap"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/control"
)

// Ordering is a phase of [Publisher.EndAsStored], between Holding and Publishing.
const Ordering = "holding ranked lists against the stored counts"

// Ended is how a correction was ended.
type Ended struct {
	From, To int64 // event times it was about, Unix ms
	Lists    int64 // ranked lists that were made those of the counts beside them
	Number   int64 // of the hold that was ended last; 0 when nothing had been published
}

// EndAsStored ends the correction that has not ended without counting a click, for when those it is about are gone: every
// count stays as the store has it, be it that from before or that of the correction, and ranked lists are made those of
// these counts. What is and by names as in [Publisher.Resume], whose errors it returns. After any other error it may be
// called again. Its outcome in the control topic says what it did.
func (p *Publisher) EndAsStored(ctx context.Context, what, by string, watch func(Progress) error) (Ended, error) {
	j, err := p.Resume(ctx, what, by)
	if err != nil {
		return Ended{}, err
	}
	defer func() { _ = j.Close() }()
	e := Ended{From: j.Correction.From, To: j.Correction.To}
	if j.Correction.Hold.Number == 0 {
		return e, j.End(ctx, "ended as stored: nothing was changed")
	}
	if err := j.asStored(ctx, watch); err != nil {
		return e, fmt.Errorf("end the correction as stored: %w", err)
	}
	e.Lists, e.Number = int64(len(j.spool.entries)), j.Correction.Hold.Number
	j.Logger.Warn("a correction was ended with the counts as they were stored", zap.String("what", what), zap.String("by", by),
		zap.String("from", moment(e.From)), zap.String("to", moment(e.To)), zap.Int64("lists", e.Lists))
	return e, j.End(ctx, fmt.Sprintf("ended as stored: what was not published by then was not changed; %d ranked lists were put in order", e.Lists))
}

// asStored takes a new hold of the same time. Once the store knows of it nothing comes any more of what was said under the one
// before, so the counts stand still, and lists can be held against them.
func (j *Job) asStored(ctx context.Context, watch func(Progress) error) error {
	h := j.Correction.Hold
	if err := control.NoteHold(ctx, j.Log, j.Topics.Control, &j.Correction, h.From, h.To); err != nil {
		return err
	}
	if err := j.look(ctx); err != nil {
		return err
	}
	if err := j.begin(ctx, watch); err != nil {
		return err
	}
	if err := j.order(ctx, watch); err != nil {
		return err
	}
	return j.publish(ctx, watch)
}

// order adds the ranked lists of the hold that are not those of the stored counts.
func (j *Job) order(ctx context.Context, watch func(Progress) error) error {
	filters, err := j.Store.Counted(ctx)
	if err != nil {
		return fmt.Errorf("read which filters are stored: %w", err)
	}
	filters = append(filters, click.FilterAll)
	slices.Sort(filters)
	filters = slices.Compact(filters)
	h := j.Correction.Hold
	for start := h.From; start < h.To; start += j.Window {
		if err := watch(Progress{Phase: Ordering, Done: (start - h.From) / j.Window, Total: (h.To - h.From) / j.Window}); err != nil {
			return err
		}
		for _, filter := range filters {
			stored, err := Read(ctx, j.Store, filter, start, j.Window)
			if err != nil {
				return err
			}
			d := Compare(start, j.Window, filter, &stored, stored.Counts(), j.Top, nil)
			if err := j.Add(&d); err != nil {
				return err
			}
		}
	}
	return nil
}
