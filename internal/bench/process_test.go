package bench

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestProcess(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("sh", "-c", "echo $CLICKAGG_LOG_LEVEL; exec cat")
	cmd.Env = Environ(map[string]string{"log.level": "warn"})
	in, err := cmd.StdinPipe() // cat waits for it
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close() }()
	file := filepath.Join(t.TempDir(), "out.log")
	p, err := Start("talker", file, cmd)
	if err != nil {
		t.Fatal(err)
	}
	for !strings.Contains(p.Tail(), "warn") {
		select {
		case <-p.Ended():
			t.Fatal(p.Err(), p.Tail())
		default:
		}
	}
	if u, err := p.Usage(); err != nil || u.Peak == 0 {
		t.Errorf("it used %+v, %v", u, err)
	}
	if _, err := Start("another", file, exec.Command("true")); err == nil {
		t.Error("two processes print into one file")
	}
	p.Stop()
	if err := p.Err().Error(); err != "talker ended: signal: terminated" {
		t.Error(err)
	}
	p.Kill() // once more does no harm
	if text := Tails([]*Process{p, p}); strings.Count(text, "last lines of talker:\nwarn") != 2 {
		t.Errorf("%q", text)
	}
	if _, err := p.Usage(); err == nil {
		t.Error("a process that has ended uses something")
	}
}

func TestEnviron(t *testing.T) {
	t.Parallel()
	env := Environ(map[string]string{"aggregator.shards": "2"})
	if !slices.Contains(env, "CLICKAGG_AGGREGATOR_SHARDS=2") {
		t.Error(env)
	}
}
