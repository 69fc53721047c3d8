package api

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/clickagg/clickagg/internal/access"
)

// call is one request on its way through the server.
type call struct {
	*http.Request
	id      string // tells this request from all others, in the answer and in the log
	route   *route
	segment string // of the path, still encoded, where the route has one in braces
	params  params
	who     *access.Identity // asks; nil until that is known
}

// response remembers whether the answer has begun: from then on it cannot be
// turned into a problem.
type response struct {
	http.ResponseWriter
	status int // 0 until the answer begins
}

func (w *response) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *response) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// ServeHTTP answers one request: it is the only way in, and every refusal
// passes through refuse.
func (s *Server) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	s.serving.RLock()
	defer s.serving.RUnlock()
	w := &response{ResponseWriter: rw}
	c := &call{Request: r, id: requestID(r.Header.Get("X-Request-Id")), route: nowhere}
	begin := time.Now()
	defer func() { s.metrics.observe(c, w, time.Since(begin)) }()
	defer s.rescue(w, c)

	h := w.Header()
	h.Set("X-Request-Id", c.id)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Cache-Control", "no-store")
	if err := s.answer(w, c); err != nil {
		s.refuse(w, c, err)
	}
}

// answer checks what holds for every request and hands it to its route.
func (s *Server) answer(w http.ResponseWriter, c *call) (err error) {
	if s.loopback && s.door.Open() && !isLoopbackName(c.Host) {
		return foreignHost.about("", "this API listens on loopback and answers to localhost, 127.0.0.1 and [::1], not to %s", quote(c.Host))
	}
	if done := s.share(w, c); done {
		return nil
	}
	if err := s.find(c); err != nil {
		return err
	}
	if err := s.admit(w, c); err != nil {
		return err
	}
	if err := c.methodFits(w); err != nil {
		return err
	}
	if n := headerBytes(c.Request); n > headerBytesMax {
		return bigHeaders.about("", "path, query and headers have %d bytes; they may have %d", n, headerBytesMax)
	}
	if len(c.route.makes) > 0 && !accepts(c.Header.Values("Accept"), c.route.makes) {
		return notAcceptable.about("", "the answer is %s, which Accept does not name", strings.Join(c.route.makes, " or "))
	}
	if c.ContentLength != 0 {
		return bodyRefused.about("", "a question has no body; put everything into the query")
	}
	if c.params, err = parseParams(c.URL.RawQuery, c.route.params); err != nil {
		return err
	}
	if err := c.onlyOwn(); err != nil {
		return err
	}
	if !c.route.question {
		return c.route.serve(w, c)
	}
	select {
	case s.question <- struct{}{}:
		defer func() { <-s.question }()
	default:
		return tooMany.about("", "%d questions are running; ask again in a moment", questionsMax)
	}
	s.metrics.running.Inc()
	defer s.metrics.running.Dec()
	// The request is read. Without this the read timeout would end a question that
	// takes longer, as if its client had gone.
	if err := http.NewResponseController(w).SetReadDeadline(time.Time{}); err != nil {
		return fmt.Errorf("lift the read deadline: %w", err)
	}
	if c.route.stream {
		return c.route.serve(w, c)
	}
	limited, cancel := c.limited()
	defer cancel()
	return c.route.serve(w, limited)
}

// methodFits refuses a method that the route does not have, and a change that a page of another origin has
// a browser ask for, perhaps with what its user is known by.
func (c *call) methodFits(w http.ResponseWriter) error {
	allowed := []string{http.MethodGet, http.MethodHead}
	if c.route.changes {
		allowed = []string{http.MethodPost}
	}
	if !slices.Contains(allowed, c.Method) {
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		return badMethod.about("", "%s cannot be used here; use %s", quote(c.Method), allowed[0])
	}
	if err := http.NewCrossOriginProtection().Check(c.Request); err != nil {
		return forbidden.about("", "a page of another origin may not change anything here")
	}
	return nil
}

// limited is the same call with as long as a question may take.
func (c *call) limited() (*call, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(c.Context(), questionTimeout)
	limited := *c
	limited.Request = c.WithContext(ctx)
	return &limited, cancel
}

// refuse turns an error into a problem, or cuts the connection when the answer
// has begun: nobody shall take a part of it for the whole.
func (s *Server) refuse(w *response, c *call, err error) {
	p := problemOf(err)
	log := s.log.With(zap.String("request_id", c.id), zap.String("route", c.route.name), zap.String("who", c.asker()))
	s.metrics.refused.WithLabelValues(p.word()).Inc()
	switch {
	case c.Context().Err() != nil && errors.Is(err, context.Canceled):
		log.Debug("the client has gone", zap.Error(err))
	case p.Status >= http.StatusInternalServerError:
		log.Error("question not answered", zap.Error(err))
	default:
		log.Debug("question refused", zap.Error(err))
	}
	if w.status != 0 {
		panic(http.ErrAbortHandler)
	}
	p.RequestID = c.id
	p.write(w)
}

// rescue turns a panic into a 500: one bad question must not end the process.
func (s *Server) rescue(w *response, c *call) {
	v := recover()
	if v == nil {
		return
	}
	if v == http.ErrAbortHandler {
		panic(v)
	}
	s.metrics.panics.Inc()
	s.log.Error("panic while answering", zap.String("request_id", c.id), zap.String("route", c.route.name),
		zap.Any("panic", v), zap.ByteString("stack", debug.Stack()))
	if w.status != 0 {
		panic(http.ErrAbortHandler)
	}
	p := problemOf(errPanic)
	p.RequestID = c.id
	p.write(w)
}

// headerBytes is what a request takes before its body.
func headerBytes(r *http.Request) int {
	n := len(r.RequestURI) + len(r.Host)
	for name, values := range r.Header {
		for _, v := range values {
			n += len(name) + len(v)
		}
	}
	return n
}

var errPanic = errors.New("panic")

// requestID takes over the client's id if it is harmless, and makes one otherwise.
func requestID(given string) string {
	harmless := given != "" && len(given) <= 64 && strings.IndexFunc(given, func(r rune) bool {
		letter := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
		return !letter && !('0' <= r && r <= '9') && r != '-' && r != '_' && r != '.'
	}) < 0
	if harmless {
		return given
	}
	return rand.Text()
}

// isLoopbackName tells whether a Host header names this machine to itself. A
// literal loopback address cannot come from a rebound name.
func isLoopbackName(host string) bool {
	name := host
	if h, port, err := net.SplitHostPort(host); err == nil {
		if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			return false
		}
		name = h
	} else if strings.HasPrefix(name, "[") && strings.HasSuffix(name, "]") {
		name = name[1 : len(name)-1]
	}
	if strings.EqualFold(name, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(name)
	return err == nil && ip.IsLoopback()
}
