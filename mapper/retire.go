package mapper

import (
	"context"
	"errors"
	"fmt"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/control"
	"github.com/clickagg/clickagg/internal/stream"
)

// ErrAtWork: a source cannot be retired, because it has an owner, or had one that
// did not end in order.
var ErrAtWork = errors.New("the source was not handed over in order")

// Retire tells the shards that nobody maps a topic any more: they stop waiting for
// its sources, which otherwise hold back every window for ever. Nothing is lost: what
// the sources said counts, and they keep their positions. It returns how many
// sources were retired; repeating it changes nothing.
//
// A source must have ended in order: no mapper has the topic in its configuration any
// more, and the last one that had it was told to stop. Else nothing is retired, and
// the error wraps [ErrAtWork]. A topic that is mapped again later goes on at its
// positions; clicks of windows that were let go of meanwhile are refused as stale.
func Retire(ctx context.Context, log stream.Log, cfg Config, topic string) (retired int, err error) {
	t, err := log.Topic(ctx, topic)
	if err != nil {
		return 0, fmt.Errorf("retire: %w", err)
	}
	var last []click.Section
	for p := range t.Partitions {
		at, ok, err := log.Committed(ctx, cfg.Group, topic, p)
		if err != nil {
			return 0, fmt.Errorf("retire: committed position: %w", err)
		}
		if !ok {
			continue // no shard has heard of it
		}
		was, err := decodePosition(at.Metadata)
		name := click.Source{Topic: topic, ID: was.topic, Partition: p}
		switch {
		case err != nil:
			return 0, fmt.Errorf("retire: %s: %w", name, err)
		case !was.ended:
			return 0, fmt.Errorf("retire: %s: %w: take the topic out of input.topics of all mappers and start them anew, one after the other; "+
				"if one of them was killed, start it once more with the topic, let it catch up and stop it in order", name, ErrAtWork)
		}
		last = append(last, click.Section{
			Source: name, Term: was.term, Start: was.state.Next, End: was.state.Next, Final: true,
			Watermark: click.None, Closed: was.state.Closed, At: click.None, Rules: cfg.Rule.Rules, Account: was.state.Account,
		})
	}
	for i := range last {
		value := last[i].Append(nil)
		var out []stream.Message
		for shard := range cfg.Rule.Shards {
			out = append(out, stream.Message{Partition: shard, Value: value})
		}
		if err := log.Append(ctx, cfg.Topics.Shuffle, out); err != nil {
			return i, fmt.Errorf("retire: write sections: %w", err)
		}
	}
	ids := map[click.TopicID]bool{}
	for i := range last {
		if id := last[i].Source.ID; !ids[id] {
			ids[id] = true
			if err := control.NoteRetired(ctx, log, cfg.Topics.Control, id); err != nil {
				return len(last), fmt.Errorf("retire: %w", err)
			}
		}
	}
	return len(last), nil
}
