package snapshot

import (
	"encoding/binary"
	"errors"
	"io"
	"sync"

	"github.com/zeebo/xxh3"

	"github.com/clickagg/clickagg/internal/stream"
)

// errGivenUp is why a draft that was given up is not kept.
var errGivenUp = errors.New("snapshot given up")

// Ahead is how many bytes of a draft wait to be written before it has no room. It
// bounds the memory that a snapshot takes.
const Ahead = 8 << 20

// Draft is a snapshot on its way into the store: a stage adds the pieces of a state
// while [Keeper.Save], beside it, writes them. What proves the snapshot whole and
// ours is put around them. The two sides may be used at the same time.
type Draft struct {
	name string
	hash xxh3.Hasher

	mu      sync.Mutex
	changed sync.Cond // of what follows
	pieces  [][]byte  // that wait to be read
	at      int       // bytes of the first one that are read
	waiting int       // bytes not read
	spare   []byte    // a buffer to be used again
	ended   error     // io.EOF when the last piece was added, errGivenUp
	unread  bool      // nobody reads any more: what is added is let go
}

// Draft begins a snapshot. Position is the machine's at this moment: it is by these
// that one snapshot is newer than another.
func (k *Keeper) Draft(position int64) *Draft {
	d := &Draft{name: k.name(position)}
	d.changed.L = &d.mu
	b := append([]byte(magic), version)
	b = binary.AppendUvarint(b, uint64(len(k.identity)))
	d.put(append(b, k.identity...))
	return d
}

// Room tells whether a piece can be added without waiting for the store.
func (d *Draft) Room() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.unread || d.waiting < Ahead
}

// Wait waits until there is room. Somebody must be reading.
func (d *Draft) Wait() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for !d.unread && d.waiting >= Ahead {
		d.changed.Wait()
	}
}

// Add adds a piece, which is what fill appends.
func (d *Draft) Add(fill func([]byte) []byte) {
	d.mu.Lock()
	b := d.spare
	d.spare = nil
	d.mu.Unlock()
	d.put(fill(b[:0]))
}

// End adds what makes the snapshot whole: it is of this place in the log.
func (d *Draft) End(at stream.Place) {
	b := binary.BigEndian.AppendUint64(nil, uint64(at.Offset))
	b = binary.BigEndian.AppendUint32(b, uint32(at.Epoch))
	d.put(append(b, at.Topic[:]...))
	d.put(binary.BigEndian.AppendUint64(nil, d.hash.Sum64()))
	d.end(io.EOF)
}

// GiveUp lets Save fail, unless the snapshot is whole already.
func (d *Draft) GiveUp() { d.end(errGivenUp) }

func (d *Draft) end(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ended == nil {
		d.ended = err
	}
	d.changed.Broadcast()
}

func (d *Draft) put(b []byte) {
	_, _ = d.hash.Write(b)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.unread || len(b) == 0 {
		return
	}
	d.pieces = append(d.pieces, b)
	d.waiting += len(b)
	d.changed.Broadcast()
}

// Read reads what was added and waits for more.
func (d *Draft) Read(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for len(d.pieces) == 0 || d.ended == errGivenUp {
		if d.ended != nil {
			return 0, d.ended
		}
		d.changed.Wait()
	}
	n := copy(p, d.pieces[0][d.at:])
	d.at += n
	d.waiting -= n
	if d.at == len(d.pieces[0]) {
		d.spare, d.at = d.pieces[0], 0
		d.pieces[0] = nil
		d.pieces = d.pieces[1:]
	}
	d.changed.Broadcast()
	return n, nil
}

// done says that nobody reads any more.
func (d *Draft) done() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.unread, d.pieces, d.spare = true, nil, nil
	d.changed.Broadcast()
}
