package archive

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"go.uber.org/zap"

	"github.com/clickagg/clickagg/internal/blob"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/stream"
)

// Interval is how often [Service.Run] looks for what is old enough.
const Interval = 5 * time.Minute

// Service archives all sources of a raw store, one after the other. It is used by one goroutine.
type Service struct {
	*Archiver
	Log   stream.Log    // nil when it cannot be reached: then what is followed by records of a later hour is archived
	Group string        // the consumer group that fills the raw store
	After time.Duration // how long ago an hour must have ended
	Skew  time.Duration // most by which the brokers' clocks differ
}

// Pass archives once what is old enough, and tells watch of each slice. A source that
// cannot be archived keeps no other from being so; the error names all of them.
func (s *Service) Pass(ctx context.Context, watch func(*Manifest)) error {
	sources, err := s.raw.Sources(ctx)
	failed := 0
	if err != nil {
		failed++
		err = fmt.Errorf("archive: %w", err)
	}
	for _, source := range sources {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		reach, fault := s.reach(ctx, source)
		if fault == nil {
			_, fault = s.Source(ctx, source, reach, watch)
		}
		if fault != nil {
			failed++
			err = errors.Join(err, fault)
		}
	}
	s.metrics.pass(failed, s.clock.Now())
	return err
}

// reach finds out how far a source can be archived. The end of the log is asked for first: what the
// raw store has after that has all that was appended before.
func (s *Service) reach(ctx context.Context, source click.Source) (Reach, error) {
	reach := Reach{Before: s.clock.Now().Add(-s.After - s.Skew).UnixMilli(), Until: math.MaxInt64}
	if s.Log == nil {
		return reach, nil
	}
	topic, err := s.Log.Topic(ctx, source.Topic)
	switch {
	case errors.Is(err, stream.ErrNoTopic), err == nil && (topic.ID != source.ID || source.Partition >= topic.Partitions):
		reach.Whole = true // nothing comes to it any more
		return reach, nil
	case err != nil:
		return reach, fmt.Errorf("archive %v: %w", source, err)
	}
	_, end, err := s.Log.Bounds(ctx, source.Topic, source.Partition)
	if err != nil {
		return reach, fmt.Errorf("archive %v: %w", source, err)
	}
	if clock, ok := s.Log.(stream.BrokerClock); ok {
		if now, known := clock.BrokerTime(s.clock.Now()); known {
			reach.Before = now.Add(-s.After - s.Skew).UnixMilli()
		}
	}
	stored, _, err := s.Log.Committed(ctx, s.Group, source.Topic, source.Partition)
	if err != nil {
		return reach, fmt.Errorf("archive %v: %w", source, err)
	}
	reach.Until, reach.Whole = stored.Offset, stored.Offset >= end
	return reach, nil
}

// Run archives until ctx ends, which is no error. What fails is tried again.
func (s *Service) Run(ctx context.Context) error {
	for {
		err := s.Pass(ctx, func(m *Manifest) {
			s.logger.Info("archived", zap.Stringer("source", m.Slice().Source), zap.Int64("from", m.From), zap.Int64("to", m.To),
				zap.Int64("records", m.Records), zap.String("file", m.File))
		})
		if err != nil && ctx.Err() == nil {
			s.logger.Warn("not everything that is old enough could be archived; tried again", zap.Duration("in", Interval), zap.Error(err))
		}
		if s.clock.Sleep(ctx, Interval) != nil {
			return nil
		}
	}
}

// Archived returns, for each source, the offset below which all is archived: what a raw store may
// let go of. It is nothing of those that have strangers among their manifests, which are named: each may be a manifest
// under another name.
func Archived(ctx context.Context, blobs blob.Store) (until map[click.Source]int64, strangers []string, err error) {
	all, others, err := List(ctx, blobs)
	if err != nil {
		return nil, nil, err
	}
	until = map[click.Source]int64{}
	for _, s := range all {
		until[s.Source] = max(until[s.Source], s.To)
	}
	for _, name := range others {
		if s, ok := sourceOf(name); ok {
			delete(until, s)
			strangers = append(strangers, name)
		}
	}
	return until, strangers, nil
}
