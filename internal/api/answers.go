package api

import (
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
	// Held is when the filter held in the range, in the order of time, where it did not hold all the time or changed
	// its meaning; nil where it did, with one meaning. Outside of it nothing was counted under it.
	Held *[]Stretch `json:"filter_held,omitempty"`
}

// Stretch is a part of a range.
type Stretch struct {
	StartTime time.Time `json:"start_time"`
	ToTime    time.Time `json:"to_time"` // exclusive
}

// Count answers how many clicks an ad got.
type Count struct {
	AdID  string `json:"ad_id"`
	Count int64  `json:"count"`
	Frame
	Granularity string  `json:"granularity,omitempty"` // 1m, 1h or 1d, when asked for
	Series      *[]Step `json:"series,omitempty"`      // in the order of time; nil when not asked for
}

// Step is the part of a count that falls into one step of time: a minute, an hour
// or a day, the first and the last cut to the range. One without a click is left out.
type Step struct {
	StartTime time.Time `json:"start_time"`
	ToTime    time.Time `json:"to_time"` // exclusive
	Count     int64     `json:"count"`
	Status    string    `json:"status"`
	Revision  int64     `json:"revision"`
}

// Counts answers how many clicks each of some ads got, in the order asked for.
type Counts struct {
	Ads []AdTotal `json:"ads"`
	Frame
}

// AdTotal is one ad of those asked for.
type AdTotal struct {
	AdID     string `json:"ad_id"`
	Count    int64  `json:"count"`
	Status   string `json:"status"`
	Revision int64  `json:"revision"`
}

// Ads lists ads that begin as was asked, of those with clicks of late, in the order of bytes.
type Ads struct {
	AdIDs []string `json:"ad_ids"`
}

// Top answers which ads got the most clicks: greater count first, then by the
// bytes of the id.
type Top struct {
	AdIDs    []string  `json:"ad_ids"`
	Ads      []AdCount `json:"ads"`
	Exact    bool      `json:"exact"`               // no other ad has a better claim to be here
	MaxError int64     `json:"max_error,omitempty"` // when not exact: by how many clicks another may surpass the last
	Frame
}

// AdCount is one ad of a ranking.
type AdCount struct {
	AdID  string `json:"ad_id"`
	Count int64  `json:"count"`
}

func frameOf(f answer.Frame, filter chosen, revision int64) Frame {
	return Frame{
		StartTime: *Time(f.From), ToTime: *Time(f.To), Filter: filter.id,
		Status: statusOf(f), CompleteUntil: Time(f.CompleteUntil), Revision: revision, Held: filter.held(f.From, f.To),
	}
}

// framed is an answer that has a frame.
type framed interface {
	frame() *Frame
	timeless() any // the same without how far the store is complete
}

func (f Frame) frame() *Frame { return &f }

func (f Frame) withoutCompletion() Frame {
	f.CompleteUntil = nil
	return f
}

func (a Count) timeless() any  { a.Frame = a.withoutCompletion(); return a }
func (a Counts) timeless() any { a.Frame = a.withoutCompletion(); return a }
func (a Top) timeless() any    { a.Frame = a.withoutCompletion(); return a }

