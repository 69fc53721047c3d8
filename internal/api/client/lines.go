package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/clickagg/clickagg/internal/api"
)

// question is one whose answer is JSON lines, of which the last says all and those before it how far that is.
type question struct {
	method, path string
	values       url.Values
	what         string // is read, for errors
}

// follow reads the answer up to the line that ends it. Last tells with what that does so, an outcome or the problem there
// was; it has neither of the lines before, which are handed to line, whose error ends the reading.
func follow[L, O any](ctx context.Context, c *Client, q question, last func(*L) (*O, *api.Problem), line func(*L) error) (O, error) {
	var none O
	s, err := c.streamOf(ctx, q.method, q.what, q.path, q.values,
		func(h http.Header) bool { return h.Get("Content-Type") == "application/x-ndjson" })
	if err != nil {
		return none, err
	}
	defer s.Close()
	for lines := json.NewDecoder(s); ; {
		var l L
		if err := lines.Decode(&l); err != nil {
			return none, s.broken(err)
		}
		switch outcome, problem := last(&l); {
		case outcome != nil:
			return *outcome, nil
		case problem != nil:
			return none, &Refused{URL: c.base.String(), Problem: *problem}
		}
		if err := line(&l); err != nil {
			return none, err
		}
	}
}
