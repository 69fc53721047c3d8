package api

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/clickagg/clickagg/internal/answer"
	"github.com/clickagg/clickagg/internal/click"
)

// The two states of an answer.
const (
	Final       = "final"       // every window it covers is complete
	Provisional = "provisional" // clicks may still come
)

// Frame is what every answer says of itself. The ends are those of the whole
// windows that were counted: what was asked for, rounded down.
type Frame struct {
	StartTime     time.Time  `json:"start_time"`
	ToTime        time.Time  `json:"to_time"` // exclusive
	Filter        string     `json:"filter_identifier"`
	Status        string     `json:"status"`         // Final or Provisional
	CompleteUntil *time.Time `json:"complete_until"` // nil when not known
	Revision      int64      `json:"revision"`       // rises when something final was corrected; 0 without a click
}

// Count answers how many clicks an ad got.
type Count struct {
	AdID  string `json:"ad_id"`
	Count int64  `json:"count"`
	Frame
}

// Top answers which ads got the most clicks: greater count first, then by the
// bytes of the id.
type Top struct {
	AdIDs []string  `json:"ad_ids"`
	Ads   []AdCount `json:"ads"`
	Exact bool      `json:"exact"` // no other ad has a better claim to be here
	Frame
}

// AdCount is one ad of a ranking.
type AdCount struct {
	AdID  string `json:"ad_id"`
	Count int64  `json:"count"`
}

func frameOf(f answer.Frame, filter string, revision int64) Frame {
	return Frame{
		StartTime: *Time(f.From), ToTime: *Time(f.To), Filter: filter,
		Status: statusOf(f), CompleteUntil: Time(f.CompleteUntil), Revision: revision,
	}
}

func statusOf(f answer.Frame) string {
	if f.Final() {
		return Final
	}
	return Provisional
}

// Time is a moment in Unix ms as answers show it, nil for click.None.
func Time(ms int64) *time.Time {
	if ms == click.None {
		return nil
	}
	return new(time.UnixMilli(ms).UTC())
}

func (s *Server) count(w http.ResponseWriter, c *call) error {
	filter, err := s.filter(c)
	if err != nil {
		return err
	}
	from, to, err := c.params.span(s.now(), s.answers.Window())
	if err != nil {
		return err
	}
	a, err := s.answers.Count(c.Context(), filter, []byte(c.ad), from, to)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, Count{AdID: c.ad, Count: a.Clicks, Frame: frameOf(a.Frame, filter, a.Revision)})
}

func (s *Server) top(w http.ResponseWriter, c *call) error {
	filter, err := s.filter(c)
	if err != nil {
		return err
	}
	n, err := c.params.n()
	if err != nil {
		return err
	}
	from, to, err := c.params.span(s.now(), s.answers.Window())
	if err != nil {
		return err
	}
	a, err := s.answers.Top(c.Context(), filter, n, from, to)
	if err != nil {
		return err
	}
	t := Top{
		AdIDs: make([]string, len(a.Rows)), Ads: make([]AdCount, len(a.Rows)),
		Exact: a.Exact, Frame: frameOf(a.Frame, filter, a.Revision),
	}
	for i, row := range a.Rows {
		t.AdIDs[i] = string(row.Ad)
		t.Ads[i] = AdCount{AdID: t.AdIDs[i], Count: row.Count}
	}
	return writeJSON(w, http.StatusOK, t)
}

func writeJSON(w http.ResponseWriter, status int, v any) error {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false) // ids look in the answer as they do everywhere else
	return e.Encode(v)
}
