package client

import (
	"context"
	"net/http"
	"time"

	"github.com/clickagg/clickagg/internal/api"
)

// ExportRange says which counts an export has. What is empty is left to the
// API: it exports all it has, as CSV.
type ExportRange struct {
	From, To string // as in [Range]
	Format   string // csv or json
	Filter   string
}

// Export is a running export. Read it to the end: only io.EOF says that
// all of it came. Close it in any case.
type Export struct {
	*stream
	Status        string    // of the whole range: api.Final or api.Provisional
	CompleteUntil time.Time // zero when not known
}

// Export asks for all counts of a range.
func (c *Client) Export(ctx context.Context, r ExportRange) (*Export, error) {
	s, err := c.stream(ctx, "export", "/v1/export/counts",
		query("from", r.From, "to", r.To, "format", r.Format, "filter_identifier", r.Filter),
		func(h http.Header) bool { return h.Get(api.HeaderStatus) != "" })
	if err != nil {
		return nil, err
	}
	e := &Export{stream: s, Status: s.header.Get(api.HeaderStatus)}
	// A time that cannot be read is as good as none.
	e.CompleteUntil, _ = time.Parse(time.RFC3339, s.header.Get(api.HeaderCompleteUntil))
	return e, nil
}
