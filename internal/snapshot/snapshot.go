package snapshot

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/zeebo/xxh3"

	"github.com/clickagg/clickagg/internal/blob"
	"github.com/clickagg/clickagg/internal/stream"
)

// Keeper keeps the snapshots of one state machine: one shard or one reducer.
type Keeper struct {
	store    blob.Store
	prefix   string // "aggregator/3/"
	identity string // installation and state machine; another's snapshot is refused
}

// Kept is how many snapshots are kept: the newest, and one to fall back on.
const Kept = 2

// NewKeeper makes the keeper of one state machine of an installation. Name is
// the machine's path, for instance "aggregator/3".
func NewKeeper(store blob.Store, cluster, name string) *Keeper {
	return &Keeper{store: store, prefix: name + "/", identity: cluster + "/" + name}
}

const (
	magic   = "clickagg snapshot\n"
	version = 3
	suffix  = ".snap"
)

// placeBytes is what the place takes: offset, epoch and the topic's id.
const placeBytes = 8 + 4 + 16

// open returns the state inside a sealed snapshot.
func (k *Keeper) open(b []byte) (at stream.Place, state []byte, err error) {
	if len(b) < len(magic)+1+placeBytes+8 || string(b[:len(magic)]) != magic {
		return at, nil, fmt.Errorf("not a snapshot")
	}
	body, sum := b[:len(b)-8], binary.BigEndian.Uint64(b[len(b)-8:])
	if xxh3.Hash(body) != sum {
		return at, nil, fmt.Errorf("damaged: the checksum does not match")
	}
	body = body[len(magic):]
	if body[0] != version {
		return at, nil, fmt.Errorf("format version %d, this program reads %d", body[0], version)
	}
	n, w := binary.Uvarint(body[1:])
	rest := body[1+max(w, 0):]
	if w <= 0 || n > uint64(len(rest)) || len(rest)-int(n) < placeBytes {
		return at, nil, fmt.Errorf("damaged header")
	}
	if id := string(rest[:n]); id != k.identity {
		return at, nil, fmt.Errorf("belongs to %q, not to %q", id, k.identity)
	}
	state = rest[n : len(rest)-placeBytes]
	rest = rest[len(rest)-placeBytes:]
	at.Offset, at.Epoch = int64(binary.BigEndian.Uint64(rest)), int32(binary.BigEndian.Uint32(rest[8:]))
	copy(at.Topic[:], rest[12:])
	return at, state, nil
}

// Save keeps a draft, waiting for its pieces, and removes all but the newest [Kept].
// A store that takes no streams gets it as a whole.
func (k *Keeper) Save(ctx context.Context, d *Draft) error {
	defer d.done()
	if err := k.put(ctx, d); err != nil {
		return fmt.Errorf("snapshot: put: %w", err)
	}
	position, _ := k.position(d.name)
	names, err := k.store.List(ctx, k.prefix)
	if err != nil {
		return fmt.Errorf("snapshot: list: %w", err)
	}
	kept := 0
	for i := len(names) - 1; i >= 0; i-- {
		at, ok := k.position(names[i])
		if !ok || at > position {
			continue
		}
		if kept++; kept <= Kept {
			continue
		}
		if err := k.store.Delete(ctx, names[i]); err != nil {
			return fmt.Errorf("snapshot: delete: %w", err)
		}
	}
	return nil
}

func (k *Keeper) put(ctx context.Context, d *Draft) error {
	if s, ok := k.store.(blob.Streamer); ok {
		return s.PutFrom(ctx, d.name, d)
	}
	all, err := io.ReadAll(d)
	if err != nil {
		return err
	}
	return k.store.Put(ctx, d.name, all)
}

// Newest hands the newest whole snapshot's state to restore, and older ones as
// long as restore returns an error. It returns the place of the one taken in the
// log, or false when none was. Skipped tells, for the log, which were passed over and why.
// A store that is unavailable is an error, and no reason to pass over a snapshot.
func (k *Keeper) Newest(ctx context.Context, restore func(state []byte) error) (at stream.Place, found bool, skipped []error, err error) {
	names, err := k.store.List(ctx, k.prefix)
	if err != nil {
		return stream.Place{}, false, nil, fmt.Errorf("snapshot: list: %w", err)
	}
	for i := len(names) - 1; i >= 0; i-- {
		if _, ok := k.position(names[i]); !ok {
			continue
		}
		b, err := k.store.Get(ctx, names[i])
		if err == nil {
			var state []byte
			if at, state, err = k.open(b); err == nil {
				err = restore(state)
			}
		}
		if err == nil {
			return at, true, skipped, nil
		}
		if ctx.Err() != nil {
			return stream.Place{}, false, skipped, fmt.Errorf("snapshot: %w", ctx.Err())
		}
		// What cannot be read now may be whole: to pass over it would cost the whole log.
		if errors.Is(err, blob.ErrUnavailable) {
			return stream.Place{}, false, skipped, fmt.Errorf("snapshot: %w", err)
		}
		skipped = append(skipped, fmt.Errorf("snapshot %s: %w", names[i], err))
	}
	return stream.Place{}, false, skipped, nil
}

func (k *Keeper) name(position int64) string {
	return fmt.Sprintf("%s%020d%s", k.prefix, position, suffix)
}

func (k *Keeper) position(name string) (int64, bool) {
	digits, ok := strings.CutSuffix(strings.TrimPrefix(name, k.prefix), suffix)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	return n, err == nil && n >= 0
}
