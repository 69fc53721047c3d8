package api

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"github.com/klauspost/compress/gzhttp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"golang.org/x/net/netutil"

	"github.com/clickagg/clickagg/internal/access"
	"github.com/clickagg/clickagg/internal/answer"
	"github.com/clickagg/clickagg/internal/calendar"
	"github.com/clickagg/clickagg/storage"
)

// Limits of what one client can make the server hold.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 10 * time.Second
	writeTimeout      = 30 * time.Second // of a whole answer; of each write in a stream
	idleTimeout       = 60 * time.Second
	headerBytesMax    = 16 << 10 // of path, query and headers; more is refused with a problem
	headerBytesCut    = 64 << 10 // and far more by net/http, in its own words
	questionsMax      = 64       // running at once
	connectionsMax    = 1000     // unless set
	streamsEach       = 32       // of one client
	questionTimeout   = 10 * time.Second
)

// Config says where to listen and what the store holds.
type Config struct {
	Listen string         // host:port
	Window time.Duration  // size of the store's windows
	Zone   *time.Location // whose days series have; nil is UTC
	Clicks Recounter      // nil answers nothing from the clicks themselves
	Stored Reconciler     // nil does not hold them against what is stored
	Replay Replayer       // nil replays nothing
	Ender  Ender          // nil ends no correction as stored
	Drain  time.Duration  // how long Run waits for running questions in the end; 0 means 10 s

	TLS         *tls.Config   // nil speaks plain HTTP
	Access      access.Config // who may ask; its zero value lets everybody
	Connections int           // most at once, others wait; 0 means 1000
	Origins     []string      // whose pages a browser may let ask (CORS); none by default
}

// Server is the HTTP API. It is safe for concurrent use.
type Server struct {
	http     *http.Server
	listener net.Listener
	loopback bool
	secure   bool
	door     *access.Door
	origins  []string
	drain    time.Duration
	stop     context.CancelFunc // ends what the drain could not wait for
	serving  sync.RWMutex       // read-locked by every running request

	answers  *answer.Reader
	days     calendar.Calendar
	status   func() Status
	ready    func() []Unready
	now      func() time.Time
	log      *zap.Logger
	metrics  *metrics
	routes   []*route
	page     map[string]*route // the dashboard
	question chan struct{}     // a place per running question
	streams  chan struct{}     // a place per open stream
	follows  *access.Shares    // of them
	hub      *hub
	stopping chan struct{} // closed when streams are to end

	recounter  Recounter
	reconciler Reconciler
	replayer   Replayer
	ender      Ender
	recounting chan struct{} // a place per running recount
}

// New binds the address, so that a port in use is known before anything else
// starts, and makes the server that Run starts. The functions are called by many
// goroutines at once. The registry must not hold another server's metrics.
func New(c Config, store storage.Store, status func() Status, ready func() []Unready,
	now func() time.Time, log *zap.Logger, registry prometheus.Registerer,
) (*Server, error) {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", c.Listen)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("api: %s is in use, perhaps by another clickagg; set api.listen to a free address: %w", c.Listen, err)
	}
	if err != nil {
		return nil, fmt.Errorf("api: set api.listen to an address of this machine: %w", err)
	}
	s := &Server{
		listener: share(l, cmp.Or(c.Connections, connectionsMax)), loopback: isLoopback(l.Addr()),
		secure: c.TLS != nil, door: access.NewDoor(c.Access, now), origins: c.Origins, drain: cmp.Or(c.Drain, 10*time.Second),
		answers: answer.New(store, c.Window), days: calendar.New(cmp.Or(c.Zone, time.UTC), c.Window), status: status, ready: ready, now: now,
		log: log, metrics: newMetrics(registry), question: make(chan struct{}, questionsMax),
		streams: make(chan struct{}, streamsMax), follows: access.NewShares(streamsEach), hub: newHub(), stopping: make(chan struct{}),
		recounter: c.Clicks, reconciler: c.Stored, replayer: c.Replay, ender: c.Ender, recounting: make(chan struct{}, recountsMax),
	}
	if !s.loopback && (!s.secure || s.door.Open()) {
		log.Warn("other machines can reach the API, which lacks TLS or does not ask who they are", zap.Stringer("address", l.Addr()))
	}
	s.routes = s.makeRoutes()
	s.page = pageRoutes()
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.http = &http.Server{
		Handler:           compressed(s),
		TLSConfig:         c.TLS,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    headerBytesCut,
		ErrorLog:          zap.NewStdLog(log.Named("http")),
	}
	return s, nil
}

// share holds connections to so many at once, and those of one network to three quarters of them, so
// that others get in.
func share(l net.Listener, all int) net.Listener {
	return access.NewShares(max(1, all*3/4)).Listen(netutil.LimitListener(l, all))
}

// compressed answers in gzip to who accepts it. What is small, or is a stream whose
// events must not wait for each other, stays as it is.
func compressed(h http.Handler) http.Handler {
	wrap, err := gzhttp.NewWrapper(gzhttp.EnableZstd(false), gzhttp.ContentTypeFilter(func(media string) bool {
		return media != mediaEvents && gzhttp.DefaultContentTypeFilter(media)
	}))
	if err != nil {
		panic("api: compression: " + err.Error()) // the options are the same always
	}
	return wrap(h)
}

// Addr is the address the server is bound to, with the port that ":0" chose.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// URL is where a client on this machine finds the API.
func (s *Server) URL() string {
	scheme := "http"
	if s.secure {
		scheme = "https"
	}
	addr, ok := s.listener.Addr().(*net.TCPAddr)
	if ok && addr.IP.IsUnspecified() {
		return fmt.Sprintf("%s://localhost:%d", scheme, addr.Port)
	}
	return scheme + "://" + s.listener.Addr().String()
}

// Run serves until ctx ends, then ends streams, lets running questions finish for as long as
// Config.Drain, and ends those that did not. When it returns, no request uses
// the store any more. It is called once.
func (s *Server) Run(ctx context.Context) error {
	served := make(chan error, 1)
	go func() { served <- s.serve() }()
	select {
	case err := <-served:
		return errors.Join(fmt.Errorf("api: serve: %w", err), s.Close())
	case <-ctx.Done():
	}
	close(s.stopping)
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.drain)
	defer cancel()
	if err := s.http.Shutdown(drain); err != nil {
		s.log.Warn("questions were still running when the time to finish them was over", zap.Duration("drain", s.drain))
	}
	err := s.Close()
	<-served
	return err
}

func (s *Server) serve() error {
	if s.secure {
		return s.http.ServeTLS(s.listener, "", "")
	}
	return s.http.Serve(s.listener)
}

// Close ends everything at once and waits for it. It need not be called after
// Run returned.
func (s *Server) Close() error {
	s.stop()
	err := s.http.Close()
	if lerr := s.listener.Close(); !errors.Is(lerr, net.ErrClosed) {
		err = errors.Join(err, lerr)
	}
	s.serving.Lock() // waits for the requests that were running
	defer s.serving.Unlock()
	if err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("api: close: %w", err)
	}
	return nil
}

func isLoopback(a net.Addr) bool {
	t, ok := a.(*net.TCPAddr)
	return ok && t.IP.IsLoopback()
}
