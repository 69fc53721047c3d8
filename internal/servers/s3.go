package servers

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// S3Options describe an object storage. The zero value is one without TLS.
type S3Options struct {
	Dir string        // where it keeps objects; "" is a fresh one, which Close removes
	TLS *Certificates // clients must use TLS; nil: they must not
}

// S3 is a running object storage that speaks the S3 protocol and checks signatures.
// Its methods must not be called at the same time.
type S3 struct {
	process
	tls    *Certificates
	port   int
	remove bool
}

// What a client of [S3] says.
const (
	S3AccessKey = "clickagg-test"
	S3SecretKey = "a secret of the tests"
	S3Region    = "eu-test-1"
)

// versitygw is the storage: a server of the S3 protocol over a directory, written in Go.
const versitygw = "v1.8.0"

// StartS3 starts a storage and returns when it answers. Its directory must be on a
// file system with extended attributes.
func StartS3(ctx context.Context, o S3Options) (*S3, error) {
	program, err := DownloadS3(ctx)
	if err != nil {
		return nil, err
	}
	port, err := FreePort()
	if err != nil {
		return nil, err
	}
	s := &S3{tls: o.TLS, port: port, remove: o.Dir == "", process: process{java: program}}
	if s.dir, err = home(o.Dir); err != nil {
		return nil, err
	}
	s.args = []string{"--port", local(port), "--access", S3AccessKey, "--secret", S3SecretKey, "--region", S3Region, "--quiet"}
	if o.TLS != nil {
		s.args = append(s.args, "--cert", o.TLS.ServerCert, "--key", o.TLS.ServerKey)
	}
	objects := filepath.Join(s.dir, "objects")
	s.args = append(s.args, "posix", objects)
	if err := os.MkdirAll(objects, 0o700); err != nil {
		return nil, errors.Join(fmt.Errorf("s3: %w", err), s.Close())
	}
	if err := s.Start(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// DownloadS3 makes sure that the server is in the cache, and returns the program. The
// go command builds it, beside this module and not as a part of it; at the first time
// that takes some minutes. Several processes may call it at the same time.
func DownloadS3(ctx context.Context) (program string, err error) {
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "versitygw-"+versitygw)
	program = filepath.Join(dir, "versitygw")
	unlock, err := lock(dir + ".lock")
	if err != nil {
		return "", fmt.Errorf("servers: %w", err)
	}
	defer unlock()
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	golang, err := tool("go", "Go", "golang")
	if err != nil {
		return "", err
	}
	c := exec.CommandContext(ctx, golang, "install", "-trimpath", "-ldflags=-s -w", "github.com/versity/versitygw/cmd/versitygw@"+versitygw)
	c.Dir, c.Env = cache, append(os.Environ(), "GOBIN="+dir, "GOFLAGS=", "GOWORK=off", "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		return "", fmt.Errorf("servers: install versitygw: %w\n%s", err, last(out))
	}
	return program, nil
}

// Endpoint is where clients find the storage.
func (s *S3) Endpoint() string {
	if s.tls != nil {
		return "https://" + local(s.port)
	}
	return "http://" + local(s.port)
}

// Start starts the storage again and returns when it answers.
func (s *S3) Start(ctx context.Context) error {
	if err := s.start(); err != nil {
		return fmt.Errorf("s3: start: %w", err)
	}
	ask := func(ctx context.Context) error {
		return s.with(func(c *minio.Client) error {
			_, err := c.ListBuckets(ctx)
			return err
		})
	}
	if err := s.ready(ctx, ask); err != nil {
		return fmt.Errorf("s3: start: %w", err)
	}
	return nil
}

// MakeBucket makes a bucket.
func (s *S3) MakeBucket(ctx context.Context, name string) error {
	return s.with(func(c *minio.Client) error {
		return c.MakeBucket(ctx, name, minio.MakeBucketOptions{Region: S3Region})
	})
}

// with lends a client.
func (s *S3) with(use func(c *minio.Client) error) error {
	transport := &http.Transport{DisableKeepAlives: true}
	if s.tls != nil {
		trusting, err := s.tls.Client()
		if err != nil {
			return err
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: trusting.RootCAs}
	}
	c, err := minio.New(local(s.port), &minio.Options{
		Creds: credentials.NewStaticV4(S3AccessKey, S3SecretKey, ""), Secure: s.tls != nil, Region: S3Region,
		Transport: transport, MaxRetries: 1,
	})
	if err != nil {
		return err
	}
	return use(c)
}

// Kill ends the storage by SIGKILL.
func (s *S3) Kill() { s.kill() }

// Pause freezes the storage by SIGSTOP: its connections stay open and say nothing.
func (s *S3) Pause() { s.signal(syscall.SIGSTOP) }

// Resume lets a frozen storage go on.
func (s *S3) Resume() { s.signal(syscall.SIGCONT) }

// LogTail is the end of the storage's log.
func (s *S3) LogTail() string { return "last lines of the object storage:\n" + s.tail() }

// Close ends the storage at once.
func (s *S3) Close() error {
	s.kill()
	if s.remove {
		return os.RemoveAll(s.dir)
	}
	return nil
}
