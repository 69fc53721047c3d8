package cassandra

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/gocql/gocql"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/storage"
)

const (
	putRaw = `INSERT INTO raw (topic, incarnation, partition, bucket, offset, appended, key, value, headers)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?`
	putRawBucket = `INSERT INTO raw_buckets (topic, incarnation, partition, bucket) VALUES (?, ?, ?, ?) USING TIMESTAMP ?`

	getRaw = `SELECT offset, appended, key, value, headers FROM raw
		WHERE topic = ? AND incarnation = ? AND partition = ? AND bucket = ? AND offset >= ? AND offset < ?`
	getRawBuckets = `SELECT bucket FROM raw_buckets WHERE topic = ? AND incarnation = ? AND partition = ? AND bucket >= ? AND bucket <= ?`
	getRawSources = `SELECT DISTINCT topic, incarnation, partition FROM raw_buckets`
)

const (
	// rawBucket is how many offsets live in one partition. The number is part of
	// the schema.
	rawBucket = 8192
	// rawBytes bounds a request of many records, so that those under way take little memory.
	rawBytes = 256 << 10
	// rawMost is the largest record: a request may have 16 MiB.
	rawMost = 15 << 20

	pageOfRaw = 100 // records; most have some hundred bytes, a few a megabyte
)

var errRaw = errors.New("a stored record cannot be read")

// Raw is the store's raw records.
type Raw struct{ s *Store }

var _ storage.RawStore = (*Raw)(nil)

// Raw returns the store as one of raw records. It is closed with the store.
func (s *Store) Raw() *Raw { return &Raw{s} }

// ID implements [storage.RawStore].
func (r *Raw) ID() string { return r.s.id }

// Put implements [storage.RawStore].
func (r *Raw) Put(ctx context.Context, src click.Source, records []click.Record) error {
	if err := r.s.use(ctx); err != nil {
		return err
	}
	for i := range records {
		if err := checkRaw(src, &records[i]); err != nil {
			return err
		}
	}
	if err := r.s.send(ctx, rawRequests(src, records)); err != nil {
		return fmt.Errorf("store raw records: %w", err)
	}
	return nil
}

func checkRaw(src click.Source, r *click.Record) error {
	switch size := rawSize(r); {
	case src.Topic == "" || src.Partition < 0 || r.Offset < 0:
		return fmt.Errorf("%w: no topic has offset %d of %v", storage.ErrInvalid, r.Offset, src)
	case size > rawMost:
		return fmt.Errorf("%w: the record at offset %d has %d bytes, Cassandra takes %d: lower max.message.bytes of topic %s",
			storage.ErrInvalid, r.Offset, size, rawMost, src.Topic)
	}
	return nil
}

func rawSize(r *click.Record) int { return len(r.Key) + len(r.Value) + len(r.Headers.Raw) }

// rawRequests sorts records into requests of one partition each. The bucket's own
// row goes with every run of records, so that it outlives them.
func rawRequests(src click.Source, records []click.Record) (requests [][]upsert) {
	var run []upsert
	size, from := 0, 0
	for i := range records {
		r := &records[i]
		run = append(run, rawRow(src, r))
		size += rawSize(r)
		last := i+1 == len(records)
		turn := last || records[i+1].Offset/rawBucket != r.Offset/rawBucket
		if turn {
			newest := slices.MaxFunc(records[from:i+1], func(a, b click.Record) int { return cmp.Compare(a.Append, b.Append) })
			requests = append(requests, []upsert{
				put(appended(newest.Append), putRawBucket, src.Topic, src.ID[:], src.Partition, r.Offset/rawBucket),
			})
			from = i + 1
		}
		if turn || len(run) == rowsPerPartition || size >= rawBytes {
			requests = append(requests, run)
			run, size = nil, 0
		}
	}
	return requests
}

// appended is when a record is written: it never changes.
func appended(ms int64) writeTime { return since(min(max(ms, minStart), maxStart)) }

