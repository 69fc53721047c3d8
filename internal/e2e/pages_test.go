package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// block is a fenced part of a page: commands, with "sh" behind the fence, or what they print.
type block struct{ kind, text string }

var fenced = regexp.MustCompile("(?ms)^```(\\w*)\n(.*?\n)```$")

// blocks are the fenced parts of a page's section, of two or three #.
func blocks(page, section string) (all []block) {
	before, text, _ := strings.Cut(string(must(os.ReadFile(page))), "# "+section+"\n")
	next := "\n## "
	if strings.HasSuffix(before, "\n##") {
		next = "\n##" // whichever comes first
	}
	text, _, _ = strings.Cut(text, next)
	for _, m := range fenced.FindAllStringSubmatch(text, -1) {
		all = append(all, block{m[1], m[2]})
	}
	return all
}

// commands are the blocks of a page's section that a shell shall run.
func commands(page, section string) (scripts []string) {
	for _, b := range blocks(page, section) {
		if b.kind == "sh" {
			scripts = append(scripts, b.text)
		}
	}
	return scripts
}

// workshop is a directory in which commands of pages can run: where the program is built.
func workshop(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, target := range map[string]string{"bin/clickagg": binary, "clickagg": binary, "internal/e2e/testdata": "testdata"} {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(must(filepath.Abs(target)), name); err != nil {
			t.Fatal(err)
		}
	}
	// So that an answer that is a refusal fails.
	put(t, filepath.Join(dir, ".curlrc"), "fail-with-body\n")
	return dir
}

// shell is a script of a page, to be run in a workshop. It ends with all it started.
func shell(ctx context.Context, t *testing.T, dir, script string, env ...string) *exec.Cmd {
	t.Helper()
	c := exec.CommandContext(ctx, "bash", "-e", "-o", "pipefail", "-c", script)
	c.Dir = dir
	c.Env = append(os.Environ(), append(env, "CURL_HOME="+dir, "PATH="+dir+":"+os.Getenv("PATH"))...)
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
	t.Cleanup(func() {
		if c.Process != nil {
			_ = syscall.Kill(-c.Process.Pid, syscall.SIGKILL)
		}
	})
	return c
}

// follow runs what a page's section says, one block after the other, and compares what is printed
// with what the page says is: where that is JSON, on the standard output. Only the addresses differ, which another test may have. A block that
// starts the installation is passed over; a stream is left when it has said something.
func (s *server) follow(ctx context.Context, dir, page, section string) {
	s.t.Helper()
	all, ran := blocks(page, section), 0
	for i := range all {
		script := strings.ReplaceAll(all[i].text, "127.0.0.1:8080", s.api)
		if all[i].kind != "sh" || strings.HasPrefix(script, "bin/clickagg run ") {
			continue
		}
		printed := block{}
		if i+1 < len(all) && all[i+1].kind != "sh" {
			printed = all[i+1]
		}
		if strings.Contains(script, "/v1/stream?") {
			script = "curl() { command curl \"$@\" | head -n 6; } 2>errors\nset +o pipefail\n" + script
			printed.text = "…event: …data: {…"
		}
		ran++
		c := shell(ctx, s.t, dir, script, "CLICKAGG_API_LISTEN="+s.api, "CLICKAGG_EMBEDDED_LISTEN="+s.broker)
		output := c.CombinedOutput
		if printed.kind == "json" {
			output = c.Output
		}
		out, err := output()
		// A column is as wide as its longest number.
		pattern := regexp.MustCompile(` +`).ReplaceAllString(strings.ReplaceAll(regexp.QuoteMeta(printed.text), "…", "(?s:.*)"), " +")
		switch {
		case printed.text != "" && !regexp.MustCompile("^"+pattern+"$").Match(out):
			s.t.Fatalf("%s, %s:\n%s%v, printed:\n%s\nthe page says:\n%s", page, section, script, err, out, printed.text)
		case err != nil && !strings.Contains(printed.text, "clickagg: "): // which the page says it fails with
			s.t.Fatalf("%s, %s:\n%s%v\n%s", page, section, script, err, out)
		}
	}
	if ran == 0 {
		s.t.Fatalf("%s has no commands in %s", page, section)
	}
}

const (
	readme     = "../../README.md"
	operations = "../../docs/OPERATIONS.md"
)

// followed are the sections with commands for curl, each of which a test runs.
var followed = [][2]string{
	{readme, "The two questions over HTTP"},
	{readme, "Filters"},
	{"../../docs/FILTERS.md", "Questions without a filter"},
	{operations, "Who may ask the API"}, // TestManualAccess
}

// The README works word by word from the first click to filters, with what the pages ask by
// curl, and prints what stands there.
func TestReadme(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	s, dir := running(ctx, t), workshop(t)
	s.follow(ctx, dir, readme, "Count your own clicks")
	for _, f := range followed[:3] {
		s.follow(ctx, dir, f[0], f[1])
	}
}

// TestEveryCurlLineIsRun: a line for curl that stands elsewhere is one that nobody tries.
func TestEveryCurlLineIsRun(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range append(pages, readme) {
		written := regexp.MustCompile(`(?m)\bcurl -`).FindAllString(string(must(os.ReadFile(page))), -1)
		run := 0
		for _, f := range followed {
			if f[0] == page {
				run += strings.Count(strings.Join(commands(f[0], f[1]), ""), "curl -")
			}
		}
		if run != len(written) {
			t.Errorf("%s has %d lines for curl, of which tests run %d", page, len(written), run)
		}
	}
	if !slices.Contains(pages, operations) {
		t.Errorf("the pages are %q", pages)
	}
}
