package secure_test

import (
	"crypto/tls"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/clickagg/clickagg/internal/secure"
)

// TestServerFiles: what a server cannot do its work with is refused.
func TestServerFiles(t *testing.T) {
	t.Parallel()
	in := put(t)
	ca := certify(t, "the authority", now.Add(-day), now.Add(365*day), nil)
	in("ca", ca.certPEM())
	for name, id := range map[string]*identity{
		"good": certify(t, "good", now.Add(-day), now.Add(90*day), ca), "ended": certify(t, "ended", now.Add(-90*day), now.Add(-time.Minute), ca),
	} {
		in(name, id.certPEM())
		in(name+"-key", id.keyPEM(t))
	}
	for says, f := range map[string]secure.ServerFiles{
		"needs a certificate and its key": {Cert: in("good", nil)},
		"does not go with":                {Cert: in("good", nil), Key: in("ended-key", nil)},
		"expired on":                      {Cert: in("ended", nil), Key: in("ended-key", nil)},
		"holds no certificate":            {Cert: in("good", nil), Key: in("good-key", nil), ClientCA: in("good-key", nil)},
		"no such file":                    {Cert: in("good", nil), Key: in("good-key", nil), ClientCA: in("nowhere", nil)},
	} {
		if _, err := secure.ServerTLS(f, func(string) {}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("got %v; want %q", err, says)
		}
	}
}

// put writes files, or with nothing to write names them.
func put(t *testing.T) func(name string, text []byte) string {
	dir, changed := t.TempDir(), time.Now()
	return func(name string, text []byte) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if text == nil {
			return path
		}
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		changed = changed.Add(time.Second) // two writes may fall into one tick of the file system
		if err := os.Chtimes(path, changed, changed); err != nil {
			t.Fatal(err)
		}
		return path
	}
}

// TestServer: a server shows its certificate and takes those of its authority's
// clients, or none. What is renewed is shown to the next connection, and broken files
// change nothing.
func TestServer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		now := time.Now() // the bubble's
		in := put(t)
		ca := certify(t, "the authority", now.Add(-day), now.Add(365*day), nil)
		foreign := certify(t, "a foreign authority", now.Add(-day), now.Add(365*day), nil)
		old, renewed := certify(t, "old", now.Add(-day), now.Add(13*day), ca), certify(t, "renewed", now.Add(-day), now.Add(90*day), ca)
		known, unknown := certify(t, "known", now.Add(-day), now.Add(90*day), ca), certify(t, "unknown", now.Add(-day), now.Add(90*day), foreign)
		in("ca", ca.certPEM())
		in("cert", old.certPEM())
		in("key", old.keyPEM(t))
		var warnings []string
		files := secure.ServerFiles{Cert: in("cert", nil), Key: in("key", nil), ClientCA: in("ca", nil)}
		c, err := secure.ServerTLS(files, func(w string) { warnings = append(warnings, w) })
		if err != nil || len(warnings) != 1 || !strings.Contains(warnings[0], "the certificate of old") {
			t.Fatalf("%v, %q", err, warnings)
		}
		step := func(what string, client *identity, wantShown, wantSeen string, wantWarnings int) {
			t.Helper()
			shown, seen := shake(c, client)
			if shown != wantShown || !strings.Contains(seen, wantSeen) || len(warnings) != wantWarnings {
				t.Errorf("%s: shows %q, sees %q, warns %q", what, shown, seen, warnings)
			}
		}
		step("nobody", nil, "old", "", 1)
		step("a client", known, "old", "known", 1)
		step("a client of another authority", unknown, "", "unknown authority", 1)
		in("cert", renewed.certPEM())
		time.Sleep(time.Second)
		step("half renewed", nil, "old", "", 2)
		in("key", renewed.keyPEM(t))
		time.Sleep(time.Second)
		step("renewed", nil, "renewed", "", 2)
		in("ca", foreign.certPEM())
		time.Sleep(time.Second)
		step("another authority", unknown, "renewed", "unknown", 2)
	})
}

// shake connects a client to a server, and tells whose certificate the server showed
// and whose it saw, or why it would not.
func shake(config *tls.Config, client *identity) (shown, seen string) {
	a, b := net.Pipe()
	server := tls.Server(a, config)
	asks := tls.Client(b, &tls.Config{
		InsecureSkipVerify: true, // only the server is on trial
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			if client == nil {
				return &tls.Certificate{}, nil
			}
			return &tls.Certificate{Certificate: [][]byte{client.cert.Raw}, PrivateKey: client.key}, nil
		},
	})
	ended := make(chan error, 1)
	go func() {
		err := server.Handshake()
		_ = server.Close()
		ended <- err
	}()
	_, _ = io.Copy(io.Discard, asks) // and what the server says after the handshake
	if err := <-ended; err != nil {
		return "", err.Error()
	}
	if chains := server.ConnectionState().VerifiedChains; len(chains) > 0 {
		seen = chains[0][0].Subject.CommonName
	}
	return asks.ConnectionState().PeerCertificates[0].Subject.CommonName, seen
}
