package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/clickagg/clickagg/internal/api"
)

// Reconcile has what is stored held against the clicks themselves, which may take long. It
// calls line for all that comes before the outcome. Source says where the clicks are read from; empty
// leaves it to the API.
func (c *Client) Reconcile(ctx context.Context, r Range, source string, line func(*api.ReconcileLine) error) (api.Reconciliation, error) {
	return c.reconcile(ctx, http.MethodGet, "/v1/reconcile", reconcileQuery(r, source), line)
}

// Repair does the same, and has what is wrong put right first; line is called for what was found before. When it
// ends with an error, or ctx does, something may be left to be resumed.
func (c *Client) Repair(ctx context.Context, r Range, source string, line func(*api.ReconcileLine) error) (api.Reconciliation, error) {
	return c.reconcile(ctx, http.MethodPost, "/v1/repairs", reconcileQuery(r, source), line)
}

// ResumeRepair finishes the repair that was left unfinished; as stored it ends it with the counts as they are.
func (c *Client) ResumeRepair(ctx context.Context, asStored bool, line func(*api.ReconcileLine) error) (api.Reconciliation, error) {
	values := query("resume", "true")
	if asStored {
		values.Set("as_stored", "true")
	}
	return c.reconcile(ctx, http.MethodPost, "/v1/repairs", values, line)
}

func reconcileQuery(r Range, source string) url.Values {
	return query("start_time", r.From, "to_time", r.To, "last", r.Last, "source", source)
}

func (c *Client) reconcile(ctx context.Context, method, path string, values url.Values, line func(*api.ReconcileLine) error) (api.Reconciliation, error) {
	return follow(ctx, c, question{method, path, values, "outcome"},
		func(l *api.ReconcileLine) (*api.Reconciliation, *api.Problem) { return l.Outcome, l.Problem }, line)
}
