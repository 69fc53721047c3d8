package client

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/clickagg/clickagg/internal/api"
)

// Audit asks whether what is stored of the complete windows of a range holds. It calls
// passed for each report of how far it is.
func (c *Client) Audit(ctx context.Context, r Range, passed func(*api.AuditLine)) (api.Audit, error) {
	s, err := c.stream(ctx, "audit", "/v1/audit", r.query(),
		func(h http.Header) bool { return h.Get("Content-Type") == "application/x-ndjson" })
	if err != nil {
		return api.Audit{}, err
	}
	defer s.Close()
	for lines := json.NewDecoder(s); ; {
		var line api.AuditLine
		if err := lines.Decode(&line); err != nil {
			return api.Audit{}, s.broken(err)
		}
		if line.Audit != nil {
			return *line.Audit, nil
		}
		passed(&line)
	}
}