// tell answers a question about a range.
func (s *Server) tell(w http.ResponseWriter, c *call, q asked, a framed) error {
	same := any(a)
	if a.frame().Status == Final {
		same = a.timeless()
	}
	return offer(w, c, a, same, keepFor(a.frame(), &q, s.now()))
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

// asked is what most questions have in common: a range, Unix ms, and a filter.
type asked struct {
	from, to int64
	filter   chosen
	fixed    bool // whether the range stays the same as time goes on
}

func (s *Server) asked(c *call) (a asked, err error) {
	if a.filter, err = s.filter(c); err != nil {
		return asked{}, err
	}
	a.from, a.to, err = c.params.span(s.now(), s.answers.Window())
	a.fixed = c.params.fixed("start_time") && c.params.fixed("to_time")
	return a, err
}

func (s *Server) count(w http.ResponseWriter, c *call) error {
	ad, err := c.ad()
	if err != nil {
		return err
	}
	q, err := s.asked(c)
	if err != nil {
		return err
	}
	granularity, cut, err := c.params.granularity(s.days, s.answers.Window())
	if err != nil {
		return err
	}
	if granularity == "" {
		a, err := s.answers.Count(c.Context(), q.filter.id, []byte(ad), q.from, q.to)
		if err != nil {
			return err
		}
		return s.tell(w, c, q, Count{AdID: ad, Count: a.Clicks, Frame: frameOf(a.Frame, q.filter, a.Revision)})
	}
	a, parts, err := s.answers.Series(c.Context(), q.filter.id, []byte(ad), q.from, q.to, cut)
	if err != nil {
		return err
	}
	steps := make([]Step, len(parts))
	for i, p := range parts {
		steps[i] = Step{StartTime: *Time(p.From), ToTime: *Time(p.To), Count: p.Clicks, Status: statusOf(p.Frame), Revision: p.Revision}
	}
	return s.tell(w, c, q, Count{
		AdID: ad, Count: a.Clicks, Frame: frameOf(a.Frame, q.filter, a.Revision), Granularity: granularity, Series: &steps,
	})
}

func (s *Server) counts(w http.ResponseWriter, c *call) error {
	ads, err := c.params.ads(adsMax)
	if err != nil {
		return err
	}
	q, err := s.asked(c)
	if err != nil {
		return err
	}
	frame, counts, err := s.answers.Counts(c.Context(), q.filter.id, ads, q.from, q.to)
	if err != nil {
		return err
	}
	all := Counts{Ads: make([]AdTotal, len(ads)), Frame: frameOf(frame, q.filter, 0)}
	for i, n := range counts {
		all.Ads[i] = AdTotal{AdID: ads[i], Count: n.Clicks, Status: all.Status, Revision: n.Revision}
		if n.Revision > 0 { // of every ad each correction counts, or one of another than the most corrected would not show
			all.Revision = max(all.Revision, 1) + n.Revision - 1
		}
	}
	return s.tell(w, c, q, all)
}

func (s *Server) ads(w http.ResponseWriter, c *call) error {
	limit, err := c.params.number("limit", adsDefault, adsMax)
	if err != nil {
		return err
	}
	prefix, _ := c.params.one("prefix")
	if err := checkBegin("prefix", prefix); err != nil {
		return err
	}
	ads, err := s.answers.Ads(c.Context(), prefix, limit)
	if err != nil {
		return err
	}
	a := Ads{AdIDs: append([]string{}, ads...)}
	return offer(w, c, a, a, askAgain)
}

func (s *Server) top(w http.ResponseWriter, c *call) error {
	n, err := c.params.n()
	if err != nil {
		return err
	}
	q, err := s.asked(c)
	if err != nil {
		return err
	}
	a, err := s.answers.Top(c.Context(), q.filter.id, n, q.from, q.to)
	if err != nil {
		return err
	}
	return s.tell(w, c, q, topOf(&a, q.filter))
}

func topOf(a *answer.Top, filter chosen) Top {
	t := Top{
		AdIDs: make([]string, len(a.Rows)), Ads: make([]AdCount, len(a.Rows)),
		Exact: a.Exact, MaxError: a.MaxError, Frame: frameOf(a.Frame, filter, a.Revision),
	}
	for i, row := range a.Rows {
		t.AdIDs[i] = string(row.Ad)
		t.Ads[i] = AdCount{AdID: t.AdIDs[i], Count: row.Count}
	}
	return t
}

func writeJSON(w http.ResponseWriter, status int, v any) error {
	b, err := encode(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", mediaJSON)
	w.WriteHeader(status)
	_, err = w.Write(b)
	return err
}
