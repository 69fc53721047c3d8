package client

import (
	"context"
	"errors"
	"fmt"
	"io"
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

// Export is a running export. Read its body to the end: only io.EOF says that
// all of it came. Close it in any case.
type Export struct {
	Status        string    // of the whole range: api.Final or api.Provisional
	CompleteUntil time.Time // zero when not known

	c     *Client
	ctx   context.Context // the caller's
	body  io.ReadCloser
	quiet *time.Timer // ends the request when nothing comes
	end   context.CancelCauseFunc
}

var errQuiet = fmt.Errorf("nothing came for %v", quietTimeout)

// Export asks for all counts of a range.
func (c *Client) Export(ctx context.Context, r ExportRange) (*Export, error) {
	asked, end := context.WithCancelCause(ctx)
	resp, err := c.get(asked, "/v1/export/counts", query("from", r.From, "to", r.To, "format", r.Format, "filter_identifier", r.Filter))
	if err != nil {
		end(nil)
		return nil, c.unreachable(ctx, err)
	}
	status := resp.Header.Get(api.HeaderStatus)
	if resp.StatusCode != http.StatusOK || status == "" {
		defer end(nil)
		defer resp.Body.Close()
		body, err := io.ReadAll(io.LimitReader(resp.Body, answerMax))
		if err != nil {
			return nil, c.unreachable(ctx, err)
		}
		return nil, c.refused(resp, body)
	}
	e := &Export{Status: status, c: c, ctx: ctx, body: resp.Body, end: end}
	// A time that cannot be read is as good as none.
	e.CompleteUntil, _ = time.Parse(time.RFC3339, resp.Header.Get(api.HeaderCompleteUntil))
	e.quiet = time.AfterFunc(quietTimeout, func() { end(errQuiet) })
	e.quiet.Stop() // it runs while a Read waits
	return e, nil
}

// Read reads the export's rows.
func (e *Export) Read(b []byte) (int, error) {
	e.quiet.Reset(quietTimeout)
	n, err := e.body.Read(b)
	e.quiet.Stop() // the reader may take its time with what it got
	if err == nil || errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return n, err
	}
	if e.ctx.Err() != nil {
		return n, e.ctx.Err()
	}
	return n, &unreachable{
		fmt.Sprintf("the export from %s broke off: %v; what came of it is not whole, and the API's log says why", e.c.base, root(err)), err,
	}
}

// Close ends the export.
func (e *Export) Close() error {
	e.quiet.Stop()
	defer e.end(nil)
	return e.body.Close()
}
