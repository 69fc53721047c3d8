package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestUsage: a wrong command line or configuration is refused with exit status 2
// and all that is wrong with it.
func TestUsage(t *testing.T) {
	t.Parallel()
	bad := write(t, "bad.yaml", "window:\n  size: 7m\n  sice: 1m\nwatermark:\n  delay: 30\ndedupe:\n  horizon: 1m\nlog: {level: loud}\n")
	faults := []string{"window.size", "window.sice", "watermark.delay", "log.level", bad}
	for _, test := range []struct {
		args []string
		says []string
	}{
		{[]string{"count"}, []string{`"count"`, "--help"}},
		{[]string{"--nope"}, []string{"--nope", "clickagg --help"}},
		{[]string{"run", "--nope"}, []string{"--nope", "clickagg run --help"}},
		{[]string{"run", "--config", bad}, faults},
		{[]string{"config", "check", "--config", bad}, faults},
		{[]string{"config", "print", "--config", bad}, faults},
		{[]string{"status", "--config", bad}, faults},
		{[]string{"config", "check", "--config", "/no/such.yaml"}, []string{"/no/such.yaml"}},
		{[]string{"config", "check", "--dedupe.horizon", "1m"}, []string{"dedupe.horizon", "window.allowed_lateness", "6m15s"}},
		{[]string{"config", "check", "--api.listen", "0.0.0.0:8080", "--window.size", "1"}, []string{"api.listen", "window.size"}},
		{[]string{"query", "count"}, []string{"name an ad"}},
		{[]string{"query", "top", "-n", "many"}, []string{"-n"}},
		{[]string{"query", "top", "-o", "xml"}, []string{"xml", "table", "json", "csv"}},
		{[]string{"archive", "restore", "--from", "-1h", "--to", "-2h"}, []string{"--from -1h is not before --to -2h"}},
		{[]string{"archive", "restore", "--data-dir", "/no/such"}, []string{"there is none at /no/such;"}},
		{[]string{"archive", "verify", "--archive.url", "/no/such"}, []string{"there is none at /no/such;"}},
		{[]string{"deadletters", "list", "--reason", "malformd"}, []string{`no reason "malformd"`, "malformed, missing_field"}},
		{[]string{"deadletters", "drop", "--from", "-1h", "--to", "-2h", "--why", "x"}, []string{"--from is not before --to"}},
		{[]string{"produce", "--file", "-", "--topic", "clickagg.results"}, []string{"--topic clickagg.results", "clickagg's own"}},
		{[]string{"generate", "--topic", "clickagg.late"}, []string{"clickagg's own"}},
		{[]string{"reconcile", "--limit", "-1"}, []string{"--limit -1"}},
		{[]string{"replay", "--ad", "", "--yes"}, []string{"--ad is empty"}},
		{[]string{"replay", "--yes", "-o", "csv"}, []string{"--dry-run"}},
		{[]string{"replay", "--as-stored"}, []string{"--as-stored goes with --resume"}},
		{[]string{"demo", "--exit"}, []string{"--events"}},
		{[]string{"generate", "--events", "-1", "--file", "-"}, []string{"events"}},
	} {
		stdout, stderr, status := run(t, test.args...)
		if status != 2 || stdout != "" {
			t.Errorf("%v: status %d, printed %q", test.args, status, stdout)
		}
		contains(t, stderr, test.says...)
	}
}

// TestNoBroker: a command that needs the log says that nobody answers, and does not wait for ever.
func TestNoBroker(t *testing.T) {
	t.Parallel()
	stdout, stderr, status := run(t, "deadletters", "list", "--embedded.listen", freeAddr(t))
	if status != 3 || stdout != "" {
		t.Errorf("status %d, printed %q", status, stdout)
	}
	contains(t, stderr, "connection refused", "is 'clickagg run' running there?")
}

// TestConfig: flags win over the environment, and that over the file; what print
// shows can be read back.
func TestConfig(t *testing.T) {
	t.Parallel()
	file := write(t, "clickagg.yaml", "window: {size: 5m}\nlog: {level: warn, format: json}\ndata_dir: from-the-file\n")
	c := exec.CommandContext(limited(t), binary, "config", "print", "--config", file, "--log.level", "debug")
	c.Env = append(os.Environ(), "CLICKAGG_LOG_LEVEL=error", "CLICKAGG_WINDOW_SIZE=30s")
	out, err := c.Output()
	if err != nil {
		t.Fatal(err)
	}
	contains(t, string(out), "data_dir: from-the-file", "level: debug", "size: 30s", "format: json")
	printed := write(t, "printed.yaml", string(out))
	again, stderr, status := run(t, "config", "print", "--config", printed)
	if status != 0 || again != string(out) {
		t.Errorf("status %d, %s\n%s", status, stderr, again)
	}
	if stdout, stderr, status := run(t, "config", "check", "--config", printed); status != 0 || !strings.Contains(stdout, "ok") {
		t.Errorf("status %d: %s%s", status, stdout, stderr)
	}
	reference, _, status := run(t, "config", "reference")
	if status != 0 {
		t.Errorf("reference: status %d", status)
	}
	section := ""
	for line := range strings.Lines(string(out)) { // every key is explained
		key, _, ok := strings.Cut(strings.TrimSpace(line), ":")
		if !ok || strings.HasPrefix(key, "#") || strings.HasPrefix(line, "    ") {
			continue
		}
		if !strings.HasPrefix(line, " ") {
			section = key
			contains(t, reference, section)
			continue
		}
		contains(t, reference, section+"."+key)
	}
}

