package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/clickagg/clickagg/internal/blob"
	"github.com/clickagg/clickagg/internal/blob/blobtest"
	"github.com/clickagg/clickagg/internal/blob/s3"
	"github.com/clickagg/clickagg/internal/secure"
	"github.com/clickagg/clickagg/internal/servers"
)

// limitedS3 is limited, from when there is a storage to start: the first test of all
// builds it.
func limitedS3(t *testing.T) context.Context {
	t.Helper()
	if _, err := servers.DownloadS3(t.Context()); err != nil {
		t.Fatal(err)
	}
	return limited(t)
}

// objectStorage is a storage of the test's own, with a bucket.
func objectStorage(ctx context.Context, t *testing.T, certs *servers.Certificates) (*servers.S3, s3.Options) {
	t.Helper()
	s, err := servers.StartS3(ctx, servers.S3Options{TLS: certs})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(s.LogTail())
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	o := s3.Options{
		Endpoint: s.Endpoint(), Region: servers.S3Region, Bucket: "snapshots",
		AccessKey: servers.S3AccessKey, SecretKey: servers.S3SecretKey, Section: "snapshots",
	}
	if certs != nil {
		if o.TLS, _, err = secure.ClientTLS(secure.Files{CA: certs.CA}, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.MakeBucket(ctx, o.Bucket); err != nil {
		t.Fatal(err)
	}
	return s, o
}

func openS3(ctx context.Context, t *testing.T, o s3.Options) *s3.Store {
	t.Helper()
	s, err := s3.Open(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestS3KeepsTheContract(t *testing.T) {
	t.Parallel()
	certs, err := servers.MakeCertificates(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]*servers.Certificates{"plain": nil, "tls": &certs} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := limitedS3(t)
			_, o := objectStorage(ctx, t, c)
			var places atomic.Int32
			blobtest.Run(t, func(t *testing.T) blob.Ranger {
				own := o
				own.Prefix = fmt.Sprintf("some/place-%d", places.Add(1))
				return openS3(t.Context(), t, own)
			})
			blobtest.RunPlain(t, func(t *testing.T) blob.Ranger {
				own := o
				own.Plain = true
				own.Prefix = fmt.Sprintf("plain/place-%d", places.Add(1))
				return openS3(t.Context(), t, own)
			})
		})
	}
}

// TestS3Pages: a listing is longer than the page the storage gives at once.
func TestS3Pages(t *testing.T) {
	t.Parallel()
	ctx := limitedS3(t)
	_, o := objectStorage(ctx, t, nil)
	s := openS3(ctx, t, o)
	const blobs = 1100
	var writers sync.WaitGroup
	var next atomic.Int32
	for range 8 {
		writers.Go(func() {
			for i := next.Add(1); i <= blobs; i = next.Add(1) {
				if err := s.Put(ctx, fmt.Sprintf("many/%04d", i), []byte{1}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	writers.Wait()
	names, err := s.List(ctx, "many/")
	if err != nil || len(names) != blobs || names[0] != "many/0001" || names[blobs-1] != fmt.Sprintf("many/%04d", blobs) {
		t.Errorf("%d names, %v", len(names), err)
	}
}

// TestS3SaysWhatToDo: each refusal names the place and the cure, at the start.
func TestS3SaysWhatToDo(t *testing.T) {
	t.Parallel()
	ctx := limitedS3(t)
	certs, err := servers.MakeCertificates(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s, right := objectStorage(ctx, t, &certs)
	openS3(ctx, t, right)
	for name, c := range map[string]struct {
		wrong func(o *s3.Options)
		words []string
	}{
		"key":    {func(o *s3.Options) { o.AccessKey = "nobody" }, []string{"snapshots.s3.access_key is not known"}},
		"secret": {func(o *s3.Options) { o.SecretKey = "wrong" }, []string{"SignatureDoesNotMatch", "snapshots.s3.secret_key"}},
		"bucket": {func(o *s3.Options) { o.Bucket = "missing" }, []string{"NoSuchBucket", "bucket missing at " + s.Endpoint(), "snapshots.url"}},
		"region": {func(o *s3.Options) { o.Region = "us-east-1" }, []string{"snapshots.s3.region"}},
		"ca":     {func(o *s3.Options) { o.TLS = nil }, []string{"set ca_file", "(snapshots.s3)"}},
		"scheme": {func(o *s3.Options) { o.Endpoint = strings.TrimPrefix(o.Endpoint, "https://") }, []string{"snapshots.s3.endpoint", "like https://"}},
		"port":   {func(o *s3.Options) { o.Endpoint = "https://" + freeAddr(t) }, []string{"refused", "is snapshots.s3.endpoint right"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := right
			c.wrong(&o)
			_, err := s3.Open(t.Context(), o)
			if err == nil {
				t.Fatal("opened")
			}
			contains(t, err.Error(), c.words...)
			if strings.Contains(err.Error(), servers.S3SecretKey) {
				t.Errorf("the secret is in %q", err)
			}
		})
	}
}

// TestS3StorageKilled: a storage that dies in the middle of a put has the old bytes
// afterwards; one that comes back in time gets the new ones without a word.
func TestS3StorageKilled(t *testing.T) {
	t.Parallel()
	ctx := limitedS3(t)
	storage, o := objectStorage(ctx, t, nil)
	before := bytes.Repeat([]byte("old "), 1<<20)
	after := bytes.Repeat([]byte("new!"), 16<<20)
	direct := openS3(ctx, t, o)
	if err := direct.Put(ctx, "shard/1", before); err != nil {
		t.Fatal(err)
	}
	through := newRelay(t, strings.TrimPrefix(o.Endpoint, "http://"))
	o.Endpoint = "http://" + through.addr()
	s := openS3(ctx, t, o)

	for _, back := range []bool{false, true} {
		putting, stop := context.WithCancel(ctx)
		middle := through.at(8 << 20)
		ended := make(chan error, 1)
		go func() { ended <- s.Put(putting, "shard/1", after) }()
		select {
		case <-middle:
		case err := <-ended:
			t.Fatalf("the put ended before its middle: %v", err)
		}
		storage.Kill()
		if !back {
			stop()
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Errorf("put: %v", err)
			}
		}
		if err := storage.Start(ctx); err != nil {
			t.Fatal(err)
		}
		want := before
		if back {
			want = after
			if err := <-ended; err != nil {
				t.Errorf("put: %v", err)
			}
		}
		stop()
		if got, err := direct.Get(ctx, "shard/1"); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes %.8q, %v; want %d bytes %.8q", len(got), got, err, len(want), want)
		}
		if names, err := direct.List(ctx, ""); err != nil || len(names) != 1 {
			t.Errorf("%q, %v", names, err)
		}
	}

	// One that stays away is an error that says so, and not a blob that is not there.
	storage.Kill()
	if _, err := direct.Get(ctx, "shard/1"); !errors.Is(err, blob.ErrUnavailable) || errors.Is(err, blob.ErrNotFound) {
		t.Errorf("get: %v", err)
	}
}

// TestS3HoldsTheSnapshots runs the program with its states in a bucket.
func TestS3HoldsTheSnapshots(t *testing.T) {
	t.Parallel()
	ctx := limitedS3(t)
	storage, o := objectStorage(ctx, t, nil)
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte(o.SecretKey+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte(o.AccessKey+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := running(ctx, t, "--snapshots.url", "s3://snapshots/live", "--snapshots.s3.endpoint", o.Endpoint, "--snapshots.s3.region", o.Region,
		"--snapshots.s3.access-key", "file:"+key, "--snapshots.s3.secret-key", "file:"+secret)
	clicks, counts := minutes(0, 5, 9)
	s.load(write(t, "clicks.jsonl", clicks), "--finish", "--wait")
	if status := s.stop(); status != 0 {
		t.Fatalf("stop: status %d", status)
	}
	o.Prefix = "live"
	names, err := openS3(ctx, t, o).List(ctx, "")
	if err != nil || len(names) == 0 {
		t.Fatalf("snapshots: %q, %v", names, err)
	}
	if _, err := os.Stat(filepath.Join(s.data(), "snapshots")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("there are snapshots in the data directory: %v", err)
	}
	s.again(ctx, counts)
	s.kill()

	// Without its storage it does not begin, and does not take it for empty either.
	storage.Kill()
	s.start()
	if status := s.ends(ctx); status != 3 {
		t.Errorf("without the storage: status %d", status)
	}
	contains(t, text(t, s.out.Name()), "blob store unavailable: bucket snapshots at "+o.Endpoint)
	if err := storage.Start(ctx); err != nil {
		t.Fatal(err)
	}
	s.again(ctx, counts)
}

// relay passes connections on and counts what is sent.
type relay struct {
	listener net.Listener
	target   string

	mu     sync.Mutex
	sent   int64
	mark   int64
	passed chan struct{}
}

func newRelay(t *testing.T, target string) *relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{listener: l, target: target}
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() { r.pass(c) })
		}
	})
	t.Cleanup(func() { _ = l.Close(); conns.Wait() })
	return r
}

func (r *relay) addr() string { return r.listener.Addr().String() }

// at returns a channel that is closed when so many more bytes were sent.
func (r *relay) at(bytes int64) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mark, r.passed = r.sent+bytes, make(chan struct{})
	return r.passed
}

func (r *relay) pass(c net.Conn) {
	defer func() { _ = c.Close() }()
	to, err := net.Dial("tcp", r.target)
	if err != nil {
		return
	}
	defer func() { _ = to.Close() }()
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(c, to)
		_ = c.Close()
	})
	_, _ = io.Copy(to, io.TeeReader(c, r))
	_ = to.Close()
	back.Wait()
}

// Write counts.
func (r *relay) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sent += int64(len(b))
	if r.passed != nil && r.sent >= r.mark {
		close(r.passed)
		r.passed = nil
	}
	return len(b), nil
}
