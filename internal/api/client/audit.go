package client

import (
	"context"
	"net/http"

	"github.com/clickagg/clickagg/internal/api"
)

// Audit asks whether what is stored of the complete windows of a range holds. It calls
// passed for each report of how far it is.
func (c *Client) Audit(ctx context.Context, r Range, passed func(*api.AuditLine)) (api.Audit, error) {
	return follow(ctx, c, question{http.MethodGet, "/v1/audit", r.query(), "audit"},
		func(l *api.AuditLine) (*api.Audit, *api.Problem) { return l.Audit, nil },
		func(l *api.AuditLine) error { passed(l); return nil })
}
