package stage

import (
	"context"
	"fmt"

	"github.com/clickagg/clickagg/internal/stream"
)

// Outbox collects messages for one topic. It owns their bytes: keys and values
// are copied into one buffer that is used again after each Flush.
type Outbox struct {
	log      stream.Log
	topic    string
	messages []stream.Message
	buf      []byte
}

// NewOutbox makes an empty outbox.
func NewOutbox(log stream.Log, topic string) *Outbox { return &Outbox{log: log, topic: topic} }

// Value appends to the outbox's buffer through fill and returns what was added,
// which stays valid until the next Flush.
func (o *Outbox) Value(fill func([]byte) []byte) []byte {
	const chunk = 256 << 10
	if cap(o.buf)-len(o.buf) < 4<<10 {
		// Earlier messages keep the old buffer; it is free after the flush.
		o.buf = make([]byte, 0, chunk)
	}
	from := len(o.buf)
	o.buf = fill(o.buf)
	return o.buf[from:len(o.buf):len(o.buf)]
}

// Add takes a message whose bytes stay valid until the next Flush.
func (o *Outbox) Add(m stream.Message) { o.messages = append(o.messages, m) }

// Len is how many messages wait.
func (o *Outbox) Len() int { return len(o.messages) }

// Flush appends all messages to the topic and returns when they are acknowledged.
func (o *Outbox) Flush(ctx context.Context) error {
	if len(o.messages) == 0 {
		return nil
	}
	if err := o.log.Append(ctx, o.topic, o.messages); err != nil {
		return fmt.Errorf("write to %s: %w", o.topic, err)
	}
	clear(o.messages)
	o.messages, o.buf = o.messages[:0], o.buf[:0]
	return nil
}
