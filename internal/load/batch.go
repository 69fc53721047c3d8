package load

import (
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/gen"
	"github.com/clickagg/clickagg/internal/stream"
)

// Limits of a batch.
const (
	batchDefault = 10_000  // messages
	batchBytes   = 4 << 20 // keys and values; the last message may go over it
)

// batch is what one append sends, and what is known of the input up to there.
// It owns its bytes, and is used again when it was sent.
type batch struct {
	arena    []byte
	messages []stream.Message
	lines    int64    // good and bad ones
	bad      int64    // of these
	faults   []string // the first bad ones, to be shown
	greatest int64    // greatest event time
	position int64    // bytes read of the file
	events   []gen.Event
}

func newBatch() *batch { return &batch{greatest: click.None} }

func (b *batch) reset() {
	*b = batch{
		arena: b.arena[:0], messages: b.messages[:0], faults: b.faults[:0], events: b.events[:0], greatest: click.None,
	}
}

func (b *batch) full(messages int) bool {
	return len(b.messages) >= messages || len(b.arena) >= batchBytes
}

// add copies a click into the batch.
func (b *batch) add(key, value []byte, at int64) {
	b.messages = append(b.messages, stream.Message{Partition: stream.ByKey, Key: b.keep(key), Value: b.keep(value)})
	b.greatest = max(b.greatest, at)
	b.lines++
}

// addEvent copies an event into the batch, so that it can be added to the truth
// when it was sent.
func (b *batch) addEvent(e *gen.Event) {
	at := e.At
	if e.Kind == gen.Garbage {
		at = click.None
	}
	b.add(e.Key, e.Value, at)
	m := &b.messages[len(b.messages)-1]
	kept := *e
	kept.Key, kept.Value, kept.Ad = m.Key, m.Value, b.keep(e.Ad)
	b.events = append(b.events, kept)
}

// keep copies bytes into the arena. When the arena grows, older slices stay
// views of the array they were cut from.
func (b *batch) keep(p []byte) []byte {
	from := len(b.arena)
	b.arena = append(b.arena, p...)
	return b.arena[from:len(b.arena):len(b.arena)]
}
