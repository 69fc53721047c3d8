package api

import (
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

// filter reads which clicks are asked for. One that never held is refused: it could
// only be answered with a zero that hides a mistake. One that holds no more still has
// counts.
func (s *Server) filter(c *call) (string, error) {
	asked, given := c.params.one("filter_identifier")
	if !given || asked == click.FilterAll {
		return click.FilterAll, nil
	}
	rows, err := s.answers.Filters(c.Context(), s.now())
	if err != nil {
		return "", err
	}
	known := []string{click.FilterAll}
	for _, f := range Filters(rows) {
		if f.ID == asked {
			return asked, nil
		}
		known = append(known, f.ID)
	}
	if c.who.Bound() { // to whom /v1/filters is refused as well
		return "", badFilter.about("filter_identifier", "there is no filter %s; the operator knows which there are", quote(asked))
	}
	return "", badFilter.about("filter_identifier", "there is no filter %s; %s", quote(asked), meantFilter(asked, slices.Compact(known)))
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
