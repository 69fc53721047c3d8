package e2e

import (
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"testing"
)

// A public fuzzer of APIs (schemathesis) reads the document that the server serves, asks
// what it describes and what it forbids, and holds every answer to it. Left out is one check: that what the document's schemas
// allow is accepted, since no schema says that a range begins before it ends.
func TestFuzzAPI(t *testing.T) {
	fuzzer := os.Getenv("E2E_FUZZER")
	if fuzzer == "" {
		const need = "needs E2E_FUZZER, the path of schemathesis, as make fuzz-api sets it"
		if os.Getenv("CI") != "" {
			t.Fatal(need)
		}
		t.Skip(need)
	}
	ctx := limited(t)
	s := running(ctx, t, "--api.rate", "0")
	if stderr, status := s.generate(5_000, 1); status != 0 {
		t.Fatalf("generate: %s", stderr)
	}
	c := exec.CommandContext(ctx, fuzzer, "run", "http://"+s.api+"/openapi.yaml", "--seed", "1", "--max-examples", "40", "--no-color",
		"--checks", "all", "--exclude-checks", "positive_data_acceptance", "--exclude-path", "/v1/stream", "--generation-database", "none")
	c.Dir = t.TempDir()
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	tested := regexp.MustCompile(`Tested: (\d+)`).FindSubmatch(out)
	if tested == nil {
		t.Fatalf("it does not say what it tested:\n%s", out)
	}
	if n, err := strconv.Atoi(string(tested[1])); err != nil || n < 13 {
		t.Errorf("only %s operations were tested:\n%s", tested[1], out)
	}
}
