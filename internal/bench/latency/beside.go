package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/clickagg/clickagg/internal/api"
	"github.com/clickagg/clickagg/internal/api/client"
	"github.com/clickagg/clickagg/internal/bench"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/gen"
	producer "github.com/clickagg/clickagg/internal/load"
	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/storage/embedded"
)

const (
	pastClicks = 1_000_000 // of the hour that is replayed and reconciled
	pastFrom   = 70 * time.Minute
	pastTo     = 10 * time.Minute
	oldRecords = 3_000_000 // that are archived
)

// beside is the work on what was counted before, beside what is counted live. It goes
// on from start until it is stopped: one replay and one reconciliation of an hour after the other, and
// archiving in a process of its own.
type beside struct {
	binary string
	dir    string
	api    *client.Client
	span   client.Range

	Replays    int   `json:"replays"`
	Changed    int64 `json:"counts_changed"` // by the replays
	Reconciled int   `json:"reconciliations"`
	Scanned    int64 `json:"records_scanned"` // by both
	Archived   int   `json:"archived"`        // runs of some millions of records that ended

	Provisional quantiles `json:"provisional"` // while all that went on
	Final       quantiles `json:"final"`
}

// newBeside counts an hour of the past, and makes a raw store of old records.
func newBeside(ctx context.Context, o *options, in *bench.Installation, log stream.Log) (b *beside, sent int64, err error) {
	b = &beside{binary: o.binary, api: in.API}
	if b.dir, err = os.MkdirTemp("", "clickagg-bench-old-"); err != nil {
		return nil, 0, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.close())
		}
	}()
	now := time.Now()
	stamp := func(ago time.Duration) string {
		return strconv.FormatInt(now.Add(-ago).Truncate(time.Minute).UnixMilli(), 10)
	}
	b.span = client.Range{From: stamp(pastFrom), To: stamp(pastTo)}
	past := gen.Defaults()
	past.Events, past.Ads, past.Zipf, past.Start, past.Span = pastClicks, o.ads, o.zipf, now.Add(-pastFrom), pastFrom-pastTo
	report, _, err := producer.Generate(ctx, log, producer.GenerateOptions{Gen: past, Topic: in.Topic})
	if err != nil {
		return b, 0, err
	}
	return b, report.Sent, b.fill(ctx, now.Add(-24*time.Hour))
}

// fill makes a raw store in which there is something to archive.
func (b *beside) fill(ctx context.Context, from time.Time) error {
	data := filepath.Join(b.dir, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		return err
	}
	s, err := embedded.Open(filepath.Join(data, "raw"), embedded.Options{})
	if err != nil {
		return err
	}
	old := gen.Defaults()
	old.Events, old.Start, old.Span = oldRecords, from, time.Hour
	events, err := gen.New(old)
	if err != nil {
		return errors.Join(err, s.Close())
	}
	const batch = 10_000
	var e gen.Event
	for n := 0; n < oldRecords && err == nil; n += batch {
		records := make([]click.Record, batch)
		for i := range records {
			events.Next(&e)
			records[i] = click.Record{Offset: int64(n + i), Append: from.UnixMilli(), Value: append([]byte(nil), e.Value...)}
		}
		err = s.Raw().Put(ctx, click.Source{Topic: "old", ID: click.TopicID{1}}, records)
	}
	return errors.Join(err, s.Close())
}

func (b *beside) close() error { return os.RemoveAll(b.dir) }

// run works until ctx ends.
func (b *beside) run(ctx context.Context) error {
	var all sync.WaitGroup
	var failed, failedArchive error
	all.Go(func() { failed = b.compare(ctx) })
	all.Go(func() { failedArchive = b.archive(ctx) })
	all.Wait()
	return errors.Join(failed, failedArchive)
}

// compare replays, which changes something the first time, when late clicks are counted as well, and reconciles.
func (b *beside) compare(ctx context.Context) error {
	for {
		done, err := b.api.Replay(ctx, client.ReplayQuestion{Range: b.span, Late: true}, func(*api.ReplayLine) error { return nil })
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("replay: %w", err)
		}
		b.Replays++
		b.Changed += done.Counts
		b.Scanned += done.Scanned.Records
		found, err := b.api.Reconcile(ctx, b.span, "", func(*api.ReconcileLine) error { return nil })
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return fmt.Errorf("reconcile: %w", err)
		case !found.Clean:
			return fmt.Errorf("reconcile: %+v", found)
		}
		b.Reconciled++
		b.Scanned += found.Scanned.Records
	}
}

// archive archives the old records, over and over.
func (b *beside) archive(ctx context.Context) error {
	for {
		to := filepath.Join(b.dir, strconv.Itoa(b.Archived))
		out, err := exec.CommandContext(ctx, b.binary, "archive", "run", "--archive.after", "1h", "--archive.url", to,
			"--data-dir", filepath.Join(b.dir, "data")).CombinedOutput()
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return fmt.Errorf("archive: %w: %s", err, out)
		}
		b.Archived++
	}
}
