package client

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/clickagg/clickagg/internal/api"
)

// Reconcile has what is stored held against the clicks themselves, which may take long. It
// calls line for all that comes before the outcome. Source says where the clicks are read from; empty
// leaves it to the API.
func (c *Client) Reconcile(ctx context.Context, r Range, source string, line func(*api.ReconcileLine) error) (api.Reconciliation, error) {
	values := query("start_time", r.From, "to_time", r.To, "last", r.Last, "source", source)
	s, err := c.stream(ctx, "outcome", "/v1/reconcile", values,
		func(h http.Header) bool { return h.Get("Content-Type") == "application/x-ndjson" })
	if err != nil {
		return api.Reconciliation{}, err
	}
	defer s.Close()
	for lines := json.NewDecoder(s); ; {
		var l api.ReconcileLine
		if err := lines.Decode(&l); err != nil {
			return api.Reconciliation{}, s.broken(err)
		}
		if l.Outcome != nil {
			return *l.Outcome, nil
		}
		if err := line(&l); err != nil {
			return api.Reconciliation{}, err
		}
	}
}
