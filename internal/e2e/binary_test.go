package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/clickagg/clickagg/internal/api/client"
	"github.com/clickagg/clickagg/internal/servers"
	"github.com/clickagg/clickagg/internal/stream/kafka"
)

// binary is the clickagg under test: E2E_BINARY, or one built for this run.
var binary string

func TestMain(m *testing.M) {
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	binary = os.Getenv("E2E_BINARY")
	if binary == "" {
		dir, err := os.MkdirTemp("", "clickagg-e2e-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer func() { _ = os.RemoveAll(dir) }()
		binary = filepath.Join(dir, "clickagg")
		if out, err := exec.Command("go", "build", "-o", binary, "../../cmd/clickagg").CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
			return 1
		}
	}
	code := m.Run()
	closeServers()
	if err := closeBrowser(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// server is one installation: its data directory and addresses stay the same,
// however often its process is killed and started.
type server struct {
	t           *testing.T
	dir         string
	broker, api string
	client      *client.Client
	cmd         *exec.Cmd
	out         *os.File
	ended       chan error
	args        []string
}

func newServer(t *testing.T, args ...string) *server {
	t.Helper()
	s := &server{t: t, dir: t.TempDir(), broker: freeAddr(t), api: freeAddr(t), args: args}
	var err error
	if s.client, err = client.New("http://" + s.api); err != nil {
		t.Fatal(err)
	}
	if s.out, err = os.Create(filepath.Join(s.dir, "log")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.kill()
		s.client.Close()
		_ = s.out.Close()
		if t.Failed() {
			b, _ := os.ReadFile(s.out.Name())
			t.Logf("last lines of the server's log:\n%s", b[max(0, len(b)-6000):])
		}
	})
	return s
}

func freeAddr(t testing.TB) string {
	t.Helper()
	port, err := servers.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}

// data is the installation's data directory.
func (s *server) data() string { return filepath.Join(s.dir, "data") }

// start starts the process, and does not wait for it to be ready.
func (s *server) start() {
	s.t.Helper()
	s.cmd = exec.Command(binary, append([]string{"run", "--role=all", "--data-dir", s.data(),
		"--embedded.listen", s.broker, "--api.listen", s.api}, s.args...)...)
	s.cmd.Stdout, s.cmd.Stderr = s.out, s.out
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.ended = make(chan error, 1)
	go func(c *exec.Cmd, ended chan<- error) { ended <- c.Wait() }(s.cmd, s.ended)
}

// ready waits until every role does its work.
func (s *server) ready(ctx context.Context) {
	s.t.Helper()
	s.eventually(ctx, "ready", func() error {
		select {
		case err := <-s.ended:
			s.cmd = nil
			s.t.Fatalf("the process ended before it was ready: %v", err)
		default:
		}
		r, err := s.client.Ready(ctx)
		if err == nil && !r.Ready {
			err = fmt.Errorf("%+v", r.NotReady)
		}
		return err
	})
}

// kill ends the process by SIGKILL, if it runs.
func (s *server) kill() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill()
	<-s.ended
	s.cmd = nil
}

// stop ends the process by SIGTERM, within shutdown.timeout, and returns its exit
// status.
func (s *server) stop() int {
	s.t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Fatal(err)
	}
	return s.ends(s.t.Context())
}

// ends waits until the process has ended and returns its exit status.
func (s *server) ends(ctx context.Context) int {
	s.t.Helper()
	var err error
	select {
	case err = <-s.ended:
	case <-ctx.Done():
		s.t.Fatalf("the process does not end: %v", ctx.Err())
	}
	s.cmd = nil
	var e *exec.ExitError
	if errors.As(err, &e) {
		return e.ExitCode()
	}
	return 0
}

// eventually tries until f returns nil or ctx ends.
func (s *server) eventually(ctx context.Context, what string, f func() error) {
	s.t.Helper()
	eventually(ctx, s.t, what, f)
}

// eventually tries until f returns nil or ctx ends.
func eventually(ctx context.Context, t testing.TB, what string, f func() error) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := f()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: %v (%v)", what, err, ctx.Err())
		case <-tick.C:
		}
	}
}

// dial opens the installation's broker; appends wait while it is away.
func (s *server) dial(ctx context.Context) *kafka.Log {
	s.t.Helper()
	log, err := kafka.Open(ctx, kafka.Config{Brokers: []string{s.broker}, ClientID: "e2e"}, zap.NewNop())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = log.Close() })
	return log
}

// completeUntil waits until everything before a time is final.
func (s *server) completeUntil(ctx context.Context, ms int64) {
	s.t.Helper()
	s.eventually(ctx, "complete", func() error {
		st, err := s.client.Status(ctx)
		if err == nil && (st.CompleteUntil == nil || st.CompleteUntil.UnixMilli() < ms) {
			err = fmt.Errorf("complete until %v, held back by %s", st.CompleteUntil, st.HoldsBack)
		}
		return err
	})
}

// command runs a clickagg command against the installation.
func (s *server) command(args ...string) (stdout, stderr string, status int) {
	s.t.Helper()
	return run(s.t, append(args, "--api.url", "http://"+s.api)...)
}

// run runs a clickagg command, for three minutes at most.
func run(t testing.TB, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	return runWith(t, "", args...)
}

// runWith is run with a text on standard input.
func runWith(t testing.TB, stdin string, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	return runUntil(ctx, t, stdin, args...)
}

// runUntil is runWith until ctx ends.
func runUntil(ctx context.Context, t testing.TB, stdin string, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	c := exec.CommandContext(ctx, binary, args...)
	c.Stdin = strings.NewReader(stdin)
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	err := c.Run()
	var e *exec.ExitError
	if err != nil && !errors.As(err, &e) {
		t.Fatal(err)
	}
	if e != nil {
		status = e.ExitCode()
	}
	return out.String(), errs.String(), status
}

func contains(t *testing.T, text string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("%q is not in:\n%s", w, text)
		}
	}
}
