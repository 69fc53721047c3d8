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

// questions is the store as a reader sees it who breaks a rule.
func (m mutant) questions(c client) storage.Store {
	if m == blindReader {
		return blinded{c}
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
