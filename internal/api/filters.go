package api

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/nearest"
	"github.com/clickagg/clickagg/storage"
)

// Filter is one filter clicks are counted by, with the stretch of event time it holds for.
type Filter struct {
	ID    string     `json:"filter_identifier"`
	Name  string     `json:"name"`
	Where string     `json:"where"`
	Since time.Time  `json:"since"`           // start of the first window whose clicks pass through it
	Until *time.Time `json:"until,omitempty"` // start of the first that do not any more; nil while it has no end
}

// Filters is how rows of the filter table look in answers. Those that never held are left out.
func Filters(rows []storage.Filter) []Filter {
	out := []Filter{}
	for _, f := range rows {
		if f.Until != f.From {
			out = append(out, Filter{ID: f.ID, Name: f.Name, Where: f.Where, Since: *Time(f.From), Until: Time(f.Until)})
		}
	}
	return out
}

func (s *Server) serveFilters(w http.ResponseWriter, c *call) error {
	rows, err := s.answers.Filters(c.Context(), s.now())
	if err != nil {
		return err
	}
	a := struct {
		Filters []Filter `json:"filters"`
	}{Filters(rows)}
	return offer(w, c, a, a, askAgain)
}

// chosen is a filter that was asked for, and what the filter table says of it.
type chosen struct {
	id   string
	rows []storage.Filter // in the order of time; none of [click.FilterAll]
}

// filter reads which clicks are asked for. One that never held is refused: it could
// only be answered with a zero that hides a mistake. One that holds no more still has
// counts.
func (s *Server) filter(c *call) (chosen, error) {
	id, given := c.params.one("filter_identifier")
	if !given {
		id = click.FilterAll
	}
	f, known, err := s.known(c.Context(), id)
	switch {
	case err != nil:
		return chosen{}, err
	case known == nil:
		return f, nil
	case c.who.Bound(): // to whom /v1/filters is refused as well
		return chosen{}, badFilter.about("filter_identifier", "there is no filter %s; the operator knows which there are", quote(id))
	}
	return chosen{}, badFilter.about("filter_identifier", "there is no filter %s; %s", quote(id), meantFilter(id, known))
}

// known looks a filter up, and when there is none of this name lists those there are.
func (s *Server) known(ctx context.Context, id string) (f chosen, others []string, err error) {
	f.id = id
	if id == click.FilterAll {
		return f, nil, nil
	}
	rows, err := s.answers.Filters(ctx, s.now())
	if err != nil {
		return chosen{}, nil, err
	}
	others = []string{click.FilterAll}
	for _, r := range rows {
		switch {
		case r.Until == r.From: // it never held
		case r.ID == id:
			f.rows = append(f.rows, r)
		default:
			others = append(others, r.ID)
		}
	}
	if len(f.rows) > 0 {
		others = nil
	}
	return f, slices.Compact(others), nil
}

// held is [Frame.Held] of the range [from, to), Unix ms.
func (f *chosen) held(from, to int64) *[]Stretch {
	if f.id == click.FilterAll {
		return nil
	}
	held := []Stretch{}
	for _, r := range f.rows {
		until := to
		if r.Until != click.None {
			until = min(to, r.Until)
		}
		switch start := max(from, r.From); {
		case start == from && until == to:
			return nil
		case start < until:
			held = append(held, Stretch{StartTime: *Time(start), ToTime: *Time(until)})
		}
	}
	return &held
}

// filtersNamed is how many filters a refusal names.
const filtersNamed = 64

// meantFilter names the filter that was probably meant, and those there are.
func meantFilter(asked string, known []string) string {
	if len(known) == 1 {
		return `there is only "` + click.FilterAll + `", which every click passes`
	}
	best, least := "", 3
	for _, id := range known[1:] {
		if d := nearest.Distance(cut(asked), id); d < least && d < len(id) {
			best, least = "did you mean "+id+"? ", d
		}
	}
	more := ""
	if len(known) > filtersNamed {
		known, more = known[:filtersNamed], " and more, see /v1/filters"
	}
	return best + "there are " + strings.Join(known, ", ") + more
}
