package s3

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/clickagg/clickagg/internal/blob"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a storage that answers as a test wants. A listing, which Open asks for, is
// empty unless the test answers it.
func fake(t *testing.T, answer func(w http.ResponseWriter, r *http.Request) bool) Options {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !answer(w, r) {
			fmt.Fprint(w, `<ListBucketResult><Name>b</Name></ListBucketResult>`)
		}
	}))
	t.Cleanup(s.Close)
	return Options{Endpoint: s.URL, Region: "here", Bucket: "bucket", Prefix: "p", AccessKey: "key", SecretKey: "secret", Section: "snapshots"}
}

func opened(t *testing.T, o Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestAnswersHaveACure(t *testing.T) {
	t.Parallel()
	for code, c := range map[string]struct {
		status int
		cure   string
	}{
		"NoSuchBucket":                 {404, "make the bucket, or name another one in snapshots.url"},
		"AccessDenied":                 {403, "s3:ListBucket on bucket, and s3:GetObject, s3:PutObject and s3:DeleteObject on bucket/p/*"},
		"InvalidAccessKeyId":           {403, "snapshots.s3.access_key"},
		"SignatureDoesNotMatch":        {403, "snapshots.s3.secret_key"},
		"RequestTimeTooSkewed":         {403, "put them right (NTP)"},
		"AuthorizationHeaderMalformed": {400, "the bucket is in region there: set snapshots.s3.region"},
		"PermanentRedirect":            {301, "the bucket is in region there: set snapshots.s3.region"},
		"MethodNotAllowed":             {405, "MethodNotAllowed: said"},
	} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			o := fake(t, func(w http.ResponseWriter, _ *http.Request) bool {
				w.Header().Set("x-amz-bucket-region", "there")
				w.WriteHeader(c.status)
				fmt.Fprintf(w, `<Error><Code>%s</Code><Message>said</Message></Error>`, code)
				return true
			})
			_, err := Open(t.Context(), o)
			if !errors.Is(err, blob.ErrUnavailable) {
				t.Fatalf("%v", err)
			}
			for _, words := range []string{"open blobs: ", "bucket bucket at " + o.Endpoint, code + ": said", c.cure} {
				if !strings.Contains(err.Error(), words) {
					t.Errorf("%q is not in %q", words, err)
				}
			}
			if strings.Contains(err.Error(), "secret\"") {
				t.Errorf("the key is in %q", err)
			}
		})
	}
}

func TestPutIsOneCheckedRequest(t *testing.T) {
	t.Parallel()
	var asked []string
	o := fake(t, func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPut {
			return false
		}
		_, _ = io.Copy(io.Discard, r.Body)
		asked = append(asked, r.URL.Path, r.Header.Get("x-amz-checksum-crc32c"), r.Header.Get("x-amz-decoded-content-length"))
		return true
	})
	s := opened(t, o)
	s.most = 20 << 20
	// More than the client would put in one part by itself.
	if err := s.Put(t.Context(), "a/b", make([]byte, s.most)); err != nil {
		t.Fatal(err)
	}
	if err := s.Put(t.Context(), "a/b", make([]byte, s.most+1)); err == nil || !strings.Contains(err.Error(), "over the limit of 20971520") {
		t.Errorf("%v", err)
	}
	if err := s.Put(t.Context(), "c", []byte("123456789")); err != nil {
		t.Fatal(err)
	}
	want := "/bucket/p/a/b! " + checksum(make([]byte, s.most)) + " 20971520 /bucket/p/c! 4waSgw== 9"
	if got := strings.Join(asked, " "); got != want {
		t.Errorf("asked: %s\nwanted: %s", got, want)
	}
}

func TestGetChecksWhatItReads(t *testing.T) {
	t.Parallel()
	const body = "123456789"
	for name, c := range map[string]struct {
		answer func(w http.ResponseWriter, try int)
		words  string // of the error; none means the body is got
		tries  int
	}{
		"whole": {func(w http.ResponseWriter, _ int) { fmt.Fprint(w, body) }, "", 1},
		"without a checksum": {func(w http.ResponseWriter, _ int) {
			w.Header().Del("x-amz-checksum-crc32c")
			fmt.Fprint(w, body)
		}, "", 1},
		"broken once": {func(w http.ResponseWriter, try int) {
			w.Header().Set("Content-Length", "9")
			fmt.Fprint(w, body[:min(4*try, 9)]) // the server closes the connection when bytes are missing
		}, "", 3},
		"damaged":  {func(w http.ResponseWriter, _ int) { fmt.Fprint(w, "123456780") }, "checksum mismatch", reads},
		"too long": {func(w http.ResponseWriter, _ int) { fmt.Fprint(w, strings.Repeat("x", 101)) }, "101 bytes are over the limit of 100", 1},
		"refused": {func(w http.ResponseWriter, _ int) {
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, `<Error><Code>AccessDenied</Code></Error>`)
		}, "s3:GetObject", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tries := 0
			s := opened(t, fake(t, func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Query().Has("list-type") {
					return false
				}
				tries++
				w.Header().Set("Last-Modified", "Wed, 25 Nov 2026 10:00:00 GMT")
				w.Header().Set("x-amz-checksum-crc32c", "4waSgw==")
				w.Header().Set("x-amz-checksum-type", "FULL_OBJECT")
				c.answer(w, tries)
				return true
			}))
			s.most = 100
			got, err := s.Get(t.Context(), "a")
			if c.words == "" && (err != nil || string(got) != body) {
				t.Errorf("%q, %v", got, err)
			}
			if c.words != "" && (err == nil || !strings.Contains(err.Error(), c.words)) {
				t.Errorf("%q, %v; want %q", got, err, c.words)
			}
			if tries != c.tries {
				t.Errorf("asked %d times, want %d", tries, c.tries)
			}
		})
	}
}

