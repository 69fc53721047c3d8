package archive

import (
	"context"
	"fmt"
	"slices"

	"github.com/clickagg/clickagg/internal/blob"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/storage"
)

// restoreBatch is how many records go into the raw store at once, restoreBytes how many bytes of them.
const (
	restoreBatch = 1000
	restoreBytes = 4 << 20
)

// Restore puts the archived records that were appended in a span of time (Unix ms, to is not in it) into a raw store, which
// changes nothing that is there. Watch is told after each run how many records that were, of about how many.
// After an error, restoring again is safe.
func Restore(ctx context.Context, blobs blob.Ranger, raw storage.RawStore, from, to int64, watch func(done, total int64) error) error {
	all, _, err := List(ctx, blobs)
	if err != nil {
		return err
	}
	found, err := Load(ctx, blobs, all)
	if err != nil {
		return err
	}
	found = slices.DeleteFunc(found, func(m *Manifest) bool { return m.Received.Last < from || m.Received.First >= to })
	var done, total int64
	for _, m := range found {
		total += m.Records
	}
	r, err := NewReader(ctx, blobs)
	if err != nil {
		return err
	}
	for _, m := range found {
		s := m.Slice()
		for i := range m.Runs {
			run := &m.Runs[i]
			if err := restoreRun(ctx, r, raw, s.Source, run, from, to); err != nil {
				return fmt.Errorf("restore %v: %w", s, err)
			}
			done += run.Records
			if err := watch(done, total); err != nil {
				return err
			}
		}
	}
	return nil
}

// restoreRun puts the records of one run, which stay where they are while it is read.
func restoreRun(ctx context.Context, r *Reader, raw storage.RawStore, s click.Source, run *Run, from, to int64) error {
	var batch []click.Record
	bytes := 0
	put := func() error {
		err := raw.Put(ctx, s, batch)
		batch, bytes = batch[:0], 0
		return err
	}
	err := r.Read(ctx, s, run.From, run.To, func(rec *click.Record) error {
		if rec.Append < from || rec.Append >= to {
			return nil
		}
		batch = append(batch, *rec)
		if bytes += size(rec); len(batch) < restoreBatch && bytes < restoreBytes {
			return nil
		}
		return put()
	})
	if err != nil || len(batch) == 0 {
		return err
	}
	return put()
}
