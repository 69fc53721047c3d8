package stream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/clickagg/clickagg/internal/click"
)

// Errors a stage decides on. Implementations wrap them with what happened.
var (
	// ErrOutOfRange: the offset asked for is not in the log any more, or not
	// yet, or the records before it are others than those that were read: the log
	// was cut and written anew. What lay there cannot be read: a proven loss.
	ErrOutOfRange = errors.New("offset out of range")
	// ErrNoTopic: the topic does not exist.
	ErrNoTopic = errors.New("no such topic")
	// ErrCreateTime: an input topic keeps the producer's stamp, not the broker's.
	ErrCreateTime = errors.New("topic does not use LogAppendTime")
	// ErrTooLarge: a message is over what the log takes.
	ErrTooLarge = errors.New("message too large")
	// ErrNotOwner: another process has the partition now. Who is told so stops
	// quietly: its work is being done.
	ErrNotOwner = errors.New("the partition has moved to another process")
	// ErrReplaced: another process has joined the group under this one's name.
	ErrReplaced = errors.New("another process has joined under this one's name")
	// ErrCorrupt: what lies at the offset cannot be read as records.
	ErrCorrupt = errors.New("corrupt record batch")
)

// Corrupt is an ErrCorrupt that says which offsets it spoils: a reader opened at
// End goes on behind them.
type Corrupt struct {
	Topic     string
	Partition int32
	Start     int64 // the first offset that cannot be read
	End       int64 // the one after the last; equal to Start when not even that is known
	Reason    string
}

// Error names the place and the reason.
func (c *Corrupt) Error() string {
	return fmt.Sprintf("%s/%d: offsets %d to %d: %v: %s", c.Topic, c.Partition, c.Start, c.End-1, ErrCorrupt, c.Reason)
}

// Unwrap makes it an [ErrCorrupt].
func (c *Corrupt) Unwrap() error { return ErrCorrupt }

// NoEpoch is the epoch of a log that has none, or of a place nothing was read before.
const NoEpoch = -1

// Place is where a reader goes on.
type Place struct {
	Offset int64 // the next to read
	Epoch  int32 // of the leader that wrote the record before it; NoEpoch when unknown
	// Topic is the incarnation the offset belongs to. Where the log has another one
	// under the name, opening is ErrOutOfRange. Zero takes whichever is there.
	Topic click.TopicID
}

// At is a place of which only the offset is known.
func At(offset int64) Place { return Place{Offset: offset, Epoch: NoEpoch} }

// Batch is what one Read found.
type Batch struct {
	Records []click.Record
	// Next is the offset to read after this batch. It may lie beyond the last
	// record's offset + 1: control, aborted and compacted records take offsets.
	Next int64
	// Epoch is of the leader that wrote the record before Next, or NoEpoch. With it a
	// reader opened at Next later notices that the log was cut and written anew.
	Epoch int32
	// End is the offset after the last record that was acknowledged, as the broker
	// knew it when it answered. Behind an open transaction a reader cannot get to it:
	// what others appended meanwhile is there, and not to be read yet.
	End int64
	// Asked is when the request was sent that this batch answers, by this
	// process's clock. With Next == End, every record appended before Asked has
	// been read.
	Asked time.Time
}

// Reader reads one partition in order. It is used by one goroutine.
type Reader interface {
	// Read returns what comes next, in order, without gap or repetition. It
	// waits up to the given time for records and returns an empty batch (Next
	// and End set) when there are none. Transient faults are retried inside
	// until ctx ends. It returns ErrOutOfRange when the position is not in the log.
	Read(ctx context.Context, wait time.Duration) (*Batch, error)
	// Close frees what the reader holds.
	Close() error
}

// ByKey, as a message's partition, chooses the partition as Kafka's default
// partitioner does for a record with a key (murmur2), so that other programs
// find a key where they expect it.
const ByKey = -1

// Message is one record to append.
type Message struct {
	Partition int32 // or ByKey
	Key       []byte
	Value     []byte // nil appends a record without a value
	Headers   []click.Header
}

// Topic is what a log knows of one topic.
type Topic struct {
	Name       string
	ID         click.TopicID
	Partitions int32
}

// Position is a committed place in a partition.
type Position struct {
	Offset   int64  // the next offset to read
	Epoch    int32  // as in [Place]; kept beside the offset where the log can
	Metadata string // what the committer wrote beside it; at most 4,000 bytes
}

// Log is a set of topics. It is safe for concurrent use.
type Log interface {
	// Topic describes a topic, or returns ErrNoTopic.
	Topic(ctx context.Context, name string) (Topic, error)
	// Bounds returns the first offset that can be read and the one after the last.
	Bounds(ctx context.Context, topic string, partition int32) (start, end int64, err error)
	// Open starts reading at a place.
	Open(ctx context.Context, topic string, partition int32, at Place) (Reader, error)
	// Append writes the messages and returns when all are kept by every replica
	// the topic demands. Messages of one partition are kept in the order given,
	// and those of an Append that returned before those of a later one.
	// Transient faults are retried inside until ctx ends; a retry may keep
	// messages twice, never out of order within one call of one goroutine. After
	// an error any of the messages may have been kept.
	Append(ctx context.Context, topic string, messages []Message) error
	// Committed returns a group's position in a partition, and whether it has one.
	Committed(ctx context.Context, group, topic string, partition int32) (Position, bool, error)
	// Commit remembers a group's position, durably when it returns nil. A process
	// that is a member of the group gets ErrNotOwner for a partition that is not its
	// own, and for one that was another's since this process last committed there: it
	// begins anew at the group's position.
	Commit(ctx context.Context, group, topic string, partition int32, p Position) error
	// Close ends all work and frees what the log holds.
	Close() error
}
