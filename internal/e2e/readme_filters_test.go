package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The README's section on filters works word by word, beside the installation of the
// quick start, and prints what stands there.
func TestReadmeFilters(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## Filters\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var script, printed strings.Builder
	for _, block := range regexp.MustCompile("(?s)\n```(sh|json|)\n(.*?\n)```\n").FindAllStringSubmatch(section, -1) {
		to := &printed
		if block[1] == "sh" {
			to = &script
		}
		to.WriteString(block[2])
	}
	if strings.Count(script.String(), "bin/clickagg") < 3 || strings.Count(printed.String(), "\n") < 6 {
		t.Fatalf("the section has hardly a command or an answer:\n%s\n%s", &script, &printed)
	}

	s := running(ctx, t)
	s.load("testdata/obd/obd-all.jsonl.gz", "--finish", "--wait")
	dir := t.TempDir()
	whole, err := filepath.Abs(binary)
	if err == nil {
		err = os.Mkdir(filepath.Join(dir, "bin"), 0o700)
	}
	if err == nil {
		err = os.Symlink(whole, filepath.Join(dir, "bin/clickagg"))
	}
	if err != nil {
		t.Fatal(err)
	}
	// Only the addresses differ, which another test may have.
	c := exec.CommandContext(ctx, "bash", "-e", "-o", "pipefail", "-c", strings.ReplaceAll(script.String(), "127.0.0.1:8080", s.api))
	c.Dir = dir
	c.Env = append(os.Environ(), "CLICKAGG_API_LISTEN="+s.api, "CLICKAGG_EMBEDDED_LISTEN="+s.broker)
	var errs strings.Builder
	c.Stderr = &errs
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, out, &errs)
	}
	pattern := strings.ReplaceAll(regexp.QuoteMeta(printed.String()), "…", ".*")
	if !regexp.MustCompile("^" + pattern + "$").Match(out) {
		t.Errorf("printed:\n%s\nthe README says:\n%s", out, &printed)
	}
}
