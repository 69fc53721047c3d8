package status

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/clickagg/clickagg/internal/stream"
)

const (
	publishEvery = time.Second
	readWait     = time.Second
	// forgetAfter is after how long without a word an entry is let go: its part
	// has moved on, or is listed as one that nobody works on.
	forgetAfter = time.Minute
)

// Publish appends what collect returns to the status topic once a second until
// ctx ends. A fault is logged and does no harm: the next second says it all again.
func Publish(ctx context.Context, log stream.Log, topic string, collect func() []Entry, clock stream.Clock, logger *zap.Logger) error {
	failing := false
	for clock.Sleep(ctx, publishEvery) == nil {
		entries := collect()
		messages := make([]stream.Message, 0, len(entries))
		for i := range entries {
			value, err := json.Marshal(&entries[i])
			if err != nil {
				return fmt.Errorf("status: encode: %w", err)
			}
			messages = append(messages, stream.Message{Key: []byte(partOf(&entries[i]).String()), Value: value})
		}
		if len(messages) == 0 {
			continue
		}
		err := log.Append(ctx, topic, messages)
		if err != nil && ctx.Err() == nil && !failing {
			logger.Warn("the status of this process is not published; counting goes on", zap.Error(err))
		}
		failing = err != nil
	}
	return nil
}

// Board holds what the parts of an installation last said. It is safe for
// concurrent use; make one with NewBoard.
type Board struct {
	mu     sync.Mutex
	newest map[part]Entry
}

// NewBoard makes an empty board.
func NewBoard() *Board { return &Board{newest: map[part]Entry{}} }

// Entries returns what was last said, in no order.
func (b *Board) Entries() []Entry {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]Entry, 0, len(b.newest))
	for _, e := range b.newest {
		out = append(out, e)
	}
	return out
}

func (b *Board) put(e Entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.newest[partOf(&e)] = e
	for p, old := range b.newest {
		if e.Said.Sub(old.Said) > forgetAfter {
			delete(b.newest, p)
		}
	}
}

// Follow puts on the board what is said in the status topic from now on, until
// ctx ends: within a second every part has said all it knows. What was written by
// another release and cannot be read is passed over. A topic that is gone, or was
// cut, is waited for: whoever answers questions goes on answering.
func Follow(ctx context.Context, log stream.Log, topic string, b *Board) error {
	for ctx.Err() == nil {
		err := b.follow(ctx, log, topic)
		switch {
		case err == nil || ctx.Err() != nil:
		case errors.Is(err, stream.ErrNoTopic), errors.Is(err, stream.ErrOutOfRange):
			// Nothing that counts was in it, and it may be made again meanwhile.
			if (stream.Wall{}).Sleep(ctx, readWait) != nil {
				return nil
			}
		default:
			return fmt.Errorf("status: %w", err)
		}
	}
	return nil
}

func (b *Board) follow(ctx context.Context, log stream.Log, topic string) error {
	_, end, err := log.Bounds(ctx, topic, 0)
	if err != nil {
		return fmt.Errorf("bounds: %w", err)
	}
	in, err := log.Open(ctx, topic, 0, stream.At(end))
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	defer func() { _ = in.Close() }()
	for ctx.Err() == nil {
		batch, err := in.Read(ctx, readWait)
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
		for i := range batch.Records {
			r := &batch.Records[i]
			e := Entry{Said: time.Now()} // when it was heard: the brokers' clock may be another
			if json.Unmarshal(r.Value, &e) == nil {
				b.put(e)
			}
		}
	}
	return nil
}
