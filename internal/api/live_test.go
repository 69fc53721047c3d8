package api

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/clickagg/clickagg/internal/access"
	"github.com/clickagg/clickagg/internal/answer"
	"github.com/clickagg/clickagg/storage"
)

// open asks for a stream and returns its lines.
func open(t *testing.T, conn net.Conn, query string) *bufio.Scanner {
	t.Helper()
	_, _ = io.WriteString(conn, "GET /v1/stream"+query+" HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/event-stream" || resp.Header.Get("Cache-Control") != "no-store" ||
		resp.Header.Get("Content-Encoding") != "" { // each event comes when it comes
		t.Fatalf("HTTP %s, %v", resp.Status, resp.Header)
	}
	return bufio.NewScanner(resp.Body)
}

// next reads one event or comment.
func next(lines *bufio.Scanner) string {
	var event []string
	for lines.Scan() && lines.Text() != "" {
		event = append(event, lines.Text())
	}
	return strings.Join(event, "\n")
}

// someNext reads some events by their names, of one moment in any order.
func someNext(t *testing.T, lines *bufio.Scanner, n int) map[string]string {
	t.Helper()
	events := map[string]string{}
	for range n {
		e := next(lines)
		name, body, _ := strings.Cut(e, "\n")
		if events[name] != "" {
			t.Errorf("%s twice: %s", name, e)
		}
		events[name] = body
	}
	return events
}

// A stream tells all at first, then what changes, and gives a sign of life when
// nothing does.
func TestStream(t *testing.T) {
	t.Parallel()
	f := someClicks()
	bubble(t, f, func(t *testing.T, s *Server, dial func() net.Conn) {
		begin := time.Now()
		s.now = func() time.Time { return noon.Add(30 * time.Second).Add(time.Since(begin)) }
		var counted atomic.Int64
		counted.Store(100)
		s.status = func() Status {
			return Status{CompleteUntil: Time(at(-1)), Rejected: map[string]int64{"malformed": 2}, Accounting: []Accounting{
				{Counted: 40, Duplicate: 1, Late: 3}, {Counted: counted.Load() - 40, Duplicate: 2},
			}}
		}
		lines := open(t, dial(), "?n=1&last=4m&ad_id=a")
		frame := `"start_time":"2019-11-24T11:56:00Z","to_time":"2019-11-24T12:00:00Z","filter_identifier":"000","status":"provisional",` +
			`"complete_until":"2019-11-24T11:59:00Z",`
		got := someNext(t, lines, 3)
		for name, want := range map[string]string{
			"event: top":   `data: {"ad_ids":["q\"uo,te"],"ads":[{"ad_id":"q\"uo,te","count":9}],"exact":true,` + frame + `"revision":4}`,
			"event: count": `data: {"ad_id":"a","count":6,` + frame + `"revision":2}`,
			"event: state": `data: {"complete_until":"2019-11-24T11:59:00Z","clicks_per_second":null,"counted":100,"duplicate":3,"late":3,"rejected":{"malformed":2}}`,
		} {
			if got[name] != want {
				t.Errorf("%s\n got %s\nwant %s", name, got[name], want)
			}
		}
		if e := next(lines); time.Since(begin) != tick || !strings.Contains(e, `"clicks_per_second":0,`) {
			t.Errorf("after %v: %s", time.Since(begin), e)
		}
		if e := next(lines); e != ": alive" || time.Since(begin) != tick+heartbeat {
			t.Errorf("after %v: %q", time.Since(begin), e)
		}
		counted.Store(150)
		if e := next(lines); !strings.Contains(e, `"clicks_per_second":10,"counted":150`) { // 50 in the last five seconds
			t.Error(e)
		}
		var top string
		for e := next(lines); top == "" && e != ""; e = next(lines) { // the rate falls again, and the range moves on
			if strings.HasPrefix(e, "event: top\n") {
				top = e
			}
		}
		if !strings.Contains(top, `"start_time":"2019-11-24T11:57:00Z"`) || time.Since(begin) > time.Minute {
			t.Errorf("the range did not move: %s", top)
		}
	})
}

// A store that is away is told once, and so is that it is back.
func TestStreamOfAStoreThatIsAway(t *testing.T) {
	t.Parallel()
	f := someClicks()
	away := &awayStore{fake: f}
	bubble(t, f, func(t *testing.T, s *Server, dial func() net.Conn) {
		s.answers = answer.New(away, time.Minute)
		away.away.Store(true)
		lines := open(t, dial(), "")
		if e := someNext(t, lines, 2)["event: problem"]; !strings.Contains(e, "store_unavailable") || strings.Contains(e, "request_id") {
			t.Error(e)
		}
		for e := next(lines); e != ": alive"; e = next(lines) {
			if strings.Contains(e, "problem") {
				t.Errorf("told again: %s", e)
			}
		}
		away.away.Store(false)
		if e := next(lines); !strings.HasPrefix(e, "event: top\n") {
			t.Error(e)
		}
	})
}

type awayStore struct {
	*fake
	away atomic.Bool
}

func (a *awayStore) Marks(ctx context.Context) ([]storage.Mark, error) {
	if a.away.Load() {
		return nil, storage.ErrUnavailable
	}
	return a.fake.Marks(ctx)
}

// Who does not read is given up, with a last word if it can still be heard.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	bubble(t, someClicks(), func(t *testing.T, s *Server, dial func() net.Conn) {
		n := int64(0)
		s.status = func() Status { n++; return Status{Accounting: []Accounting{{Counted: n}}} }
		lines := open(t, dial(), "")
		ticks := (writeTimeout - time.Second).Round(tick)
		time.Sleep(ticks) // the pipe holds nothing, so what comes waits for its reader
		for i := range ticks / tick {
			if e := next(lines); e == "" || strings.Contains(e, "problem") {
				t.Fatalf("event %d is %q", i, e)
			}
		}
	})
	bubble(t, someClicks(), func(t *testing.T, s *Server, dial func() net.Conn) {
		r := newReader()
		for range eventsAhead + 1 {
			r.tell([]byte("data\n\n"))
		}
		r.events = nil
		client, server := net.Pipe()
		done := make(chan struct{})
		go func() {
			defer close(done)
			s.tellReader(t.Context(), &patient{w: server, control: http.NewResponseController(flusher{server})}, r, func() bool { return true })
			_ = server.Close()
		}()
		if e := next(bufio.NewScanner(client)); !strings.Contains(e, "event: problem\n") || !strings.Contains(e, "slow_reader") {
			t.Error(e)
		}
		<-done
	})
}

