package api

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is a listener whose connections live in a synctest bubble, so that
// minutes of waiting take no time.
type pipes struct {
	net.Listener
	conns chan net.Conn
}

func (p pipes) Accept() (net.Conn, error) {
	c, ok := <-p.conns
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}

// inBubble runs a server on pipes and hands the test the client's end of one.
func inBubble(t *testing.T, f *fake, test func(conn net.Conn)) {
	bubble(t, f, func(t *testing.T, _ *Server, dial func() net.Conn) { test(dial()) })
}

// bubble runs a server on pipes, for a test that makes connections itself.
func bubble(t *testing.T, f *fake, test func(t *testing.T, s *Server, dial func() net.Conn)) {
	synctest.Test(t, func(t *testing.T) {
		s := makeServer(t, Config{}, f)
		l := pipes{s.listener, make(chan net.Conn)}
		s.listener = l
		served := make(chan struct{})
		go func() {
			defer close(served)
			_ = s.http.Serve(l)
		}()
		var clients []net.Conn
		test(t, s, func() net.Conn {
			client, server := net.Pipe()
			clients = append(clients, client)
			l.conns <- server
			return client
		})
		for _, client := range clients {
			_ = client.Close()
		}
		close(l.conns)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		<-served
		time.Sleep(time.Second) // net/http lingers before it closes a connection it refused
	})
}

const exportRequest = "GET /v1/export/counts HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

func TestSlowHeadersAreCutOff(t *testing.T) {
	t.Parallel()
	inBubble(t, someClicks(), func(conn net.Conn) {
		begin := time.Now()
		_, _ = io.WriteString(conn, "GET /livez HTTP/1.1\r\nHost: loc")
		_, _ = io.Copy(io.Discard, conn)
		if waited := time.Since(begin); waited != readHeaderTimeout {
			t.Errorf("waited %v for the headers", waited)
		}
	})
}

func TestIdleConnectionsAreClosed(t *testing.T) {
	t.Parallel()
	inBubble(t, someClicks(), func(conn net.Conn) {
		_, _ = io.WriteString(conn, "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		begin := time.Now()
		_, _ = io.Copy(io.Discard, conn)
		if waited := time.Since(begin); waited != idleTimeout {
			t.Errorf("kept an idle connection for %v", waited)
		}
	})
}

func TestHeadersAreLimited(t *testing.T) {
	t.Parallel()
	for size, problem := range map[int]bool{headerBytesMax: true, 2 * headerBytesCut: false} { // far too large is refused by net/http
		inBubble(t, someClicks(), func(conn net.Conn) {
			go func() {
				_, _ = io.WriteString(conn, "GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX: "+strings.Repeat("x", size)+"\r\n\r\n")
			}()
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil || resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
				t.Fatalf("%d bytes: %v, %v", size, resp, err)
			}
			if body, _ := io.ReadAll(resp.Body); problem {
				checkProblem(t, reply{resp, string(body)}, 431, "headers_too_large")
			}
		})
	}
}

// A slow question is ended by its own limit, not by that for reading requests.
func TestSlowQuestion(t *testing.T) {
	t.Parallel()
	f := someClicks()
	f.call = func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	}
	inBubble(t, f, func(conn net.Conn) {
		begin := time.Now()
		_, _ = io.WriteString(conn, "GET /v1/ads/a/aggregated_count HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		checkProblem(t, reply{resp, string(body)}, 503, "too_slow")
		if waited := time.Since(begin); waited != questionTimeout {
			t.Errorf("answered after %v", waited)
		}
	})
}

// A steady reader gets an export that takes longer than any of the server's
// limits; so does one whose rows are long in coming.
func TestLongExport(t *testing.T) {
	t.Parallel()
	f := manyClicks()
	f.row = func(i int) error {
		if i == 100 || i == 19_999 {
			time.Sleep(10 * time.Minute)
		}
		return nil
	}
	inBubble(t, f, func(conn net.Conn) {
		_, _ = io.WriteString(conn, exportRequest)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		rows := bufio.NewScanner(resp.Body)
		n := 0
		for ; rows.Scan(); n++ {
			if n%1000 == 0 {
				time.Sleep(10 * time.Second)
			}
		}
		if rows.Err() != nil || n != 20_001 {
			t.Errorf("got %d lines, %v", n, rows.Err())
		}
	})
}

// So does one that turns out to be empty.
func TestLongEmptyExport(t *testing.T) {
	t.Parallel()
	f := someClicks()
	f.row = func(int) error {
		time.Sleep(10 * time.Minute)
		return nil
	}
	inBubble(t, f, func(conn net.Conn) {
		_, _ = io.WriteString(conn, strings.Replace(exportRequest, " HTTP", "?format=json&to=2019-11-01T00:00:00Z HTTP", 1))
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("got %v, %v", resp, err)
		}
	})
}

// One who does not read is cut off.
func TestStalledExport(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	f := manyClicks()
	inBubble(t, f, func(conn net.Conn) {
		_, _ = io.WriteString(conn, exportRequest)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(writeTimeout + time.Second)
		_, err = io.Copy(io.Discard, resp.Body)
		ended <- err
	})
	if err := <-ended; !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("the export went on: %v", err)
	}
}
