package roll

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/zeebo/xxh3"
	"go.uber.org/zap"

	"github.com/clickagg/clickagg/internal/calendar"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/rank"
	"github.com/clickagg/clickagg/storage"
)

const (
	rowsAtOnce = 10_000 // in one Apply
	// Of so much time, in ms, the ranked lists are in memory at once.
	windowLists = 8 * 60_000
	hourLists   = 64 * calendar.HourMS
)

// errCrowded: there are more ads than may be in memory.
var errCrowded = errors.New("too many ads at once")

// sum is one roll-up in the making.
type sum struct {
	*series
	span    calendar.Span
	version int64
	pieces  []storage.Piece
	parts   uint64 // the ads are added up in so many parts, by their hash

	best        *rank.First
	clicks, ads int64
	revisions   map[int64]int64 // of what it is made of, by its start, where it was corrected
}

// total is what one ad got.
type total struct {
	click.Sum
	corrections int64
}

// roll adds up the counts of one hour or day. The ranked list goes last and says that all
// counts are there.
func (s *series) roll(ctx context.Context, p calendar.Span, version int64) error {
	pieces, err := storage.Pieces(ctx, s.store, s.filter, p.From, p.To, storage.Cut{Longest: s.unit - 1})
	if err != nil {
		return err
	}
	made := sum{series: s, span: p, version: version, pieces: pieces, parts: 1}
	for err = made.all(ctx); errors.Is(err, errCrowded); err = made.all(ctx) {
		made.parts *= 2
	}
	if err != nil {
		return err
	}
	if err := made.addLists(ctx); err != nil {
		return err
	}
	if err := s.store.Apply(ctx, &storage.Batch{Rankings: []click.Ranking{made.list()}}); err != nil {
		return err
	}
	s.metrics.rollups.WithLabelValues(s.unit.String()).Inc()
	s.logger.Debug("rolled up", zap.String("series", s.name), zap.Time("start", time.UnixMilli(p.From).UTC()), zap.Int64("ads", made.ads))
	return nil
}

// all stores the counts of every part.
func (s *sum) all(ctx context.Context) error {
	s.best, s.clicks, s.ads, s.revisions = rank.NewFirst(s.cfg.Top), 0, 0, map[int64]int64{}
	for part := range s.parts {
		totals, err := s.part(ctx, part)
		if err != nil {
			return err
		}
		if err := s.apply(ctx, totals); err != nil {
			return err
		}
	}
	return nil
}

// part adds up the counts of one part of the ads.
func (s *sum) part(ctx context.Context, part uint64) (map[string]*total, error) {
	totals := map[string]*total{}
	each := func(add func(*total, *storage.Cell)) func(*storage.Cell) error {
		return func(c *storage.Cell) error {
			if s.parts > 1 && xxh3.Hash(c.Ad)%s.parts != part {
				return nil
			}
			t := totals[string(c.Ad)]
			if t == nil {
				if len(totals) >= s.cfg.MaxAds {
					return errCrowded
				}
				t = &total{}
				totals[string(c.Ad)] = t
			}
			add(t, c)
			return nil
		}
	}
	if s.version > 1 {
		// It may be there already, with ads that have no click any more.
		old := each(func(*total, *storage.Cell) {})
		if err := s.store.Scan(ctx, s.name, s.span.From, s.span.From+1, old); err != nil {
			return nil, err
		}
	}
	add := each(func(t *total, c *storage.Cell) {
		t.Add(c.Sum())
		t.corrections += c.Revision - 1
		s.correct(c.Start, c.Revision)
	})
	for i := range s.pieces {
		p := &s.pieces[i]
		if err := s.store.Scan(ctx, p.Unit.Series(s.filter), p.From, p.To, add); err != nil {
			return nil, err
		}
	}
	return totals, nil
}

func (s *sum) correct(start, revision int64) {
	if revision > max(1, s.revisions[start]) {
		s.revisions[start] = revision
	}
}

// apply stores the counts of some ads and remembers the best.
func (s *sum) apply(ctx context.Context, totals map[string]*total) error {
	var b storage.Batch
	for ad, t := range totals {
		row := click.Row{Ad: []byte(ad), Count: t.Count}
		s.best.Add(row)
		s.clicks += t.Count
		if t.Count > 0 {
			s.ads++
		}
		b.Results = append(b.Results, click.Result{
			Ad: row.Ad, Start: s.span.From, Size: s.span.To - s.span.From, Filter: s.name,
			Count: t.Count, Digest: t.Digest, Revision: 1 + t.corrections, State: stateOf(1 + t.corrections), Version: s.version,
		})
		if len(b.Results) == rowsAtOnce {
			if err := s.store.Apply(ctx, &b); err != nil {
				return err
			}
			b.Results = b.Results[:0]
		}
	}
	return s.store.Apply(ctx, &b)
}

// stateOf is the state of what is closed.
func stateOf(revision int64) click.State {
	if revision > 1 {
		return click.Corrected
	}
	return click.Final
}

// addLists looks at the revisions of the ranked lists that it stands for.
func (s *sum) addLists(ctx context.Context) error {
	for i := range s.pieces {
		p := &s.pieces[i]
		step := int64(windowLists)
		if p.Unit != storage.Window {
			step = hourLists
		}
		for from := p.From; from < p.To; from += step {
			lists, err := s.store.Rankings(ctx, p.Unit.Series(s.filter), from, min(p.To, from+step), 0)
			if err != nil {
				return fmt.Errorf("read ranked lists: %w", err)
			}
			for i := range lists {
				s.correct(lists[i].Start, lists[i].Revision)
			}
		}
	}
	return nil
}

// list is the ranked list of what was added up. Its revision is that of an answer from all
// that it stands for.
func (s *sum) list() click.Ranking {
	revision := int64(1)
	for _, r := range s.revisions {
		revision += r - 1
	}
	return click.Ranking{
		Start: s.span.From, Size: s.span.To - s.span.From, Filter: s.name, State: stateOf(revision),
		Revision: revision, Version: s.version, Clicks: s.clicks, Ads: s.ads, Top: s.best.Sorted(),
	}
}
