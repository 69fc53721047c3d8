package servers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// process is one Java process in a process group of its own, which logs to a file.
// It can be started again when it has ended.
type process struct {
	dir  string   // its working directory; the log is in it
	java string   // the program
	args []string // of java

	cmd   *exec.Cmd
	ended chan struct{} // closed when cmd has ended
}

var errRuns = errors.New("it runs already")

func (p *process) log() string { return filepath.Join(p.dir, "server.log") }

// running tells whether the process was started and has not ended.
func (p *process) running() bool {
	if p.cmd == nil {
		return false
	}
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// PID is the number of the process, while it runs.
func (p *process) PID() int { return p.cmd.Process.Pid }

// start starts the process and does not wait for it to be ready.
func (p *process) start() error {
	if p.running() {
		return errRuns
	}
	log, err := os.OpenFile(p.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	cmd := exec.Command(p.java, p.args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = p.dir, log, log, ownGroup()
	started, ended := make(chan error), make(chan struct{})
	go func() {
		// A child may die with the thread that started it: this one stays.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
		_ = log.Close()
		close(ended)
	}()
	if err := <-started; err != nil {
		return err
	}
	p.cmd, p.ended = cmd, ended
	return nil
}

// signal sends a signal to the whole group. A process that has ended takes none.
func (p *process) signal(s syscall.Signal) {
	if p.running() {
		_ = syscall.Kill(-p.cmd.Process.Pid, s)
	}
}

// kill ends the process at once.
func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	p.wait()
}

// stopTime is how long an orderly stop may take.
const stopTime = time.Minute

// stop lets the process end in order, or kills it when that takes too long.
func (p *process) stop() error {
	if !p.running() {
		return nil
	}
	p.signal(syscall.SIGTERM)
	late := time.NewTimer(stopTime)
	defer late.Stop()
	select {
	case <-p.ended:
		return nil
	case <-late.C:
		p.kill()
		return fmt.Errorf("it did not stop in %v and was killed\n%s", stopTime, p.tail())
	}
}

func (p *process) wait() {
	if p.cmd != nil {
		<-p.ended
	}
}

// ready asks again and again until ask succeeds, the process ends, or ctx does.
func (p *process) ready(ctx context.Context, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		once, done := context.WithTimeout(ctx, 5*time.Second)
		err := ask(once)
		done()
		if err == nil {
			return nil
		}
		select {
		case <-p.ended:
			return fmt.Errorf("it ended before it was ready: %v\n%s", p.cmd.ProcessState, p.tail())
		case <-ctx.Done():
			return fmt.Errorf("it is not ready: %w (%w)\n%s", err, ctx.Err(), p.tail())
		case <-tick.C:
		}
	}
}

// tail is the end of the log.
func (p *process) tail() string {
	b, err := os.ReadFile(p.log())
	if err != nil {
		return err.Error()
	}
	return string(last(b))
}

// last is the end of a text, in whole lines.
func last(text []byte) []byte {
	const most = 4000
	if len(text) <= most {
		return text
	}
	text = text[len(text)-most:]
	for i, b := range text {
		if b == '\n' {
			return text[i+1:]
		}
	}
	return text
}
