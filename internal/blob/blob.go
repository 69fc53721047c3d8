package blob

import (
	"context"
	"errors"
	"io"
)

// ErrNotFound: there is no blob of that name.
var ErrNotFound = errors.New("no such blob")

// ErrUnavailable: the store did not answer, or refused to. Whether there is such a
// blob, and a whole one, is not known: to go on as if there were none would be wrong.
var ErrUnavailable = errors.New("blob store unavailable")

// MaxBytes is the largest blob. More is no snapshot but damage, and must not be
// taken into memory.
const MaxBytes = 4 << 30

// Store keeps blobs. It is safe for concurrent use. Names are slash-separated
// words of letters, digits, dots, dashes, underscores and equals signs.
type Store interface {
	// Put keeps a blob, durably when it returns nil, and replaces one of the same
	// name as a whole: a reader sees the old bytes or the new, never a mixture.
	Put(ctx context.Context, name string, data []byte) error
	// Get returns a blob's bytes, or ErrNotFound. They are what some Put wrote,
	// unless the medium is damaged: the caller checks.
	Get(ctx context.Context, name string) ([]byte, error)
	// List returns the names that begin with a prefix, in ascending order.
	List(ctx context.Context, prefix string) ([]string, error)
	// Delete removes a blob; removing one that is not there is no error.
	Delete(ctx context.Context, name string) error
}

// Ranger is a [Store] that reads a part of a blob.
type Ranger interface {
	Store
	// GetRange fills p with a blob's bytes from at on. It returns ErrNotFound as Get does, and
	// io.ErrUnexpectedEOF when the blob ends before. Unlike with Get, no checksum of the storage's covers them.
	GetRange(ctx context.Context, name string, at int64, p []byte) error
}

// Streamer is a [Store] that takes a blob's bytes while they come into being.
type Streamer interface {
	// PutFrom is Put of all that r reads. An error of r is returned, and leaves the
	// old blob.
	PutFrom(ctx context.Context, name string, r io.Reader) error
}
