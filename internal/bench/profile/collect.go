package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/google/pprof/profile"
)

// piece is how long one of the profiles is that are taken one after the other. A
// profile cannot be ended early without losing it, so the last one goes on for up to
// this long after the work is done, and finds nothing then.
const piece = 2 * time.Second

// collector takes CPU profiles of a process while it works.
type collector struct {
	parts []*profile.Profile
	err   error
}

// run takes profiles until ctx ends, and returns after the last.
func (c *collector) run(ctx context.Context, ops string) {
	client := http.Client{Timeout: piece + 30*time.Second}
	defer client.CloseIdleConnections()
	url := fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", ops, int(piece/time.Second))
	for ctx.Err() == nil {
		r, err := client.Get(url)
		if err != nil { // it is not listening yet
			select {
			case <-time.After(5 * time.Millisecond):
			case <-ctx.Done():
				c.err = err
			}
			continue
		}
		p, err := profile.Parse(r.Body)
		_ = r.Body.Close()
		if err != nil {
			c.err = fmt.Errorf("%s: %w", r.Status, err)
			return
		}
		c.parts = append(c.parts, p)
	}
}

// merged is all that was seen.
func (c *collector) merged() (*profile.Profile, error) {
	if len(c.parts) == 0 {
		return nil, fmt.Errorf("no profile was taken: %w", c.err)
	}
	return profile.Merge(c.parts)
}