func rawRow(src click.Source, r *click.Record) upsert {
	var headers []byte
	if r.Headers.Count > 0 {
		headers = append(binary.AppendVarint(nil, int64(r.Headers.Count)), r.Headers.Raw...)
	}
	return put(appended(r.Append), putRaw, src.Topic, src.ID[:], src.Partition, r.Offset/rawBucket, r.Offset, r.Append,
		given(r.Key), given(r.Value), given(headers))
}

// given is a cell's value. One that is absent is not written: a null would be a
// tombstone, and most records have no key.
func given(b []byte) any {
	if b == nil {
		return gocql.UnsetValue
	}
	return b
}

// Read implements [storage.RawStore]. It reads as it goes: what is stored meanwhile is
// seen where the read has not got to.
func (r *Raw) Read(ctx context.Context, src click.Source, from, to int64, f func(*click.Record) error) error {
	if err := r.s.use(ctx); err != nil {
		return err
	}
	if from = max(from, 0); from >= to || src.Topic == "" {
		return nil
	}
	buckets := r.s.read(ctx, getRawBuckets, src.Topic, src.ID[:], src.Partition, from/rawBucket, (to-1)/rawBucket).Iter()
	var stop, err error
	for bucket := int64(0); stop == nil && err == nil && buckets.Scan(&bucket); {
		stop, err = r.bucket(ctx, src, bucket, from, to, f)
	}
	err = cmp.Or(err, buckets.Close())
	switch {
	case stop != nil:
		return stop // the caller's, returned as it is
	case err != nil:
		return fmt.Errorf("read raw records: %w", translate(err))
	}
	return nil
}

// bucket reads the records of one bucket. It returns the caller's error apart from its own.
func (r *Raw) bucket(ctx context.Context, src click.Source, bucket, from, to int64, f func(*click.Record) error) (stop, err error) {
	it := r.s.read(ctx, getRaw, src.Topic, src.ID[:], src.Partition, bucket, from, to).PageSize(pageOfRaw).Iter()
	key, value, headers := []byte{}, []byte{}, []byte{}
	for stop == nil && err == nil {
		// The driver makes a slice nil where the cell is absent, and leaves one that
		// was not nil so where the cell is empty.
		rec := click.Record{Key: key[:0], Value: value[:0]}
		raw := headers[:0]
		if !it.Scan(&rec.Offset, &rec.Append, &rec.Key, &rec.Value, &raw) {
			break
		}
		key, value, headers = keep(key, rec.Key), keep(value, rec.Value), keep(headers, raw)
		if len(raw) > 0 {
			count, n := binary.Varint(raw)
			if n <= 0 {
				err = fmt.Errorf("%w: %v offset %d", errRaw, src, rec.Offset)
				break
			}
			rec.Headers = click.Headers{Count: int(count), Raw: raw[n:]}
		}
		stop = f(&rec)
	}
	return stop, cmp.Or(err, it.Close())
}

// keep returns the memory to read the next cell into.
func keep(old, now []byte) []byte {
	if now == nil {
		return old
	}
	return now
}

// Sources implements [storage.RawStore].
func (r *Raw) Sources(ctx context.Context) ([]click.Source, error) {
	if err := r.s.use(ctx); err != nil {
		return nil, err
	}
	it := r.s.read(ctx, getRawSources).Iter()
	var out []click.Source
	var incarnation []byte
	for src := (click.Source{}); it.Scan(&src.Topic, &incarnation, &src.Partition); {
		copy(src.ID[:], incarnation)
		out = append(out, src)
	}
	if err := it.Close(); err != nil {
		return nil, fmt.Errorf("raw sources: %w", translate(err))
	}
	slices.SortFunc(out, func(a, b click.Source) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), slices.Compare(a.ID[:], b.ID[:]), cmp.Compare(a.Partition, b.Partition))
	})
	return out, nil
}