// A token that is withdrawn, or may see less, ends the streams that were opened with it.
func TestStreamOfAWithdrawnToken(t *testing.T) {
	t.Parallel()
	for what, left := range map[string][]access.Grant{
		"withdrawn": nil, "bound": {{Name: "reader", Hash: access.Hash(tokens["reader"]), Ads: []string{"b*"}}},
	} {
		bubble(t, someClicks(), func(t *testing.T, s *Server, dial func() net.Conn) {
			c := asking(t, 0)
			first := c.Grants()
			after, err := c.NewGrants(left)
			if err != nil {
				t.Fatal(err)
			}
			var withdrawn atomic.Bool
			c.Grants = func() *access.Grants {
				if withdrawn.Load() {
					return after
				}
				return first
			}
			s.door = access.NewDoor(c, s.now)
			conn := dial()
			_, _ = io.WriteString(conn, "GET /v1/stream HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "+tokens["reader"]+"\r\n\r\n")
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(resp.Body)
			someNext(t, lines, 2)
			if e := next(lines); e != ": alive" {
				t.Errorf("%s: at first %q", what, e)
			}
			withdrawn.Store(true)
			if e := next(lines); !strings.Contains(e, "event: problem\n") || !strings.Contains(e, "#unauthorized") || lines.Scan() {
				t.Errorf("%s: %q, and then %q", what, e, lines.Text())
			}
		})
	}
}

// A panic is told to who asked, and ends nothing.
func TestStreamOfADefect(t *testing.T) {
	t.Parallel()
	f := someClicks()
	f.call = func(context.Context) error { panic("defect") }
	bubble(t, f, func(t *testing.T, s *Server, dial func() net.Conn) {
		lines := open(t, dial(), "?ad_id=a")
		if e := someNext(t, lines, 3)["event: problem"]; !strings.Contains(e, "#internal") || strings.Contains(e, "defect") {
			t.Error(e)
		}
		if n := testutil.ToFloat64(s.metrics.panics); n < 1 {
			t.Errorf("%v panics were counted", n)
		}
	})
}

