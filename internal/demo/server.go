package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/clickagg/clickagg/internal/api/client"
)

// server is the real binary with all roles, on ports of its own.
type server struct {
	broker, api string // host:port
	cmd         *exec.Cmd
	log         *os.File
	ended       chan struct{} // closed when the process has ended
	err         error         // how; read after ended
	client      *client.Client
}

// freeAddr finds a loopback port nobody uses now.
func freeAddr(ctx context.Context) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String(), nil
}

// startServer starts the binary and returns when every role does its work.
func startServer(ctx context.Context, binary, dir string) (*server, error) {
	s := &server{ended: make(chan struct{})}
	var err error
	for _, addr := range []*string{&s.broker, &s.api} {
		if *addr, err = freeAddr(ctx); err != nil {
			return nil, err
		}
	}
	if s.client, err = client.New("http://" + s.api); err != nil {
		return nil, err
	}
	if s.log, err = os.Create(filepath.Join(dir, "clickagg.log")); err != nil {
		return nil, fmt.Errorf("log: %w", err)
	}
	s.cmd = exec.Command(binary, "run", "--role=all", "--data-dir", filepath.Join(dir, "data"),
		"--embedded.listen", s.broker, "--api.listen", s.api, "--log.level", "warn")
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	// A group of its own: Ctrl-C reaches the demo, which then ends the server in order.
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := s.cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", binary, err), s.log.Close())
	}
	go func() {
		s.err = s.cmd.Wait()
		close(s.ended)
	}()
	if err := s.awaitReady(ctx); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

func (s *server) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		if r, err := s.client.Ready(ctx); err == nil && r.Ready {
			return nil
		}
		select {
		case <-s.ended:
			return fmt.Errorf("the server ended: %w:\n%s", s.err, s.lastLines())
		case <-ctx.Done():
			return fmt.Errorf("the server does not get ready: %w:\n%s", ctx.Err(), s.lastLines())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// stop ends the server as SIGTERM does, and by force when that takes too long.
func (s *server) stop() error {
	defer func() { _ = s.log.Close() }()
	defer s.client.Close()
	select {
	case <-s.ended:
		return fmt.Errorf("the server ended by itself: %w:\n%s", s.err, s.lastLines())
	default:
	}
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.ended:
		if s.err != nil {
			return fmt.Errorf("the server did not end well: %w:\n%s", s.err, s.lastLines())
		}
		return nil
	case <-time.After(40 * time.Second):
		_ = s.cmd.Process.Kill()
		<-s.ended
		return fmt.Errorf("the server did not end in time:\n%s", s.lastLines())
	}
}

// memory is the server's greatest resident memory so far, in bytes; 0 where the
// system does not tell.
func (s *server) memory() int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		var kb int64
		if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &kb); err == nil {
			return kb << 10
		}
	}
	return 0
}

// cpu is the processor time the server has used so far; 0 where the system does not tell.
func (s *server) cpu() time.Duration {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	// The fields after the command's name, which may hold spaces and ends with ')'.
	f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(f) < 13 {
		return 0
	}
	var user, system int64
	if _, err := fmt.Sscan(f[11]+" "+f[12], &user, &system); err != nil {
		return 0
	}
	const tick = time.Second / 100 // USER_HZ, 100 on every Linux Go runs on
	return time.Duration(user+system) * tick
}

func (s *server) lastLines() string {
	b, err := os.ReadFile(s.log.Name())
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-4000):])
}
