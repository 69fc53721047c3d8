package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/clickagg/clickagg/internal/bench"
)

// stopTime is how long a process may take to end in order.
const stopTime = 20 * time.Second

// process is a running process of a contestant.
type process struct {
	role  string
	cmd   *exec.Cmd
	log   string // file with its output
	ended chan struct{}
	err   error // how it ended; read after ended
}

// start starts a process that ends with ctx. What it prints goes into a directory.
func start(ctx context.Context, dir string, n int, c command) (*process, error) {
	p := &process{role: c.role, log: filepath.Join(dir, fmt.Sprintf("output-%d.log", n)), ended: make(chan struct{})}
	out, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	p.cmd = exec.CommandContext(ctx, c.args[0], c.args[1:]...)
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = dir, out, out
	p.cmd.Cancel = func() error { return p.cmd.Process.Signal(syscall.SIGTERM) }
	p.cmd.WaitDelay = stopTime
	if err := p.cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", c.role, err), out.Close())
	}
	go func() {
		p.err = errors.Join(p.cmd.Wait(), out.Close())
		close(p.ended)
	}()
	return p, nil
}

// stop ends the process, in order if it can.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // one that has ended takes none
	select {
	case <-p.ended:
	case <-time.After(stopTime):
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
}

// tail is the end of what the process printed.
func (p *process) tail() string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("last lines of %s:\n%s", p.role, b[max(0, len(b)-2000):])
}

// part is what one process of a contestant used.
type part struct {
	Role       string  `json:"role"`
	CPUSeconds float64 `json:"cpu_seconds"`
	PeakMB     float64 `json:"peak_mb"`
}

// use reads what processes have used so far, each and together.
func use(all []*process) (parts []part, sum bench.Usage, err error) {
	for _, p := range all {
		u, err := bench.Of(p.cmd.Process.Pid)
		if err != nil {
			return nil, sum, fmt.Errorf("%s: %w", p.role, err)
		}
		parts = append(parts, part{p.role, u.CPU.Seconds(), megabytes(u.Peak)})
		sum = sum.Plus(u)
	}
	return parts, sum, nil
}

func megabytes(n int64) float64 { return float64(n) / (1 << 20) }