// A store that hangs holds a stream up for as long as a question, before it begins.
func TestStreamThatCannotBegin(t *testing.T) {
	t.Parallel()
	f := someClicks()
	bubble(t, f, func(t *testing.T, s *Server, dial func() net.Conn) {
		s.answers = answer.New(hangingStore{f}, time.Minute)
		conn := dial()
		begin := time.Now()
		_, _ = io.WriteString(conn, "GET /v1/stream?filter_identifier=kr HTTP/1.1\r\nHost: localhost\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || resp.StatusCode != http.StatusServiceUnavailable || time.Since(begin) != questionTimeout {
			t.Errorf("%v after %v: %v", resp, time.Since(begin), err)
		}
	})
}

type hangingStore struct{ *fake }

func (hangingStore) Filters(ctx context.Context) ([]storage.Filter, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// flusher is a response that is a connection.
type flusher struct{ net.Conn }

func (flusher) Header() http.Header { return nil }
func (flusher) WriteHeader(int)     {}
func (flusher) Flush()              {}

func TestTooManyStreams(t *testing.T) {
	t.Parallel()
	s := makeServer(t, Config{}, someClicks())
	stop := run(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var bodies []io.ReadCloser
	for range streamsMax {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL()+"/v1/stream", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		bodies = append(bodies, resp.Body)
	}
	if n := testutil.ToFloat64(s.metrics.streams); n != streamsMax {
		t.Errorf("%v streams are open", n)
	}
	checkProblem(t, get(t, s.URL()+"/v1/stream"), 503, "too_many_streams")
	// Streams end in order when the server does.
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	for i, b := range bodies {
		text, err := io.ReadAll(b)
		if err != nil || !strings.HasSuffix(string(text), "\n\n") || !strings.Contains(string(text), "interrupted") {
			t.Fatalf("stream %d ended with %.200q, %v", i, text, err)
		}
	}
	if len(s.hub.feeds) != 0 || testutil.ToFloat64(s.metrics.streams) != 0 {
		t.Errorf("%d feeds are left", len(s.hub.feeds))
	}
}

// TestStreamsAreShared: who has as many streams as one may leaves places for others.
func TestStreamsAreShared(t *testing.T) {
	t.Parallel()
	s := makeServer(t, Config{Access: asking(t, 0)}, someClicks())
	run(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	open := func(who string) *http.Response {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL()+"/v1/stream", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		as(who)(req)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = resp.Body.Close() })
		return resp
	}
	for i := range streamsEach + 1 {
		if got := open("reader").StatusCode == 200; got != (i < streamsEach) {
			t.Fatalf("stream %d is open: %v", i+1, got)
		}
	}
	if r := open("boss"); r.StatusCode != 200 {
		t.Errorf("another got %s", r.Status)
	}
}

// However many want it, a thing is asked for once a tick, and no more when nobody does.
func TestHubAsksOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		asked := 0
		ask := func(context.Context) []byte {
			asked++
			return fmt.Append(nil, asked/3)
		}
		var readers []*reader
		var leave []func()
		for range 10 {
			r := newReader()
			readers = append(readers, r)
			leave = append(leave, h.join(r, "same", ask))
		}
		time.Sleep(5*tick + tick/2) // asked at 0 to 5: 0 0 1 1 1 2
		late := newReader()
		leave = append(leave, h.join(late, "same", ask))
		for _, r := range readers {
			if got := fmt.Sprintf("%s %s %s", <-r.events, <-r.events, <-r.events); got != "0 1 2" || len(r.events) != 0 {
				t.Errorf("told %s, and %d more", got, len(r.events))
			}
		}
		if got := string(<-late.events); got != "2" || asked != 6 {
			t.Errorf("who came later was told %s; asked %d times", got, asked)
		}
		for _, l := range leave {
			l()
		}
		time.Sleep(10 * tick)
		if asked != 6 || len(h.feeds) != 0 {
			t.Errorf("asked %d times, %d feeds are left", asked, len(h.feeds))
		}
	})
}

// Whoever leaves knows that nothing is asked for it any more, and need not wait for a
// question that hangs.
func TestHubLetsGo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		var begun, ended atomic.Int64
		var leave []func()
		for i := range 2 * asksAtOnce { // half of them wait for their turn
			leave = append(leave, h.join(newReader(), fmt.Sprint(i), func(ctx context.Context) []byte {
				begun.Add(1)
				<-ctx.Done()
				time.Sleep(tick)
				ended.Add(1)
				return nil
			}))
		}
		synctest.Wait()
		if n := begun.Load(); n != asksAtOnce {
			t.Errorf("%d questions are running", n)
		}
		for _, l := range leave {
			l()
		}
		if begun.Load() != ended.Load() {
			t.Errorf("%d questions began, %d have ended", begun.Load(), ended.Load())
		}
	})
}
