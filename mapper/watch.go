package mapper

import (
	"context"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/stream"
)

// watchEvery is how often the sources of other processes are looked at.
const watchEvery = time.Second

// Watch looks until ctx ends how far the sources of other processes are, so that
// those of this one do not run ahead of them; partitions lists the input. It looks
// only while a source of this process has a backlog.
//
// A source counts as long as it is behind its log's end, whether or not a process
// works on it: no window it may still add to can close before it comes, so going on
// without it would only fill memory. Who waits says for which one. A topic that is not
// to be mapped any more is taken out of the list.
func (m *Mapper) Watch(ctx context.Context, partitions func() []stream.Partition) error {
	for m.clock.Sleep(ctx, watchEvery) == nil {
		var others []foreign
		if slices.ContainsFunc(m.pace.own(), func(l *lane) bool { return l.behind.Load() }) {
			for _, p := range partitions() {
				if slices.ContainsFunc(m.pace.own(), func(l *lane) bool { return l.name == p }) {
					continue
				}
				o, err := m.seek(ctx, p)
				if err != nil {
					if ctx.Err() == nil {
						m.logger.Debug("another process's source", zap.String("topic", p.Topic), zap.Int32("partition", p.Number), zap.Error(err))
					}
					continue
				}
				others = append(others, o)
			}
		}
		m.pace.others.Store(&others)
	}
	return nil
}

// seek finds out how far another process's source is: as far as it has committed.
func (m *Mapper) seek(ctx context.Context, p stream.Partition) (foreign, error) {
	o := foreign{name: p, watermark: click.None}
	at, ok, err := m.log.Committed(ctx, m.cfg.Group, p.Topic, p.Number)
	if err != nil || !ok {
		return o, err
	}
	was, err := decodePosition(at.Metadata)
	if err != nil || was.state.Seen == click.None {
		return o, err
	}
	_, end, err := m.log.Bounds(ctx, p.Topic, p.Number)
	if err != nil {
		return o, err
	}
	o.watermark, o.behind = was.state.Seen-m.cfg.Rule.Delay, was.state.Next < end
	return o, nil
}
