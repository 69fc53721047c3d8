package storage

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/clickagg/clickagg/internal/calendar"
)

// Piece is a part of a range that is read in one unit: windows, or roll-ups that are
// as good as the windows they are made of.
type Piece struct {
	Unit     Unit
	From, To int64    // Unix ms
	Rollups  []Rollup // those that it is made of, in order; none of windows
}

// Has tells whether what begins at a time is part of the piece. Where the time zone of days
// was changed, the store has days of another one that begin within the piece and are not.
func (p *Piece) Has(start int64) bool {
	if p.Unit == Window {
		return true
	}
	_, ok := slices.BinarySearchFunc(p.Rollups, start, func(r Rollup, start int64) int { return cmp.Compare(r.Start, start) })
	return ok
}

// Cut is how finely a range is cut into pieces.
type Cut struct {
	Longest Unit // of the pieces' units
	// Step is the step of time that a moment, Unix ms, lies in, when the parts of the range in
	// different steps are to be told apart: no roll-up is taken that lies in two. Nil
	// when the range is one.
	Step func(at int64) calendar.Span
}

// holds tells whether a roll-up lies within one step.
func (c *Cut) holds(r Rollup) bool { return c.Step == nil || r.End <= c.Step(r.Start).To }

// Pieces cuts [from, to), both the starts of windows, into days, hours and windows.
// The pieces follow each other without gaps. The sum over them is what the sum over the
// windows was, or is better, when Pieces began.
func Pieces(ctx context.Context, s Store, filter string, from, to int64, c Cut) ([]Piece, error) {
	pieces := []Piece{{Unit: Window, From: from, To: to}}
	if c.Longest < Hour || !wholeHour(from, to) {
		return pieces, nil
	}
	touches, rolled, err := look(ctx, s, filter, from, to, c.Longest)
	if err != nil {
		return nil, err
	}
	for u := c.Longest; u >= Hour; u-- {
		good := slices.DeleteFunc(rolled[u], func(r Rollup) bool {
			version, settled := VersionOf(touches, r.Start, r.End)
			return !settled || r.Version != version || !c.holds(r)
		})
		pieces = refine(pieces, u, good)
	}
	return pieces, nil
}

// look reads what is rolled up of a range, by unit, and what changed in it, side by side: in whichever order they are
// read, an equal version says that the roll-up has all that was stored when look began.
func look(ctx context.Context, s Store, filter string, from, to int64, longest Unit) (touches []Touch, rolled [Day + 1][]Rollup, err error) {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		if touches, err = s.Touches(ctx, from, to); err != nil {
			return fmt.Errorf("read what changed: %w", err)
		}
		return nil
	})
	for u := Hour; u <= longest; u++ {
		g.Go(func() (err error) {
			if rolled[u], err = s.Rollups(ctx, u.Series(filter), from, to); err != nil {
				return fmt.Errorf("read what is rolled up: %w", err)
			}
			return nil
		})
	}
	err = g.Wait()
	return touches, rolled, err
}

// wholeHour tells whether there is one in a range.
func wholeHour(from, to int64) bool {
	// As unsigned numbers, because ends may be as far apart as numbers allow.
	return from < to && uint64(to)-uint64(from) >= calendar.HourMS && calendar.Hour(from+calendar.HourMS-1).To <= to
}

// refine puts roll-ups, in the order of their starts, in the place of the windows they cover.
func refine(pieces []Piece, u Unit, rolled []Rollup) []Piece {
	var out []Piece
	for i := range pieces {
		if pieces[i].Unit != Window {
			out = append(out, pieces[i])
			continue
		}
		at, end := pieces[i].From, pieces[i].To
		for _, r := range rolled {
			if r.Start < at || r.End > end {
				continue // elsewhere, or it overlaps one that was taken: a day of another time zone
			}
			if at < r.Start {
				out = append(out, Piece{Unit: Window, From: at, To: r.Start})
			}
			if n := len(out); n > 0 && out[n-1].Unit == u && out[n-1].To == r.Start {
				out[n-1].To, out[n-1].Rollups = r.End, append(out[n-1].Rollups, r)
			} else {
				out = append(out, Piece{Unit: u, From: r.Start, To: r.End, Rollups: []Rollup{r}})
			}
			at = r.End
		}
		if at < end {
			out = append(out, Piece{Unit: Window, From: at, To: end})
		}
	}
	return out
}
