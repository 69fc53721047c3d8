package roll

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/clickagg/clickagg/internal/calendar"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/storage"
)

// Config is how a roller works.
type Config struct {
	Units    []storage.Unit // what is made, the shorter before the longer
	Calendar calendar.Calendar
	Top      int           // length of the ranked lists, at least 1
	MaxAds   int           // most ads in memory at once; 0 is 500,000
	Interval time.Duration // between two looks at what there is to do
}

// Metrics are a roller's figures.
type Metrics struct{ rollups *prometheus.CounterVec }

// NewMetrics makes a roller's figures and registers them, unless reg is nil.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "clickagg_writer_rollups_total", Help: "Hours and days added up and stored, per filter one.",
	}, []string{"unit"})}
	if reg != nil {
		reg.MustRegister(m.rollups)
	}
	return m
}

// Roller makes the roll-ups of one store.
type Roller struct {
	store   storage.Store
	cfg     Config
	clock   stream.Clock
	metrics *Metrics
	logger  *zap.Logger
}

// New makes a roller. It starts nothing.
func New(store storage.Store, cfg Config, clock stream.Clock, metrics *Metrics, logger *zap.Logger) *Roller {
	if cfg.MaxAds <= 0 {
		cfg.MaxAds = 500_000
	}
	return &Roller{store: store, cfg: cfg, clock: clock, metrics: metrics, logger: logger}
}

// Run makes what can be made, again and again, until ctx ends. While the store is
// away it waits; nothing of that is an error. Two at once only do the same twice.
func (r *Roller) Run(ctx context.Context) error {
	w := work{Roller: r, next: map[string]int64{}}
	ill := false
	for {
		err := w.pass(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, storage.ErrInvalid):
			return fmt.Errorf("roll up: %w", err)
		case err != nil && !ill:
			r.logger.Warn("hours and days are not rolled up; it is tried again until they are", zap.Error(err))
		case err == nil && ill:
			r.logger.Info("hours and days are rolled up again")
		}
		ill = err != nil
		if r.clock.Sleep(ctx, r.cfg.Interval) != nil {
			return nil
		}
	}
}

// work is what a roller remembers from one pass to the next; without it, it would look
// again.
type work struct {
	*Roller
	next    map[string]int64 // by series: everything before is rolled up, but for what was touched
	touches []storage.Touch  // those of which everything is rolled up again
}

// pass rolls up what is closed: first what was touched, then what is new.
func (w *work) pass(ctx context.Context) error {
	marks, err := w.store.Marks(ctx)
	if err != nil {
		return err
	}
	_, closed := storage.Until(marks)
	if closed == click.None {
		return nil
	}
	touches, err := w.store.Touches(ctx, math.MinInt64, closed)
	if err != nil {
		return err
	}
	filters, err := w.store.Counted(ctx)
	if err != nil {
		return err
	}
	for _, filter := range filters {
		for _, unit := range w.cfg.Units {
			s := series{work: w, filter: filter, unit: unit, name: unit.Series(filter)}
			if err := s.find(ctx); err != nil {
				return err
			}
			if !slices.Equal(touches, w.touches) {
				if err := s.again(ctx, touches); err != nil {
					return err
				}
			}
			if err := s.forward(ctx, touches, closed); err != nil {
				return err
			}
		}
	}
	w.touches = touches
	return nil
}

// series is one filter's hours or days.
type series struct {
	*work
	filter string
	unit   storage.Unit
	name   string
}

// span is the hour or day that a moment lies in.
func (s *series) span(at int64) calendar.Span {
	if s.unit == storage.Hour {
		return calendar.Hour(at)
	}
	return s.cfg.Calendar.Day(at)
}

// find takes up the work where another left it: behind the last that is rolled up.
func (s *series) find(ctx context.Context) error {
	if _, known := s.next[s.name]; known {
		return nil
	}
	done, err := s.store.Rollups(ctx, s.name, math.MinInt64, math.MaxInt64)
	if err != nil {
		return err
	}
	s.next[s.name] = click.None
	if len(done) > 0 {
		s.next[s.name] = done[len(done)-1].End
	}
	return nil
}

// again rolls up once more what was touched since it was. What is not settled changes
// the touches again, and then is looked at.
func (s *series) again(ctx context.Context, touches []storage.Touch) error {
	looked := map[calendar.Span]bool{}
	for i := range touches {
		hour := calendar.Hour(touches[i].Hour)
		for _, p := range []calendar.Span{s.span(hour.From), s.span(hour.To - 1)} { // a day may begin within an hour
			if p.To > s.next[s.name] || looked[p] {
				continue
			}
			looked[p] = true
			have, err := s.store.Rollups(ctx, s.name, p.From, p.To)
			if err != nil {
				return err
			}
			i := slices.IndexFunc(have, func(r storage.Rollup) bool { return r.Start == p.From && r.End == p.To })
			version, settled := storage.VersionOf(touches, p.From, p.To)
			if settled && (i < 0 || have[i].Version < version) {
				if err := s.roll(ctx, p, version); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// longGap is how long a time without a click is that is passed over and not rolled up, in
// ms. Shorter ones are, because a question reads what lies between roll-ups in windows.
const longGap = 24 * calendar.HourMS

// forward rolls up what comes next, as far as there are clicks and all is closed.
func (s *series) forward(ctx context.Context, touches []storage.Touch, closed int64) error {
	for {
		at := s.next[s.name]
		first, ok, err := s.first(ctx, at, closed)
		if err != nil || !ok {
			return err
		}
		if at == click.None || first >= at+longGap {
			at = first
		}
		p := s.span(at)
		version, settled := storage.VersionOf(touches, p.From, p.To)
		if p.To > closed || !settled {
			return nil
		}
		if err := s.roll(ctx, p, version); err != nil {
			return err
		}
		s.next[s.name] = p.To
	}
}

// first finds the first window with a click that starts in [from, to).
func (s *series) first(ctx context.Context, from, to int64) (start int64, ok bool, err error) {
	enough := errors.New("found")
	err = s.store.Scan(ctx, s.filter, from, to, func(c *storage.Cell) error {
		start, ok = c.Start, true
		return enough
	})
	if errors.Is(err, enough) {
		err = nil
	}
	return start, ok, err
}
