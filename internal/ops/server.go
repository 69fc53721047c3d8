package ops

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Registry makes the process's metrics registry with the runtime's own figures.
func Registry() *prometheus.Registry {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), collectors.NewBuildInfoCollector())
	return reg
}

// Server answers /livez, /readyz, /metrics and /debug/pprof on an address of their
// own.
type Server struct {
	http     *http.Server
	listener net.Listener
}

// NewServer binds the address, so that a port in use is known before anything else
// starts. The registry and the health are asked from then on until Run returns.
func NewServer(listen string, reg *prometheus.Registry, health Health) (*Server, error) {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", listen)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("ops: %s is in use, perhaps by another clickagg; set ops.listen to a free address: %w", listen, err)
	}
	if err != nil {
		return nil, fmt.Errorf("ops: set ops.listen to an address of this machine: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", health.live)
	mux.HandleFunc("GET /readyz", health.ready)
	mux.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return &Server{
		listener: l,
		http: &http.Server{
			Handler: mux, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
		},
	}, nil
}

// Addr is the address the server is bound to, with the port that ":0" chose.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Run answers until ctx ends. It is called once.
func (s *Server) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = s.http.Close() })
	defer stop()
	if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("ops: serve: %w", err)
	}
	return nil
}

// Close gives up the address of a server that is not run.
func (s *Server) Close() error { return s.listener.Close() }
