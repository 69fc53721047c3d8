package storage

import (
	"context"

	"github.com/clickagg/clickagg/internal/click"
)

// RawStore keeps the records of the input topics as they came, clicks or not: what
// a replay reads when the log does not hold them any more. A record is its key,
// value and headers, each with the difference between empty and absent, and the
// broker's append time, by which it was judged and must be judged again; its name
// is its source and offset. It is safe for concurrent use.
type RawStore interface {
	// Put stores records of one source, durably when it returns nil. A name never
	// stands for two records: storing one again changes nothing. After an error
	// any of them may have been stored; putting them again is safe. It keeps
	// none of their bytes. A record that no log holds, one without a topic or with a
	// negative offset, is ErrInvalid; so is one beyond what the store can take.
	Put(ctx context.Context, s click.Source, records []click.Record) error
	// Read calls f for every record of a source with an offset in [from, to), in
	// ascending order, until f returns an error, which it returns. Offsets that
	// were never stored or have expired are left out. The record is valid only
	// during the call. What is stored during a read may or may not be seen.
	Read(ctx context.Context, s click.Source, from, to int64, f func(*click.Record) error) error
	// Sources lists the sources that have records, in the order of topic,
	// incarnation and partition.
	Sources(ctx context.Context) ([]click.Source, error)
	// ID names this very store, as [Store].ID does.
	ID() string
}
