package embedded

import (
	"bytes"
	"io"

	"github.com/cockroachdb/pebble/v2"
)

// merger keeps the greatest of the values written under a key. That is the same
// in any order and grouping, which is what the engine demands of a merge. Its
// name is part of the format: the engine refuses a store written with another.
var merger = &pebble.Merger{
	Name: "clickagg.newest.1",
	Merge: func(_, value []byte) (pebble.ValueMerger, error) {
		return &newest{value: bytes.Clone(value)}, nil
	},
}

// newest is one merge under way.
type newest struct{ value []byte }

func (n *newest) take(value []byte) error {
	if bytes.Compare(value, n.value) > 0 {
		n.value = append(n.value[:0], value...)
	}
	return nil
}

// MergeNewer implements pebble.ValueMerger.
func (n *newest) MergeNewer(value []byte) error { return n.take(value) }

// MergeOlder implements pebble.ValueMerger.
func (n *newest) MergeOlder(value []byte) error { return n.take(value) }

// Finish implements pebble.ValueMerger.
func (n *newest) Finish(bool) ([]byte, io.Closer, error) { return n.value, nil, nil }
