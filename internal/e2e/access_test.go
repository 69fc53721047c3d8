package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/clickagg/clickagg/internal/api/client"
	"github.com/clickagg/clickagg/internal/secure"
	"github.com/clickagg/clickagg/internal/servers"
)

// TestOpenByMistake: without TLS and tokens nothing listens beyond this machine,
// unless that is said.
func TestOpenByMistake(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	_, port, _ := strings.Cut(freeAddr(t), ":")
	s := newServer(t, "--api.listen", "0.0.0.0:"+port)
	s.start()
	if status := s.ends(ctx); status != 2 {
		t.Errorf("ended with %d", status)
	}
	log, err := os.ReadFile(s.out.Name())
	if err != nil {
		t.Fatal(err)
	}
	contains(t, string(log), "api.listen", "clickagg token new", "--insecure")

	s.args = append(s.args, "--insecure")
	s.api = "127.0.0.1:" + port
	s.client = must(client.New("http://" + s.api))
	s.args[1] = "0.0.0.0:" + port
	s.start()
	s.ready(ctx)
	if status := s.stop(); status != 0 {
		t.Errorf("stopped with %d", status)
	}
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// TestTokensAndCertificates: tokens are given and withdrawn, and certificates renewed,
// while the process runs; the command line shows either.
func TestTokensAndCertificates(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	dir := t.TempDir()
	certs := must(servers.MakeCertificates(dir))
	tokens := filepath.Join(dir, "tokens.yaml")
	token, entry, status := run(t, "token", "new", "--name", "acme", "--ads", "ad-0")
	token = strings.TrimSpace(token)
	if status != 0 || strings.Contains(entry, token) || strings.Count(token, "\n") != 0 {
		t.Fatalf("made %q and %q, status %d", token, entry, status)
	}
	known := entry + "- {name: boss, subject: CN=client, scope: admin}\n"
	put(t, tokens, known)
	s := newServer(t, "--api.tls.cert-file", certs.ServerCert, "--api.tls.key-file", certs.ServerKey, "--api.tls.client-ca-file", certs.CA, "--api.tokens-file", tokens)
	boss, _, err := secure.ClientTLS(secure.Files{CA: certs.CA, Cert: certs.ClientCert, Key: certs.ClientKey}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	s.client = must(client.New("https://"+s.api)).As("", boss)
	s.start()
	s.ready(ctx)

	clicks, _ := minutes(0, 3, 10)
	asBoss := []string{"--api.url", "https://" + s.api, "--api.client.ca-file", certs.CA, "--api.client.cert-file", certs.ClientCert, "--api.client.key-file", certs.ClientKey}
	if _, stderr, status := run(t, append([]string{"produce", "--brokers", s.broker, "--file", write(t, "clicks.jsonl", clicks), "--finish", "--wait"}, asBoss...)...); status != 0 {
		t.Fatalf("produce: %d, %s", status, stderr)
	}
	span := []string{"--from", "2024-05-01T10:00:00Z", "--to", "2024-05-01T10:03:00Z"}
	asAcme := []string{"--api.url", "https://" + s.api, "--api.client.ca-file", certs.CA, "--api.client.token", "file:" + write(t, "token", token+"\n")}
	ask := func(as []string, question ...string) (said string, status int) {
		t.Helper()
		stdout, stderr, status := run(t, append(append(question, span...), as...)...)
		return stdout + stderr, status
	}
	for _, c := range []struct {
		as       []string
		question string
		status   int
		says     string
	}{
		{asBoss, "query count ad-1", 0, "ad-1  9 clicks"},
		{asBoss, "export counts", 0, "ad-1,2024-05-01T10:00:00Z,3"},
		{asAcme, "query count ad-0", 0, "ad-0  12 clicks"},
		{asAcme, "query count ad-1", 3, "acme may not see the ad \"ad-1\""},
		{asAcme, "query count never", 3, "acme may not see the ad \"never\""},
		{asAcme, "query top", 3, "acme may see some ads only"},
		{asAcme, "export counts", 3, "needs the scope admin"},
		{asAcme[:4], "query count ad-0", 3, "CLICKAGG_API_CLIENT_TOKEN"},
		{asAcme[:2], "query count ad-0", 3, "set ca_file"},
	} {
		if said, status := ask(c.as, strings.Fields(c.question)...); status != c.status || !strings.Contains(said, c.says) {
			t.Errorf("%s: status %d, %q; want %d, %q", c.question, status, said, c.status, c.says)
		}
	}

	s.withdraw(ctx, tokens, strings.TrimPrefix(known, entry), func() (string, int) { return ask(asAcme, "query", "count", "ad-0") })
	s.renew(ctx, certs)
}

// withdraw replaces the file of tokens while the process runs, first by one that cannot be
// read, which changes nothing, then by one that lacks the token it is asked with.
func (s *server) withdraw(ctx context.Context, tokens, without string, ask func() (said string, status int)) {
	t := s.t
	t.Helper()
	put(t, tokens, "- nonsense\n")
	s.eventually(ctx, "the log", func() error {
		log, err := os.ReadFile(s.out.Name())
		if err == nil && !strings.Contains(string(log), "api.tokens_file is not taken") {
			_, _ = ask()
			err = fmt.Errorf("nothing is said")
		}
		return err
	})
	if said, status := ask(); status != 0 {
		t.Errorf("beside a broken file: %d, %s", status, said)
	}
	put(t, tokens, without)
	s.eventually(ctx, "withdrawn", func() error {
		if said, status := ask(); status == 0 {
			return fmt.Errorf("still known: %s", said)
		}
		return nil
	})
}

// renew replaces the certificate while the process runs, and waits until it is shown.
func (s *server) renew(ctx context.Context, certs servers.Certificates) {
	t := s.t
	t.Helper()
	renewed := must(servers.MakeCertificates(t.TempDir()))
	for from, to := range map[string]string{renewed.ServerCert: certs.ServerCert, renewed.ServerKey: certs.ServerKey} {
		put(t, to, string(must(os.ReadFile(from))))
	}
	trust, _, err := secure.ClientTLS(secure.Files{CA: renewed.CA}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	fresh := must(client.New("https://"+s.api)).As("", trust)
	s.eventually(ctx, "renewed", func() error {
		_, err := fresh.Ready(ctx)
		return err
	})
	fresh.Close()
}

// The section of the manual about access works word by word, in an empty directory.
func TestManualAccess(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	blocks := commands(operations, "Who may ask the API")
	if len(blocks) != 3 {
		t.Fatalf("the section has %d blocks of commands", len(blocks))
	}
	dir := workshop(t)
	// Only the ports differ, which another test may have.
	_, port, _ := strings.Cut(freeAddr(t), ":")
	broker := "CLICKAGG_EMBEDDED_LISTEN=" + freeAddr(t)
	run := func(script string) *exec.Cmd {
		return shell(ctx, t, dir, strings.ReplaceAll(script, "8443", port), broker)
	}
	if out, err := run(blocks[0]).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	process := run("exec " + blocks[1])
	log := must(os.Create(filepath.Join(dir, "log")))
	process.Stdout, process.Stderr = log, log
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-process.Process.Pid, syscall.SIGTERM)
		_ = process.Wait()
		if t.Failed() {
			t.Logf("%s", must(os.ReadFile(log.Name())))
		}
		_ = log.Close()
	})
	trust, _, err := secure.ClientTLS(secure.Files{CA: filepath.Join(dir, "api.crt")}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	c := must(client.New("https://localhost:"+port)).As("", trust)
	defer c.Close()
	eventually(ctx, t, "ready", func() error {
		r, err := c.Ready(ctx)
		if err == nil && !r.Ready {
			err = fmt.Errorf("%+v", r.NotReady)
		}
		return err
	})
	out, err := run(blocks[2]).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	contains(t, string(out), `{"ad_ids":[],"ads":[]`, `{"ad_id":"shoes-42","count":0`, "shoes-42  0 clicks", "no clicks")
	refused, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://localhost:"+port+"/v1/status", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: trust, ForceAttemptHTTP2: true, DisableKeepAlives: true}
	r, err := transport.RoundTrip(refused)
	if err != nil || r.StatusCode != http.StatusUnauthorized || r.ProtoMajor != 2 || r.Header.Get("WWW-Authenticate") == "" {
		t.Errorf("without a token: %+v, %v", r, err)
	}
	if err == nil {
		_ = r.Body.Close()
	}
}
