package ops

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/clickagg/clickagg/internal/api"
)

func TestServer(t *testing.T) {
	t.Parallel()
	var c condition
	s, err := NewServer("127.0.0.1:0", Registry(), c.health())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer := func(path string) (int, string) {
		t.Helper()
		r, err := client.Get("http://" + s.Addr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = r.Body.Close() }()
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		return r.StatusCode, strings.TrimSpace(string(b))
	}
	check := func(path string, status int, body string) {
		t.Helper()
		if got, text := answer(path); got != status || text != body {
			t.Errorf("%s: %d %s, want %d %s", path, got, text, status, body)
		}
	}
	check("/livez", 200, `{"live":true}`)
	check("/readyz", 200, `{"ready":true,"not_ready":[]}`)
	c.set(errors.New("stands still"), api.Unready{Part: "mapper", Reason: "1 of 4 partitions are at work"})
	check("/livez", 503, `{"live":false,"reason":"stands still"}`)
	check("/readyz", 503, `{"ready":false,"not_ready":[{"part":"mapper","reason":"1 of 4 partitions are at work"}]}`)
	for path, words := range map[string]string{"/metrics": "go_goroutines", "/debug/pprof/goroutine?debug=1": "goroutine profile"} {
		if status, text := answer(path); status != 200 || !strings.Contains(text, words) {
			t.Errorf("%s: %d %.200s", path, status, text)
		}
	}
	if _, err := NewServer(s.Addr().String(), Registry(), c.health()); err == nil || !strings.Contains(err.Error(), "set ops.listen to a free address") {
		t.Errorf("a second server: %v", err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
