package client

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/clickagg/clickagg/internal/api"
	"github.com/clickagg/clickagg/internal/secure"
)

const (
	dialTimeout  = 5 * time.Second
	quietTimeout = 60 * time.Second // longest wait for an answer, or for the next bytes of an export
	answerMax    = 16 << 20         // bytes; only an export is larger, and it is streamed
)

// Client asks one API. It is safe for concurrent use.
type Client struct {
	base  *url.URL
	http  *http.Client
	token string
}

// New makes a client of the API at a URL such as http://127.0.0.1:8080; without
// a scheme, http is meant. It does not connect.
func New(at string) (*Client, error) {
	full := at
	if !strings.Contains(at, "://") {
		full = "http://" + at
	}
	base, err := url.Parse(full)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" || base.RawQuery != "" {
		return nil, fmt.Errorf("%q is not the URL of an API; write it as http://127.0.0.1:8080", at)
	}
	base.Path, base.RawPath = strings.TrimSuffix(base.Path, "/"), strings.TrimSuffix(base.RawPath, "/")
	return &Client{base: base, http: &http.Client{
		Transport: &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DialContext:           (&net.Dialer{Timeout: dialTimeout}).DialContext,
			TLSHandshakeTimeout:   dialTimeout,
			ResponseHeaderTimeout: quietTimeout,
			IdleConnTimeout:       quietTimeout,
			MaxIdleConnsPerHost:   4,
		},
		// The API never redirects: what does is something else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// As is the client of somebody who shows a token, or none when it is empty, and speaks
// TLS as configured. It goes instead of the one it is made of.
func (c *Client) As(token string, tls *tls.Config) *Client {
	t := c.http.Transport.(*http.Transport).Clone()
	t.TLSClientConfig, t.ForceAttemptHTTP2 = tls, true
	return &Client{base: c.base, token: token, http: &http.Client{Transport: t, CheckRedirect: c.http.CheckRedirect}}
}

// Close lets go of idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Range says which clicks are meant, in the API's own notation: RFC 3339, Unix
// seconds or milliseconds, now, -5m. What is empty is left to the API.
type Range struct {
	From, To string
	Last     string // a length such as 5m, instead of From and To
	Filter   string
}

func (r Range) query() url.Values {
	return query("start_time", r.From, "to_time", r.To, "last", r.Last, "filter_identifier", r.Filter)
}

// Count asks how many clicks an ad got.
func (c *Client) Count(ctx context.Context, ad string, r Range) (a api.Count, err error) {
	return a, c.ask(ctx, "/v1/ads/"+escape(ad)+"/aggregated_count", r.query(), &a)
}

// Series asks the same split into steps of 1m, 1h or 1d.
func (c *Client) Series(ctx context.Context, ad, granularity string, r Range) (a api.Count, err error) {
	q := r.query()
	q.Set("granularity", granularity)
	return a, c.ask(ctx, "/v1/ads/"+escape(ad)+"/aggregated_count", q, &a)
}

// Counts asks how many clicks each of up to 100 ads got.
func (c *Client) Counts(ctx context.Context, ads []string, r Range) (a api.Counts, err error) {
	q := r.query()
	q["ad_id"] = ads
	return a, c.ask(ctx, "/v1/ads/counts", q, &a)
}

// Ads asks which ads begin so, of those with clicks of late.
func (c *Client) Ads(ctx context.Context, prefix string) (a api.Ads, err error) {
	return a, c.ask(ctx, "/v1/ads", query("prefix", prefix), &a)
}

// Filters asks which filters there are and were.
func (c *Client) Filters(ctx context.Context) ([]api.Filter, error) {
	var a struct {
		Filters []api.Filter `json:"filters"`
	}
	err := c.ask(ctx, "/v1/filters", nil, &a)
	return a.Filters, err
}

// Top asks for the n ads with the most clicks; 0 leaves n to the API.
func (c *Client) Top(ctx context.Context, n int, r Range) (a api.Top, err error) {
	q := r.query()
	if n != 0 {
		q.Set("n", strconv.Itoa(n))
	}
	return a, c.ask(ctx, "/v1/ads/top_clicked_ads", q, &a)
}

// Lineage asks what the counts of the minute that a moment lies in are made of. The
// moment is in the API's notation.
func (c *Client) Lineage(ctx context.Context, at string) (a api.Lineage, err error) {
	return a, c.ask(ctx, "/v1/lineage", query("start_time", at), &a)
}

// Status asks how the API's process is.
func (c *Client) Status(ctx context.Context) (a api.Status, err error) {
	return a, c.ask(ctx, "/v1/status", nil, &a)
}

// Ready asks whether every part of the API's process does its work. That some
// do not is an answer, not an error.
func (c *Client) Ready(ctx context.Context) (a api.Readiness, err error) {
	return a, c.ask(ctx, "/readyz", nil, &a)
}

// ask sends one question and reads its whole answer.
func (c *Client) ask(ctx context.Context, path string, q url.Values, into any) error {
	asked, cancel := context.WithTimeout(ctx, quietTimeout)
	defer cancel()
	r, err := c.get(asked, path, q)
	if err != nil {
		return c.unreachable(ctx, err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(io.LimitReader(r.Body, answerMax))
	if err != nil {
		return c.unreachable(ctx, err)
	}
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if media != "application/json" {
		return c.refused(r, body)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("the answer of %s cannot be read; is it a clickagg of another version? %w", c.base, err)
	}
	return nil
}

func (c *Client) get(ctx context.Context, path string, q url.Values) (*http.Response, error) {
	return c.do(ctx, http.MethodGet, path, q)
}

func (c *Client) do(ctx context.Context, method, path string, q url.Values) (*http.Response, error) {
	at := *c.base
	at.RawPath = at.EscapedPath() + path
	decoded, err := url.PathUnescape(at.RawPath)
	if err != nil {
		return nil, err
	}
	at.Path, at.RawQuery = decoded, q.Encode()
	req, err := http.NewRequestWithContext(ctx, method, at.String(), http.NoBody)
	if err != nil {
		return nil, err
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	return c.http.Do(req)
}

// Refused is what the API said instead of an answer.
type Refused struct {
	URL        string
	Problem    api.Problem
	RetryAfter time.Duration // when asking again makes sense; 0 when the API did not say
}

// Error is the API's own words; for a fault of the server also where to look.
func (r *Refused) Error() string {
	switch {
	case r.Problem.Status == http.StatusUnauthorized:
		return "the API at " + r.URL + " does not know who asks: set api.client.token to file:/path of a token that its operator gave you, or CLICKAGG_API_CLIENT_TOKEN to it"
	case r.Problem.Status < http.StatusInternalServerError:
		return r.Problem.Detail
	}
	return fmt.Sprintf("the API at %s: %s (request_id %s)", r.URL, r.Problem.Detail, r.Problem.RequestID)
}

// refused reads what is not an answer.
func (c *Client) refused(r *http.Response, body []byte) error {
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	e := &Refused{URL: c.base.String()}
	if media != "application/problem+json" || json.Unmarshal(body, &e.Problem) != nil || e.Problem.Detail == "" {
		return fmt.Errorf("what answers at %s is not clickagg's API (HTTP %s); set --api.url", c.base, r.Status)
	}
	e.Problem.Status = r.StatusCode
	if s, err := strconv.ParseUint(r.Header.Get("Retry-After"), 10, 16); err == nil {
		e.RetryAfter = time.Duration(s) * time.Second
	}
	return e
}

// ErrUnreachable: there was no answer, or not the whole of it.
var ErrUnreachable = errors.New("the API cannot be reached")

type unreachable struct {
	text  string
	cause error
}

func (u *unreachable) Error() string   { return u.text }
func (u *unreachable) Unwrap() []error { return []error{ErrUnreachable, u.cause} }

// unreachable says what kept an answer from coming. When the caller gave up,
// that is all there is to say.
func (c *Client) unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if t, ok := errors.AsType[net.Error](err); ok && t.Timeout() {
		return &unreachable{fmt.Sprintf("the API at %s did not answer in time; look at its log, or ask a shorter range", c.base), err}
	}
	if cure := secure.Refusal(err); cure != "" {
		return &unreachable{fmt.Sprintf("cannot reach the API at %s: %v; %s (under api.client)", c.base, root(err), cure), err}
	}
	hint := "set --api.url"
	if errors.Is(err, syscall.ECONNREFUSED) {
		hint = "is `clickagg run` running? set --api.url"
	}
	return &unreachable{fmt.Sprintf("cannot reach the API at %s: %v; %s", c.base, root(err), hint), err}
}

// root is the innermost error: connection refused, rather than the whole way to it.
func root(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}

// query makes a query of names and values, without the empty ones.
func query(pairs ...string) url.Values {
	q := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	return q
}

// escape makes an ad id one segment of a path, also when it is made of dots.
func escape(ad string) string {
	if strings.Trim(ad, ".") == "" {
		return strings.ReplaceAll(ad, ".", "%2E")
	}
	return url.PathEscape(ad)
}
