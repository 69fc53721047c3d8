package access

import (
	"errors"
	"net"
	"net/http"
	"testing"
)

func TestSharesAreOfOneClient(t *testing.T) {
	t.Parallel()
	s := NewShares(2)
	var leave func()
	for _, test := range []struct {
		client string
		want   bool
	}{{"a", true}, {"a", true}, {"a", false}, {"b", true}, {"", true}, {"", true}, {"", true}} {
		l, ok := s.Take(test.client)
		if ok != test.want {
			t.Errorf("%q: %v", test.client, ok)
		}
		if test.client == "a" && ok {
			leave = l
		}
	}
	leave()
	if _, ok := s.Take("a"); !ok {
		t.Error("a place that was given back is not there")
	}
	if _, ok := s.Take("a"); ok {
		t.Error("one place was given back, and two are there")
	}
}

func TestClient(t *testing.T) {
	t.Parallel()
	d := NewDoor(Config{}, nil)
	for remote, want := range map[string]string{
		"127.0.0.1:5": "", "[::1]:5": "", "192.0.2.7:1": "192.0.2.7", "192.0.2.7:2": "192.0.2.7", "[2001:db8::1]:1": "2001:db8::/64", "[2001:db8::2]:1": "2001:db8::/64",
	} {
		if got := d.Client(&http.Request{RemoteAddr: remote}, everybody); got != want {
			t.Errorf("%s: %q, want %q", remote, got, want)
		}
	}
	if a, b := d.Client(&http.Request{RemoteAddr: "127.0.0.1:5"}, &Identity{Name: "acme"}), d.Client(&http.Request{RemoteAddr: "192.0.2.7:1"}, &Identity{Name: "acme"}); a != b || a == "" {
		t.Errorf("an identity is %q here and %q there", a, b)
	}
}

// callers is a listener with connections from addresses.
type callers struct {
	net.Listener
	from []string
	open int
}

var errNobody = errors.New("nobody calls")

func (c *callers) Accept() (net.Conn, error) {
	if len(c.from) == 0 {
		return nil, errNobody
	}
	at, err := net.ResolveTCPAddr("tcp", c.from[0])
	c.from, c.open = c.from[1:], c.open+1
	return &caller{at: at, of: c}, err
}

type caller struct {
	net.Conn
	at net.Addr
	of *callers
}

func (c *caller) RemoteAddr() net.Addr { return c.at }

func (c *caller) Close() error {
	c.of.open--
	return nil
}

// Connections beyond a share are closed, and a closed one gives its place back, once.
func TestListenSharesConnections(t *testing.T) {
	t.Parallel()
	l := &callers{from: []string{"192.0.2.7:1", "192.0.2.7:2", "192.0.2.7:3", "192.0.2.8:1", "127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"}}
	s := NewShares(2).Listen(l)
	var got []net.Conn
	accept := func() {
		for {
			c, err := s.Accept()
			if err != nil {
				return
			}
			got = append(got, c)
		}
	}
	accept()
	if len(got) != 6 || l.open != 6 {
		t.Fatalf("%d of 7 are accepted, %d open; want 6", len(got), l.open)
	}
	for range 2 {
		if err := got[0].Close(); err != nil {
			t.Error(err)
		}
	}
	l.from = []string{"192.0.2.7:4", "192.0.2.7:5"}
	if accept(); len(got) != 7 {
		t.Errorf("%d were accepted when one had closed, want 1", len(got)-6)
	}
}
