package access

import (
	"net"
	"net/http"
	"sync"
)

// Shares sees to it that of something there is little of, such as open streams, no client takes
// all. It is safe for concurrent use.
type Shares struct {
	each int

	mu sync.Mutex
	of map[string]int // by client; none at 0
}

// NewShares lets each client take so many places, at least 1.
func NewShares(each int) *Shares { return &Shares{each: each, of: map[string]int{}} }

// Take takes a place for a client, to be given back once, and false when it has as many as
// it may. One without a name is not limited.
func (s *Shares) Take(client string) (leave func(), ok bool) {
	if client == "" {
		return func() {}, true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of[client] >= s.each {
		return nil, false
	}
	s.of[client]++
	return func() { s.leave(client) }, true
}

func (s *Shares) leave(client string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of[client]--; s.of[client] == 0 {
		delete(s.of, client)
	}
}

// Client is who a request counts for when something is shared out: its identity, or the network it
// comes from where it has none. It is empty for this machine at an open door, which is not limited.
func (d *Door) Client(r *http.Request, who *Identity) string {
	if who != nil && who != everybody {
		return "name " + who.Name
	}
	return clientAt(r.RemoteAddr)
}

// clientAt is the client at a remote address: its network, or nobody on this machine.
func clientAt(remote string) string {
	if isLoopback(remote) {
		return ""
	}
	return network(remote)
}

// Listen shares the connections of a listener out among networks: those beyond a network's share
// are closed at once. Those of this machine, where proxies are, are not limited.
func (s *Shares) Listen(l net.Listener) net.Listener { return &sharing{l, s} }

type sharing struct {
	net.Listener
	shares *Shares
}

// Accept implements [net.Listener].
func (l *sharing) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if leave, ok := l.shares.Take(clientAt(c.RemoteAddr().String())); ok {
			return &shared{Conn: c, leave: sync.OnceFunc(leave)}, nil
		}
		_ = c.Close() // it was of no use to anybody
	}
}

// shared is a connection that has a place.
type shared struct {
	net.Conn
	leave func()
}

// Close implements [net.Conn].
func (c *shared) Close() error {
	c.leave()
	return c.Conn.Close()
}
