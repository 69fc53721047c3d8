package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/clickagg/clickagg/internal/api"
)

// ReplayQuestion says what is replayed.
type ReplayQuestion struct {
	Range   Range
	Ads     []string // only these; none means all
	Source  string   // where clicks are read from; empty leaves it to the API
	Late    bool     // count clicks that came too late as well
	Inexact bool     // publish also what cannot be known to be exact
	Resume  bool     // finish what was begun: nothing but Inexact and AsStored is used then
	// AsStored ends what was begun with the counts as they are stored.
	AsStored bool
}

// Compare asks what a replay would change, which may take long. It calls line for all that comes before
// the outcome; an error of it ends the answer.
func (c *Client) Compare(ctx context.Context, q ReplayQuestion, line func(*api.ReplayLine) error) (api.Replay, error) {
	return c.replay(ctx, http.MethodGet, "/v1/replay", q.query(), line)
}

// Replay has clicks replayed, and what differs published. When it ends with an error, or ctx does, something may be
// left to be resumed.
func (c *Client) Replay(ctx context.Context, q ReplayQuestion, line func(*api.ReplayLine) error) (api.Replay, error) {
	values := q.query()
	if q.Resume {
		values = query("resume", "true")
	}
	if q.AsStored {
		values.Set("as_stored", "true")
	}
	if q.Inexact {
		values.Set("inexact", "true")
	}
	return c.replay(ctx, http.MethodPost, "/v1/replays", values, line)
}

func (q *ReplayQuestion) query() url.Values {
	values := q.Range.query()
	if q.Source != "" {
		values.Set("source", q.Source)
	}
	if q.Late {
		values.Set("late", "true")
	}
	values["ad_id"] = q.Ads
	return values
}

func (c *Client) replay(ctx context.Context, method, path string, values url.Values, line func(*api.ReplayLine) error) (api.Replay, error) {
	return follow(ctx, c, question{method, path, values, "replay"},
		func(l *api.ReplayLine) (*api.Replay, *api.Problem) { return l.Outcome, l.Problem }, line)
}
