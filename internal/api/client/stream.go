package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// stream is an answer without an end known beforehand. Read it to the end: only
// io.EOF says that all of it came. Close it in any case.
type stream struct {
	header http.Header
	what   string // is read, for errors

	c     *Client
	ctx   context.Context // the caller's
	body  io.ReadCloser
	quiet *time.Timer // ends the request when nothing comes
	end   context.CancelCauseFunc
}

var errQuiet = fmt.Errorf("nothing came for %v", quietTimeout)

// stream asks for one. An answer counts as one when it is in order and mine says so of its header.
func (c *Client) stream(ctx context.Context, what, path string, q url.Values, mine func(http.Header) bool) (*stream, error) {
	return c.streamOf(ctx, http.MethodGet, what, path, q, mine)
}

func (c *Client) streamOf(ctx context.Context, method, what, path string, q url.Values, mine func(http.Header) bool) (*stream, error) {
	asked, end := context.WithCancelCause(ctx)
	resp, err := c.do(asked, method, path, q)
	if err != nil {
		end(nil)
		return nil, c.unreachable(ctx, err)
	}
	if resp.StatusCode != http.StatusOK || !mine(resp.Header) {
		defer end(nil)
		defer resp.Body.Close()
		body, err := io.ReadAll(io.LimitReader(resp.Body, answerMax))
		if err != nil {
			return nil, c.unreachable(ctx, err)
		}
		return nil, c.refused(resp, body)
	}
	s := &stream{header: resp.Header, what: what, c: c, ctx: ctx, body: resp.Body, end: end}
	s.quiet = time.AfterFunc(quietTimeout, func() { end(errQuiet) })
	s.quiet.Stop() // it runs while a Read waits
	return s, nil
}

// Read reads what comes.
func (s *stream) Read(b []byte) (int, error) {
	s.quiet.Reset(quietTimeout)
	n, err := s.body.Read(b)
	s.quiet.Stop() // the reader may take its time with what it got
	if err == nil || errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return n, err
	}
	return n, s.broken(err)
}

// broken says that not all of it came.
func (s *stream) broken(err error) error {
	if s.ctx.Err() != nil {
		return s.ctx.Err()
	}
	return &unreachable{
		fmt.Sprintf("the %s from %s broke off: %v; what came of it is not whole, and the API's log says why", s.what, s.c.base, root(err)), err,
	}
}

// Close ends it.
func (s *stream) Close() error {
	s.quiet.Stop()
	defer s.end(nil)
	return s.body.Close()
}