// TestExamples runs the examples of every command's help as they are printed,
// against a running installation.
func TestExamples(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	s := running(ctx, t)
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "clickagg-data"), 0o700); err != nil { // as where an installation ran
		t.Fatal(err)
	}
	files := map[string]string{
		"clicks.csv":    "event_id,item_id,timestamp\n1,a,2019-11-24T00:00:00Z\n",
		"today.jsonl":   fmt.Sprintf(`{"event_id":"1","ad_id":"a","ts":%d}`+"\n", time.Now().UnixMilli()),
		"clickagg.yaml": "window: {size: 1m}\nfilters: [{id: de, name: Germany, where: country == \"DE\"}]\n",
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	real, err := filepath.Abs(binary)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(real, filepath.Join(dir, "clickagg")); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{"clicks.jsonl", "clicks.jsonl.gz"} {
		if _, stderr, status := run(t, "generate", "--events", "1000", "--garbage", "0", "--file", filepath.Join(dir, f)); status != 0 {
			t.Fatalf("generate: %s", stderr)
		}
	}
	ran := 0
	try := func(line string) {
		ran++
		line, _, _ = strings.Cut(line, " | ")
		c := exec.CommandContext(ctx, "sh", "-c", line)
		c.Dir = dir
		c.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "CLICKAGG_API_LISTEN="+s.api, "CLICKAGG_EMBEDDED_LISTEN="+s.broker)
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", line, err, out)
		}
	}
	var recent []string
	for _, line := range examples(t) {
		if regexp.MustCompile(`clickagg (run|demo|map|aggregate|reduce)\b|--live|--watch`).MatchString(line) {
			continue // they do not end, or TestDemo runs them
		}
		if regexp.MustCompile(`clickagg (topics|sources|schema (check|apply)|query lineage|deadletters show|archive run|replay --resume)\b|--source raw`).MatchString(line) {
			continue // they need a cluster, or what is not there; tests of their own run them
		}
		if regexp.MustCompile(`clickagg (audit|reconcile) --last\b`).MatchString(line) {
			recent = append(recent, line)
			continue
		}
		try(line)
	}
	// What is about the last hours needs minutes of these that are complete.
	s.load(filepath.Join(dir, "today.jsonl"))
	s.eventually(ctx, "a minute of today is complete", func() error {
		if _, stderr, status := s.command("audit", "--last", "24h"); status != 0 {
			return errors.New(stderr)
		}
		return nil
	})
	for _, line := range recent {
		try(line)
	}
	if len(recent) < 2 {
		t.Errorf("only %d examples of today: %q", len(recent), recent)
	}
	if ran < 10 {
		t.Errorf("only %d examples", ran)
	}
}

// examples lists the lines of every command's Examples.
func examples(t *testing.T) (lines []string) {
	t.Helper()
	seen := map[string]bool{}
	var visit func(command ...string)
	visit = func(command ...string) {
		help, _, status := run(t, append(command, "--help")...)
		if status != 0 {
			t.Fatalf("%v --help: status %d", command, status)
		}
		part := ""
		var commands []string
		for line := range strings.Lines(help) {
			line = strings.TrimRight(line, "\n")
			switch {
			case !strings.HasPrefix(line, " "):
				part = line
			case part == "Examples:" && !seen[line]:
				seen[line] = true
				lines = append(lines, strings.TrimSpace(line))
			case part == "Available Commands:":
				if name := strings.Fields(line)[0]; name != "help" && name != "completion" {
					commands = append(commands, name)
				}
			}
		}
		if len(commands) == 0 && !strings.Contains(help, "Examples:") {
			t.Errorf("%v has no examples", command)
		}
		for _, c := range commands {
			visit(append(append([]string{}, command...), c)...)
		}
	}
	visit()
	return lines
}

// TestAway: a command that finds no installation says where it looked.
func TestAway(t *testing.T) {
	t.Parallel()
	at := "http://" + freeAddr(t)
	for _, args := range [][]string{{"status"}, {"query", "top"}, {"query", "count", "a"}, {"export", "counts"}} {
		stdout, stderr, status := run(t, append(args, "--api.url", at)...)
		if status != 3 || stdout != "" {
			t.Errorf("%v: status %d, printed %q", args, status, stdout)
		}
		contains(t, stderr, at, "clickagg run")
	}
}
