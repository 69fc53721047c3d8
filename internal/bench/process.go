package bench

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/clickagg/clickagg/config"
)

// StopTime is how long a process may take to end in order.
const StopTime = 20 * time.Second

// Process is a program that is measured. What it prints goes into a file.
type Process struct {
	Name string

	cmd   *exec.Cmd
	out   *os.File
	ended chan struct{}
	err   error // how it ended
}

// Start starts a command. The file must not exist yet.
func Start(name, file string, cmd *exec.Cmd) (*Process, error) {
	out, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	p := &Process{Name: name, cmd: cmd, out: out, ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", name, err), out.Close())
	}
	go func() {
		p.err = errors.Join(cmd.Wait(), out.Close())
		close(p.ended)
	}()
	return p, nil
}

// Ended is closed when the process has ended.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Err says that the process ended, and how. It waits for the end.
func (p *Process) Err() error {
	<-p.ended
	how := "in order"
	if p.err != nil {
		how = p.err.Error()
	}
	return fmt.Errorf("%s ended: %s", p.Name, how)
}

// Usage is what the process has used so far.
func (p *Process) Usage() (Usage, error) {
	u, err := Of(p.cmd.Process.Pid)
	if err != nil {
		return u, fmt.Errorf("%s: %w", p.Name, err)
	}
	return u, nil
}

// Tail is the end of what the process printed.
func (p *Process) Tail() string {
	b, err := os.ReadFile(p.out.Name())
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("last lines of %s:\n%s", p.Name, b[max(0, len(b)-2000):])
}

// Tails is the end of what each of several processes printed.
func Tails(all []*Process) (text string) {
	for _, p := range all {
		text += p.Tail() + "\n"
	}
	return text
}

// Stop ends the process, in order if it can.
func (p *Process) Stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // one that has ended takes none
	select {
	case <-p.ended:
	case <-time.After(StopTime):
		p.Kill()
	}
}

// Kill ends the process at once.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // one that has ended needs none
	<-p.ended
}

// Environ is this process's environment and keys of clickagg's configuration.
func Environ(keys map[string]string) []string {
	env := os.Environ()
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		env = append(env, config.EnvPrefix+strings.ToUpper(strings.ReplaceAll(k, ".", "_"))+"="+keys[k])
	}
	return env
}

// FreeAddr finds a loopback address nobody listens on now.
func FreeAddr() (string, error) {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String(), nil
}
