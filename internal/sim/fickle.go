package sim

import (
	"context"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/storage"
)

// fickle says something else of a correction than who publishes it.
type fickle struct {
	handle
	m mutant
	w *world
}

func (f *fickle) Append(ctx context.Context, topic string, messages []stream.Message) error {
	messages = cloneMessages(messages)
	for i := range messages {
		var c click.Correction
		if topic != f.w.topics.Partials || c.Parse(messages[i].Value) != nil || c.Step != click.Change {
			continue
		}
		switch f.m {
		case sameRevision:
			c.Revision = 1
			messages[i].Value = c.Append(nil)
		case endsEarly:
			for r := range int32(f.w.cfg.reducers) {
				end := click.Correction{Step: click.End, Number: c.Number, From: c.From, To: c.To}
				messages = append(messages, stream.Message{Partition: r, Value: end.Append(nil)})
			}
		}
	}
	return f.handle.Append(ctx, topic, messages)
}

// store is the store as an operator sees it who breaks the rule the mutant stands for.
func (m mutant) store(c client) storage.Store {
	if m == hastyChange {
		return hasteful{c}
	}
	return c
}

// hasteful takes it for granted that every mark has the newest hold.
type hasteful struct{ client }

func (h hasteful) Marks(ctx context.Context) ([]storage.Mark, error) {
	marks, err := h.client.Marks(ctx)
	facts := h.p.w.facts()
	for i := range marks {
		if now, busy := facts.Correcting(); busy && marks[i].Hold.Number < now.Hold.Number {
			marks[i].Hold = now.Hold
		}
	}
	return marks, err
}

// questions is the store as a reader sees it who breaks a rule.
func (m mutant) questions(c client) storage.Store {
	switch m {
	case blindReader:
		return blinded{c}
	case asksOnce:
		return &once{client: c}
	}
	return c
}

// blinded sees no holds.
type blinded struct{ client }

func (b blinded) Marks(ctx context.Context) ([]storage.Mark, error) {
	marks, err := b.client.Marks(ctx)
	for i := range marks {
		marks[i].Hold = click.Hold{}
	}
	return marks, err
}

// once does not look at the marks after the rows.
type once struct {
	client
	marks []storage.Mark
	again bool
}

func (o *once) Marks(ctx context.Context) (_ []storage.Mark, err error) {
	if !o.again {
		o.marks, err = o.client.Marks(ctx)
	}
	o.again = err == nil && !o.again
	return o.marks, err
}
