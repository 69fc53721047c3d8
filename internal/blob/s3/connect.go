package s3

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/minio/minio-go/v7/pkg/credentials"
)

// How long the storage may take, where nothing says it does not work.
const (
	dialTimeout = 10 * time.Second
	silence     = time.Minute // without a byte in either direction
	roleTimeout = 5 * time.Second
)

// newTransport makes connections that end when the other side falls silent. No
// whole request has a time limit, because a large snapshot over a slow line needs its
// time: that is for the caller's context.
func newTransport(secured *tls.Config) *http.Transport {
	if secured == nil {
		secured = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         dial,
		TLSHandshakeTimeout: dialTimeout,
		MaxIdleConnsPerHost: 16,
		IdleConnTimeout:     silence / 2,
		DisableCompression:  true, // what is stored must come back as it is
		TLSClientConfig:     secured,
	}
}

func dial(ctx context.Context, network, addr string) (net.Conn, error) {
	d := net.Dialer{Timeout: dialTimeout}
	c, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return &talking{c}, nil
}

// talking is a connection that fails once nothing went either way for too long.
// A deadline counts for both directions: while a blob is sent nothing is received.
type talking struct{ net.Conn }

func (c *talking) Read(b []byte) (int, error) {
	if err := c.SetDeadline(time.Now().Add(silence)); err != nil {
		return 0, err
	}
	return c.Conn.Read(b)
}

func (c *talking) Write(b []byte) (int, error) {
	if err := c.SetDeadline(time.Now().Add(silence)); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

// credentials are the keys that were given, or those of the environment, or those of
// the machine's or the container's role. Without any of them a request fails; it is
// never sent without a name.
func (o Options) credentials() *credentials.Credentials {
	switch {
	case o.AccessKey != "":
		return credentials.NewStaticV4(o.AccessKey, o.SecretKey, "")
	case os.Getenv("AWS_ACCESS_KEY_ID") != "":
		return credentials.NewEnvAWS()
	}
	return credentials.New(role{&credentials.IAM{Region: o.Region, Client: &http.Client{Timeout: roleTimeout}}, o.Section})
}

// role says what to do when there is none.
type role struct {
	*credentials.IAM
	section string
}

// RetrieveWithCredContext implements [credentials.Provider].
func (r role) RetrieveWithCredContext(c *credentials.CredContext) (credentials.Value, error) {
	v, err := r.IAM.RetrieveWithCredContext(c)
	if err != nil {
		return v, &noKeyError{err, r.section}
	}
	return v, nil
}

// noKeyError: nobody gave us keys.
type noKeyError struct {
	role    error
	section string
}

func (e *noKeyError) Error() string {
	return fmt.Sprintf("there are no keys: set %[1]s.s3.access_key and %[1]s.s3.secret_key, "+
		"or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine a role (%v)", e.section, e.role)
}
