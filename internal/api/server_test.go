package api

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func TestPortInUse(t *testing.T) {
	t.Parallel()
	first := makeServer(t, Config{}, someClicks())
	defer first.Close()
	_, err := New(Config{Listen: first.Addr().String(), Window: time.Minute}, someClicks(), nil, nil, nil, zap.NewNop(), prometheus.NewRegistry())
	if !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), "api.listen") {
		t.Errorf("got %v", err)
	}
	if _, err := New(Config{Listen: "nonsense", Window: time.Minute}, someClicks(), nil, nil, nil, zap.NewNop(), prometheus.NewRegistry()); err == nil {
		t.Error("listened on nonsense")
	}
}

// blocked is a store whose counts wait to be let go.
func blocked() (f *fake, entered chan struct{}, release chan struct{}) {
	f = someClicks()
	entered, release = make(chan struct{}), make(chan struct{})
	f.call = func(ctx context.Context) error {
		entered <- struct{}{}
		select {
		case <-release:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return f, entered, release
}

func TestTooManyQuestions(t *testing.T) {
	t.Parallel()
	f, entered, release := blocked()
	s := makeServer(t, Config{}, f)
	run(t, s)
	codes := make(chan int, questionsMax)
	for range questionsMax {
		go func() { codes <- ask(t, http.MethodGet, s.URL()+"/v1/ads/a/aggregated_count", nil).StatusCode }()
	}
	for range questionsMax {
		<-entered
	}
	if n := testutil.ToFloat64(s.metrics.running); n != questionsMax {
		t.Errorf("%v questions are running", n)
	}
	for _, path := range questions {
		r := get(t, s.URL()+path)
		checkProblem(t, r, 503, "too_many_questions")
		if r.Header.Get("Retry-After") != "1" {
			t.Errorf("Retry-After is %q", r.Header.Get("Retry-After"))
		}
	}
	for _, path := range []string{"/livez", "/readyz", "/v1/status"} {
		if r := get(t, s.URL()+path); r.StatusCode != 200 {
			t.Errorf("%s: %s", path, r.Status)
		}
	}
	close(release)
	for range questionsMax {
		if code := <-codes; code != 200 {
			t.Errorf("a running question got %d", code)
		}
	}
	go func() { <-entered }()
	if r := get(t, s.URL()+questions[0]); r.StatusCode != 200 {
		t.Errorf("afterwards: %s", r.Status)
	}
}

func TestPanic(t *testing.T) {
	t.Parallel()
	f := someClicks()
	f.call = func(context.Context) error { panic("defect") }
	s := makeServer(t, Config{}, f)
	core, logs := observer.New(zap.ErrorLevel)
	s.log = zap.New(core)
	run(t, s)
	r := get(t, s.URL()+questions[0])
	checkProblem(t, r, 500, "internal")
	if n := testutil.ToFloat64(s.metrics.panics); n != 1 {
		t.Errorf("%v panics were counted", n)
	}
	entry := logs.FilterField(zap.String("request_id", r.Header.Get("X-Request-Id"))).All()
	if len(entry) != 1 || !strings.Contains(string(entry[0].ContextMap()["stack"].(string)), "server_test.go") {
		t.Errorf("logged %v", logs.All())
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	s := makeServer(t, Config{}, someClicks())
	stop := run(t, s)
	for _, path := range []string{"/livez", "/v1/nowhere", "/v1/ads/secret-ad/aggregated_count", "/v1/ads/secret-ad/aggregated_count?x=1"} {
		get(t, s.URL()+path)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	want := `
# HELP clickagg_api_requests_total Requests by route and HTTP status; gone when the client did not wait.
# TYPE clickagg_api_requests_total counter
clickagg_api_requests_total{route="count",status="200"} 1
clickagg_api_requests_total{route="count",status="400"} 1
clickagg_api_requests_total{route="livez",status="200"} 1
clickagg_api_requests_total{route="none",status="404"} 1
`
	if err := testutil.CollectAndCompare(s.metrics.requests, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}

// A question that runs when the server is told to stop is answered.
func TestDrain(t *testing.T) {
	t.Parallel()
	f, entered, release := blocked()
	s := makeServer(t, Config{Drain: time.Hour}, f)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	code := make(chan int, 1)
	go func() { code <- ask(t, http.MethodGet, s.URL()+questions[0], nil).StatusCode }()
	<-entered
	cancel()
	for { // until the listener is closed
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.Addr().String())
		if err != nil {
			break
		}
		_ = conn.Close()
	}
	select {
	case err := <-done:
		t.Fatalf("Run did not wait: %v", err)
	default:
	}
	close(release)
	if got := <-code; got != 200 {
		t.Errorf("the running question got %d", got)
	}
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
}

// One that does not end in time is ended, and Run waits until it has let go of
// the store.
func TestDrainEnds(t *testing.T) {
	t.Parallel()
	f, entered, _ := blocked()
	left := make(chan struct{})
	wait := f.call
	f.call = func(ctx context.Context) error {
		defer close(left)
		return wait(ctx)
	}
	s := makeServer(t, Config{Drain: time.Millisecond}, f)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	go func() {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL()+questions[0], http.NoBody)
		if err != nil {
			return
		}
		if resp, err := http.DefaultClient.Do(r); err == nil {
			_ = resp.Body.Close()
		}
	}()
	<-entered
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
	select {
	case <-left:
	default:
		t.Error("Run returned while a question was using the store")
	}
}

func TestCloseWithoutRun(t *testing.T) {
	t.Parallel()
	s := makeServer(t, Config{}, someClicks())
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Error(err)
	}
}
