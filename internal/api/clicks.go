package api

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/clickagg/clickagg/internal/answer"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/filter"
	"github.com/clickagg/clickagg/internal/recount"
)

// Limits of questions that are answered from the clicks themselves.
const (
	recountsMax    = 1 // at once: each reads and judges as fast as it can
	recountTimeout = 10 * time.Minute
	recountPace    = 250 * time.Millisecond // between two lines of progress
)

// Recounter counts clicks from their records.
type Recounter interface {
	// FieldTypes are those of further fields that a predicate may read.
	FieldTypes() filter.Types
	// Count is [recount.Run] with one set of filters.
	Count(ctx context.Context, span recount.Range, set *filter.Set,
		watch func(done, total int64) error, sink func(*recount.Window) error) (recount.Report, error)
}

// ClicksLine is one line of an answer that is counted from the clicks themselves: how far
// it is, or, in the last line, the answer. Without an answer the whole did not come.
type ClicksLine struct {
	Progress *Progress `json:"progress,omitempty"`
	Answer   *Clicks   `json:"answer,omitempty"`
}

// Progress is how many offsets were read of how many.
type Progress struct {
	Done  int64 `json:"done"`
	Total int64 `json:"total"`
}

// Clicks answers how many clicks a predicate is true of: of all ads, and of those asked
// for, or else of those with the most.
type Clicks struct {
	Where         string     `json:"where"`
	Count         int64      `json:"count"`
	Ads           []AdCount  `json:"ads"`
	AdsCounted    int64      `json:"ads_counted"` // ads that have such a click
	Exact         bool       `json:"exact"`       // the counts are those of all records
	StartTime     time.Time  `json:"start_time"`
	ToTime        time.Time  `json:"to_time"` // exclusive
	Status        string     `json:"status"`  // Final or Provisional
	CompleteUntil *time.Time `json:"complete_until"`
	Scanned       Scanned    `json:"scanned"`
}

// Scanned says what an answer was counted from.
type Scanned struct {
	Source  string `json:"source"`  // input topics, or raw store and archive
	Sources int    `json:"sources"` // partitions
	Records int64  `json:"records"`
	Clicks  int64  `json:"clicks"` // valid ones of the range, with repeats
	Whole   bool   `json:"whole"`  // no record that could matter was gone already
	Unsure  int64  `json:"unsure"` // clicks of which it is not known whether they were late
	Crowded int64  `json:"crowded"`
}

// clicks answers from the clicks themselves, with lines of progress before the answer.
func (s *Server) clicks(w http.ResponseWriter, c *call) error {
	if s.recounter == nil {
		return notFound.about("", "this process cannot read clicks")
	}
	where, _ := c.params.one("where")
	set, err := filter.NewSet([]filter.Definition{{ID: "where", Where: where}}, s.recounter.FieldTypes())
	if e, ok := errors.AsType[*filter.Error](err); ok {
		return badWhere.about("where", "%v", e)
	} else if err != nil {
		return err
	}
	ads, n, err := c.params.adsOrTop()
	if err != nil {
		return err
	}
	from, to, err := c.params.span(s.now(), s.answers.Window())
	if err != nil {
		return err
	}
	frame, err := s.answers.Frame(c.Context(), from, to)
	if err != nil {
		return err
	}
	select {
	case s.recounting <- struct{}{}:
		defer func() { <-s.recounting }()
	default:
		return tooMany.about("", "another question is being answered from the clicks themselves; ask again when it is done")
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	if c.Method == http.MethodHead {
		return nil
	}
	ctx, cancel := context.WithTimeout(c.Context(), recountTimeout)
	defer cancel()
	sums, report, err := s.recount(ctx, w, recount.Range{From: frame.From, To: frame.To}, set)
	if err != nil {
		return err
	}
	a := clicksOf(sums, ads, n, frame, &report)
	a.Where = where
	return writeLine(w, ClicksLine{Answer: a})
}

// recount counts by ad, and writes how far it is now and then.
func (s *Server) recount(ctx context.Context, w http.ResponseWriter, span recount.Range, set *filter.Set) (map[string]int64, recount.Report, error) {
	sums := map[string]int64{}
	said := time.Now()
	report, err := s.recounter.Count(ctx, span, set, func(done, total int64) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if done < total && time.Since(said) < recountPace {
			return nil
		}
		said = time.Now()
		return writeLine(w, ClicksLine{Progress: &Progress{done, total}})
	}, func(window *recount.Window) error {
		if window.Filter != click.FilterAll {
			for _, row := range window.Rows {
				sums[string(row.Ad)] += row.Count
			}
			if len(sums) > answer.AdsMost {
				return answer.ErrTooManyAds
			}
		}
		return nil
	})
	return sums, report, err
}

func clicksOf(sums map[string]int64, ads []string, n int, frame answer.Frame, r *recount.Report) *Clicks {
	a := &Clicks{
		Ads: []AdCount{}, AdsCounted: int64(len(sums)), Exact: r.Exact(), StartTime: *Time(frame.From), ToTime: *Time(frame.To),
		Status: statusOf(frame), CompleteUntil: Time(frame.CompleteUntil),
		Scanned: scannedOf(r),
	}
	if r.Behind {
		a.Status = Provisional
	}
	for ad, count := range sums {
		a.Count += count
		if ads == nil {
			a.Ads = append(a.Ads, AdCount{ad, count})
		}
	}
	slices.SortFunc(a.Ads, func(x, y AdCount) int {
		return cmp.Or(cmp.Compare(y.Count, x.Count), strings.Compare(x.AdID, y.AdID))
	})
	a.Ads = a.Ads[:min(len(a.Ads), n)]
	for _, ad := range ads {
		a.Ads = append(a.Ads, AdCount{ad, sums[ad]})
	}
	return a
}

func scannedOf(r *recount.Report) Scanned {
	return Scanned{r.InputName(), r.Sources, r.Records, r.Clicks, r.Whole, r.Unsure, r.Crowded}
}

// writeLine writes a line and sends it on its way.
func writeLine(w http.ResponseWriter, line ClicksLine) error {
	control := http.NewResponseController(w)
	if err := control.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	if err := e.Encode(line); err != nil {
		return err
	}
	return control.Flush()
}
