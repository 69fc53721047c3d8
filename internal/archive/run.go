package archive

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/clickagg/clickagg/internal/blob"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/mapper/rule"
	"github.com/clickagg/clickagg/storage"
)

// Config is how an archiver works.
type Config struct {
	Rule rule.Config // of which matters how a click looks
	// Rest is how many times as long as it worked an archiver rests after each run, so that what
	// counts live is not disturbed.
	Rest int
}

// Archiver carries records from a raw store into an archive. It is used by one goroutine.
type Archiver struct {
	raw     storage.RawStore
	blobs   blob.Ranger
	cfg     Config
	clock   stream.Clock
	metrics *Metrics
	logger  *zap.Logger
	draft   draft
}

// New makes an archiver. It starts nothing.
func New(raw storage.RawStore, blobs blob.Ranger, cfg Config, clock stream.Clock, metrics *Metrics, logger *zap.Logger) *Archiver {
	return &Archiver{raw: raw, blobs: blobs, cfg: cfg, clock: clock, metrics: metrics, logger: logger, draft: draft{table: newTable(cfg.Rule), most: usual}}
}

// Reach is how far a source can be archived.
type Reach struct {
	Before int64 // Unix ms: hours that ended by then are old enough
	Until  int64 // the raw store has all records below this offset that there will ever be
	Whole  bool  // and every record that was appended in these hours is below it
}

// errYoung ends a read at the first record that is not to be archived yet.
var errYoung = errors.New("young")

// Source archives what is old enough of a source and not archived yet, and tells watch of each slice.
// It returns the offset below which all is archived and verified: the raw store may let go of
// that. After an error, a crash or a second archiver at the same time, archiving again goes on
// where manifests end.
func (a *Archiver) Source(ctx context.Context, s click.Source, reach Reach, watch func(*Manifest)) (until int64, err error) {
	if len(s.Topic) > longestTopic {
		return 0, fmt.Errorf("archive %v: a topic's name has at most %d bytes to be archived", s, longestTopic)
	}
	until, err = a.source(ctx, s, reach, watch)
	if err != nil {
		return until, fmt.Errorf("archive %v: %w", s, err)
	}
	return until, nil
}

func (a *Archiver) source(ctx context.Context, s click.Source, reach Reach, watch func(*Manifest)) (until int64, err error) {
	done, err := listSource(ctx, a.blobs, s)
	if err != nil {
		return 0, err
	}
	for _, slice := range done {
		until = max(until, slice.To)
	}
	d := &a.draft
	d.reset(s, until)
	worked := a.clock.Now()
	seen := len(done) == 0 // with what was archived last nothing can have been lost between
	finish := func() error {
		m, err := a.finish(ctx)
		if err != nil {
			return err
		}
		until = m.To
		watch(m)
		return nil
	}
	err = a.raw.Read(ctx, s, max(until-1, 0), reach.Until, func(rec *click.Record) error {
		if rec.Offset < d.from {
			seen = true
			return nil
		}
		if d.open() && d.isFull(rec) {
			if err := finish(); err != nil {
				return err
			}
		}
		if !d.open() {
			if (hourOf(rec.Append)+1)*hour > reach.Before {
				return errYoung
			}
			d.begin(rec, seen, len(done) > 0)
			seen = true
		}
		full, err := d.add(rec)
		if !full || err != nil {
			return err
		}
		return a.rest(ctx, &worked)
	})
	if err == nil && d.open() && reach.Whole {
		err = finish()
	}
	if errors.Is(err, errYoung) {
		err = nil
	}
	return until, err
}

// rest rests after work that began at some time.
func (a *Archiver) rest(ctx context.Context, worked *time.Time) error {
	err := a.clock.Sleep(ctx, time.Duration(a.cfg.Rest)*a.clock.Now().Sub(*worked))
	*worked = a.clock.Now()
	return err
}

// finish writes the slice that was drafted: the file, then, when it was read back the same, the manifest.
func (a *Archiver) finish(ctx context.Context) (*Manifest, error) {
	m, file, err := a.draft.finish()
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(file)
	m.SHA256, m.Bytes = hex.EncodeToString(sum[:]), int64(len(file))
	if err := a.blobs.Put(ctx, m.File, file); err != nil {
		return nil, err
	}
	if err := sameBlob(ctx, a.blobs, m.File, file); err != nil {
		return nil, err
	}
	text, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		return nil, err
	}
	if err := a.blobs.Put(ctx, m.Slice().manifestName(), append(text, '\n')); err != nil {
		return nil, err
	}
	a.metrics.add(m)
	if m.Hole > 0 {
		a.logger.Error("records were gone from the raw store before they were archived: let archives run more often, or raise cassandra.raw_ttl",
			zap.Stringer("source", m.Slice().Source), zap.Int64("from", m.From-m.Hole), zap.Int64("to", m.From), zap.Int64("offsets", m.Hole))
	}
	return m, nil
}

// sameBlob reads a blob back and compares it with what was put.
func sameBlob(ctx context.Context, blobs blob.Ranger, name string, want []byte) error {
	got := make([]byte, min(len(want), 1<<20))
	for at := 0; at < len(want); at += len(got) {
		got = got[:min(len(got), len(want)-at)]
		if err := blobs.GetRange(ctx, name, int64(at), got); err != nil {
			return fmt.Errorf("read back: %w", err)
		}
		if !bytes.Equal(got, want[at:at+len(got)]) {
			return fmt.Errorf("%w: %s was read back with other bytes than were written: see to the disk or the storage, then archive again", ErrDamaged, name)
		}
	}
	return nil
}
