package secure

import (
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"github.com/clickagg/clickagg/internal/reread"
)

// ServerFiles name what a server shows, and whose clients it knows.
type ServerFiles struct {
	Cert     string // the certificate that is shown, with those between it and its authority
	Key      string // the key to Cert
	ClientCA string // authorities whose clients are known by their certificates; empty asks for none
}

// ServerTLS makes a server's configuration for HTTP. A client's certificate may be
// absent; one that is shown must be of an authority in ClientCA. The files are read
// anew when they change; while they do not fit, what did is used and warn is told.
// Warn is also told of certificates that end within 14 days.
func ServerTLS(f ServerFiles, warn func(string)) (*tls.Config, error) {
	if f.Cert == "" || f.Key == "" {
		return nil, errors.New("tls: a server needs a certificate and its key")
	}
	files := []string{f.Cert, f.Key}
	if f.ClientCA != "" {
		files = append(files, f.ClientCA)
	}
	read := func() (*tls.Config, error) {
		c, warnings, err := serverTLS(f, time.Now())
		for _, w := range warnings {
			warn(w)
		}
		return c, err
	}
	failed := func(err error) { warn(err.Error() + "; what was read before is used") }
	current, err := reread.New(read, failed, time.Now, files...)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		NextProtos:         httpVersions,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return current.Get(), nil },
	}, nil
}

// httpVersions are the versions of HTTP that are spoken over TLS.
var httpVersions = []string{"h2", "http/1.1"}

func serverTLS(f ServerFiles, now time.Time) (c *tls.Config, warnings []string, err error) {
	shown, warning, err := pair(Files{Cert: f.Cert, Key: f.Key}, now)
	if err != nil {
		return nil, nil, fmt.Errorf("tls: %w", err)
	}
	if warning != "" {
		warnings = append(warnings, warning)
	}
	c = &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: httpVersions, Certificates: []tls.Certificate{*shown}}
	if f.ClientCA == "" {
		return c, warnings, nil
	}
	pool, more, err := authorities(f.ClientCA, now)
	if err != nil {
		return nil, nil, fmt.Errorf("tls: %w", err)
	}
	c.ClientCAs, c.ClientAuth = pool, tls.VerifyClientCertIfGiven
	return c, append(warnings, more...), nil
}
