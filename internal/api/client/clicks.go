package client

import (
	"context"
	"net/http"
	"strconv"

	"github.com/clickagg/clickagg/internal/api"
)

// ClicksQuestion asks how many clicks a predicate is true of.
type ClicksQuestion struct {
	Where string
	Ads   []string // of which ads; none asks for those with the most
	N     int      // how many of these; 0 leaves it to the API
	Range Range    // its filter is not used
}

// Clicks has the clicks themselves counted, which may take long. Watch is told now and then
// how many offsets were read of how many.
func (c *Client) Clicks(ctx context.Context, q ClicksQuestion, watch func(done, total int64)) (api.Clicks, error) {
	values := query("where", q.Where, "start_time", q.Range.From, "to_time", q.Range.To, "last", q.Range.Last)
	for _, ad := range q.Ads {
		values.Add("ad_id", ad)
	}
	if q.N != 0 {
		values.Set("n", strconv.Itoa(q.N))
	}
	return follow(ctx, c, question{http.MethodGet, "/v1/clicks/count", values, "answer"},
		func(l *api.ClicksLine) (*api.Clicks, *api.Problem) { return l.Answer, nil },
		func(l *api.ClicksLine) error {
			if l.Progress != nil {
				watch(l.Progress.Done, l.Progress.Total)
			}
			return nil
		})
}
