package e2e

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestDemo: a checked stream agrees with its truth and leaves nothing behind.
func TestDemo(t *testing.T) {
	t.Parallel()
	tmp := t.TempDir()
	c := exec.CommandContext(limited(t), binary, "demo", "--events", "100000", "--seed", "3", "--exit")
	c.Env = append(os.Environ(), "TMPDIR="+tmp)
	out, err := c.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	contains(t, string(out), "every answer agrees with the truth", "100,000 events")
	left(t, tmp)
}

// TestDemoLive: the live stream prints plain lines where there is no terminal,
// and ends in order when it is interrupted: no process, no directory stays.
func TestDemoLive(t *testing.T) {
	t.Parallel()
	tmp := t.TempDir()
	c := exec.CommandContext(limited(t), binary, "demo", "--rate", "1000")
	c.Env = append(os.Environ(), "TMPDIR="+tmp)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	interrupted := false
	for lines := bufio.NewScanner(out); lines.Scan(); {
		text.WriteString(lines.Text() + "\n")
		if !interrupted && strings.Contains(lines.Text(), "; top 1. ad") {
			interrupted = true
			if err := c.Process.Signal(syscall.SIGINT); err != nil {
				t.Error(err)
			}
		}
	}
	var e *exec.ExitError
	if err := c.Wait(); err != nil && (!errors.As(err, &e) || e.ExitCode() != 130) {
		t.Errorf("%v\n%s", err, text.String())
	}
	if !interrupted || strings.ContainsAny(text.String(), "\x1b\r") {
		t.Errorf("it printed:\n%q", text.String())
	}
	left(t, tmp)
}

// left checks that neither a directory nor a process of a demo is left.
func left(t *testing.T, tmp string) {
	t.Helper()
	if files, err := os.ReadDir(tmp); err != nil || len(files) > 0 {
		t.Errorf("left behind: %v, %v", files, err)
	}
	commands, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range commands {
		if line, err := os.ReadFile(path); err == nil && strings.Contains(string(line), tmp) {
			t.Errorf("still running: %q", line)
		}
	}
}
