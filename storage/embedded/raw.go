package embedded

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"sort"
	"strings"

	"github.com/cockroachdb/pebble/v2"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/storage"
)

// Raw is the store's raw records. They are best kept in a store of their own: they
// are large, and nobody who asks for counts should wait for them.
type Raw struct{ s *Store }

var _ storage.RawStore = (*Raw)(nil)

// Raw returns the store as one of raw records. It is closed with the store.
func (s *Store) Raw() *Raw { return &Raw{s} }

// ID implements [storage.RawStore].
func (r *Raw) ID() string { return r.s.id }

// Put implements [storage.RawStore].
func (r *Raw) Put(ctx context.Context, src click.Source, records []click.Record) error {
	db, done, err := r.s.use()
	if err != nil {
		return err
	}
	defer done()
	if err := ctx.Err(); err != nil {
		return err
	}
	if src.Topic == "" || strings.IndexByte(src.Topic, 0) >= 0 || src.Partition < 0 {
		return fmt.Errorf("%w: no topic has partition %v", storage.ErrInvalid, src)
	}
	if err := r.s.spare(); err != nil {
		return err
	}
	b := db.NewBatch()
	defer func() { _ = b.Close() }()
	prefix := appendSource(nil, src)
	var key, value []byte
	for i := range records {
		rec := &records[i]
		if rec.Offset < 0 {
			return fmt.Errorf("%w: %v has no offset %d", storage.ErrInvalid, src, rec.Offset)
		}
		key, value = appendOrdered(append(key[:0], prefix...), rec.Offset), appendRaw(value[:0], rec)
		if err := b.Set(key, value, nil); err != nil {
			return fmt.Errorf("fill batch: %w", err)
		}
	}
	if b.Empty() {
		return nil
	}
	if err := b.Commit(pebble.Sync); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// Read implements [storage.RawStore]. The records are of one moment.
func (r *Raw) Read(ctx context.Context, src click.Source, from, to int64, f func(*click.Record) error) error {
	db, done, err := r.s.use()
	if err != nil {
		return err
	}
	defer done()
	if from = max(from, 0); from >= to {
		return nil
	}
	prefix := appendSource(nil, src)
	it, err := rows(db, appendOrdered(slices.Clone(prefix), from), appendOrdered(slices.Clone(prefix), to))
	if err != nil {
		return fmt.Errorf("read raw: %w", damaged(err))
	}
	var stop error
	for n, ok := 0, it.First(); ok && err == nil && stop == nil; n, ok = n+1, it.Next() {
		if n%looks == 0 {
			err = ctx.Err()
		}
		var rec click.Record
		if err == nil {
			rec, err = rawRecord(it.Key()[len(prefix):], it.Value())
		}
		if err == nil {
			stop = f(&rec)
		}
	}
	if err := finish(it, cmp.Or(err, it.Error())); err != nil {
		return fmt.Errorf("read raw: %w", err)
	}
	return stop // the caller's, returned as it is
}

// Sources implements [storage.RawStore].
func (r *Raw) Sources(ctx context.Context) ([]click.Source, error) {
	db, done, err := r.s.use()
	if err != nil {
		return nil, err
	}
	defer done()
	it, err := rows(db, []byte{kindRaw}, []byte{kindRaw + 1})
	if err != nil {
		return nil, fmt.Errorf("raw sources: %w", damaged(err))
	}
	var out []click.Source
	for ok := it.First(); ok && err == nil; {
		var src click.Source
		if src, err = sourceOf(it.Key()); err == nil {
			out = append(out, src)
			ok = it.SeekGE(after(appendSource(nil, src)))
			err = ctx.Err()
		}
	}
	if err := finish(it, cmp.Or(err, it.Error())); err != nil {
		return nil, fmt.Errorf("raw sources: %w", err)
	}
	return out, nil
}

// Expire deletes, of every source, the records before the first one that was
// appended at a time (Unix ms) or later, and none at or above the offset that keep returns, unless it is nil. Append times rise along a partition but for
// the difference of two brokers' clocks, by which it may be wrong.
func (r *Raw) Expire(ctx context.Context, before int64, keep func(click.Source) int64) error {
	sources, err := r.Sources(ctx)
	if err != nil {
		return err
	}
	db, done, err := r.s.use()
	if err != nil {
		return err
	}
	defer done()
	for _, src := range sources {
		until := int64(math.MaxInt64)
		if keep != nil {
			until = keep(src)
		}
		if err := expire(db, appendSource(nil, src), before, until); err != nil {
			return fmt.Errorf("expire raw records of %v: %w", src, damaged(err))
		}
	}
	return nil
}

func expire(db *pebble.DB, prefix []byte, before, until int64) error {
	it, err := rows(db, prefix, after(prefix))
	if err != nil {
		return err
	}
	if !it.First() {
		return finish(it, it.Error())
	}
	first := ordered(it.Key()[len(prefix):])
	it.Last()
	last := ordered(it.Key()[len(prefix):])
	key := func(offset int64) []byte { return appendOrdered(slices.Clone(prefix), offset) }
	old := sort.Search(int(min(last+1, max(until, first))-first), func(i int) bool {
		if !it.SeekGE(key(first + int64(i))) {
			return true
		}
		at, n := binary.Varint(it.Value())
		return n <= 0 || at >= before // what cannot be read is not deleted
	})
	if err := finish(it, it.Error()); err != nil || old == 0 {
		return err
	}
	return db.DeleteRange(key(first), key(first+int64(old)), pebble.Sync)
}

// appendSource opens the key of a record. Names of topics hold no zero byte.
func appendSource(b []byte, s click.Source) []byte {
	b = append(append(append(b, kindRaw), s.Topic...), 0)
	b = append(b, s.ID[:]...)
	return binary.BigEndian.AppendUint32(b, uint32(s.Partition))
}

func sourceOf(key []byte) (s click.Source, err error) {
	topic, rest, ok := strings.Cut(string(key[1:]), "\x00")
	if !ok || len(rest) != len(s.ID)+4+8 {
		return s, errRow
	}
	s.Topic = topic
	copy(s.ID[:], rest)
	s.Partition = int32(binary.BigEndian.Uint32([]byte(rest[len(s.ID):])))
	return s, nil
}

func appendRaw(b []byte, r *click.Record) []byte {
	b = binary.AppendVarint(b, r.Append)
	for _, field := range [...][]byte{r.Key, r.Value} {
		if field == nil {
			b = binary.AppendVarint(b, -1)
			continue
		}
		b = append(binary.AppendVarint(b, int64(len(field))), field...)
	}
	return append(binary.AppendVarint(b, int64(r.Headers.Count)), r.Headers.Raw...)
}

// rawRecord reads a record whose key goes on with suffix after the source. Its bytes
// are views.
func rawRecord(suffix, value []byte) (r click.Record, err error) {
	number := func() (v int64) {
		v, n := binary.Varint(value)
		if n <= 0 {
			err = errRow
			return 0
		}
		value = value[n:]
		return v
	}
	field := func() []byte {
		n := number()
		switch {
		case n == -1 || err != nil:
			return nil
		case n < 0 || n > int64(len(value)):
			err = errRow
			return nil
		}
		f := value[:n:n]
		value = value[n:]
		return f
	}
	if len(suffix) != 8 {
		return r, errRow
	}
	r.Offset, r.Append = ordered(suffix), number()
	r.Key, r.Value = field(), field()
	r.Headers.Count = int(number())
	r.Headers.Raw = value
	return r, err
}