func TestGetRangeChecksWhatItReads(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		length string
		body   string
		words  string
		tries  int
	}{
		"whole":  {"4", "3456", "", 1},
		"broken": {"4", "34", errBroken.Error(), reads},
		"short":  {"2", "34", errShort.Error(), 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tries := 0
			s := opened(t, fake(t, func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Query().Has("list-type") {
					return false
				}
				tries++
				if got := r.Header.Get("Range"); got != "bytes=3-6" {
					t.Errorf("asked for %s", got)
				}
				w.Header().Set("Last-Modified", "Wed, 25 Nov 2026 10:00:00 GMT")
				w.Header().Set("Content-Length", c.length)
				w.WriteHeader(http.StatusPartialContent)
				fmt.Fprint(w, c.body)
				return true
			}))
			p := make([]byte, 4)
			err := s.GetRange(t.Context(), "a", 3, p)
			if c.words == "" && (err != nil || string(p) != c.body) {
				t.Errorf("%q, %v", p, err)
			}
			if c.words != "" && (err == nil || !strings.Contains(err.Error(), c.words)) {
				t.Errorf("%q, %v; want %q", p, err, c.words)
			}
			if tries != c.tries {
				t.Errorf("asked %d times, want %d", tries, c.tries)
			}
		})
	}
}

func TestListPassesOverStrangers(t *testing.T) {
	t.Parallel()
	s := opened(t, fake(t, func(w http.ResponseWriter, _ *http.Request) bool {
		fmt.Fprint(w, `<ListBucketResult>`)
		for _, key := range []string{"p/b/2!", "p/b/1!", "p/b/", "p/notes.txt", "p/b//3!", "p/b/1!/x!", "q!"} {
			fmt.Fprintf(w, `<Contents><Key>%s</Key></Contents>`, key)
		}
		fmt.Fprint(w, `</ListBucketResult>`)
		return true
	}))
	if names, err := s.List(t.Context(), "b/"); err != nil || strings.Join(names, " ") != "b/1 b/2" {
		t.Errorf("%q, %v", names, err)
	}
}

// Keys of a container's or a machine's role are asked for; when there are none, no
// request is sent without a name.
func TestKeysOfARole(t *testing.T) {
	roles := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{
			"Code": "Success", "AccessKeyId": "role-key", "SecretAccessKey": "role-secret", "Token": "role-token", "Expiration": time.Now().Add(time.Hour),
		})
	}))
	t.Cleanup(roles.Close)
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", roles.URL)
	var names []string
	o := fake(t, func(_ http.ResponseWriter, r *http.Request) bool {
		names = append(names, r.Header.Get("Authorization")+r.Header.Get("x-amz-security-token"))
		return false
	})
	o.AccessKey, o.SecretKey = "", ""
	opened(t, o)
	if len(names) != 1 || !strings.Contains(names[0], "Credential=role-key/") || !strings.HasSuffix(names[0], "role-token") {
		t.Errorf("asked as %q", names)
	}

	roles.Close()
	_, err := Open(t.Context(), o)
	if err == nil || !strings.Contains(err.Error(), "there are no keys: set snapshots.s3.access_key") {
		t.Errorf("%v", err)
	}
	if len(names) != 1 {
		t.Errorf("asked without keys: %q", names)
	}

	t.Setenv("AWS_ACCESS_KEY_ID", "env-key")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "env-secret")
	opened(t, o)
	if len(names) != 2 || !strings.Contains(names[1], "Credential=env-key/") {
		t.Errorf("asked as %q", names)
	}
}

func TestSilentConnectionsEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer far.Close()
		c := &talking{near}
		defer c.Close()
		begin := time.Now()
		// The other side takes a byte every 50 seconds, four times.
		go func() {
			for range 4 {
				time.Sleep(silence - 10*time.Second)
				_, _ = far.Read(make([]byte, 1))
			}
		}()
		read := make(chan error, 1)
		go func() { _, err := c.Read(make([]byte, 1)); read <- err }()
		var err error
		for range 5 {
			if _, err = c.Write([]byte("x")); err != nil {
				break
			}
		}
		var late net.Error
		for _, err := range []error{err, <-read} {
			if !errors.As(err, &late) || !late.Timeout() {
				t.Errorf("%v", err)
			}
		}
		if took := time.Since(begin); took != 4*(silence-10*time.Second)+silence {
			t.Errorf("it took %v", took)
		}
	})
}

func TestRefusesWithoutAsking(t *testing.T) {
	t.Parallel()
	for _, endpoint := range []string{"example.com", "ftp://example.com", "https://", "https://example.com/path", "://"} {
		if _, err := Open(t.Context(), Options{Endpoint: endpoint, Section: "snapshots"}); err == nil || !strings.Contains(err.Error(), "snapshots.s3.endpoint") {
			t.Errorf("%s: %v", endpoint, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	o := fake(t, func(http.ResponseWriter, *http.Request) bool { return false })
	if _, err := Open(ctx, o); !errors.Is(err, context.Canceled) || errors.Is(err, blob.ErrUnavailable) {
		t.Errorf("%v", err)
	}
}
