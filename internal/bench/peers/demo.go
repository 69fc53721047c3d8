package main

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/clickagg/clickagg/internal/bench"
)

// demoName is clickagg in one process with its own broker and its own store.
const demoName = "clickagg-embedded"

// summary is the line in which clickagg demo says how it went.
var summary = regexp.MustCompile(`final in (\S+): ([\d,]+)/s, ([\d.]+) µs of CPU each .*, at most ([\d,]+) MB`)

// demo runs clickagg demo, which makes its own stream, sends it to its own broker,
// counts into its own store and compares everything with the truth itself.
func (r *run) demo(ctx context.Context, round int) (f figures, err error) {
	c := exec.CommandContext(ctx, r.binary, "demo", "--events", strconv.FormatInt(r.n, 10), "--ads", strconv.Itoa(ads), "--exit")
	c.Dir = r.dir
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
	c.WaitDelay = bench.StopTime
	out, err := c.CombinedOutput()
	if err != nil {
		return f, fmt.Errorf("clickagg demo: %w\n%s", err, out)
	}
	f, err = readSummary(string(out))
	f.Contestant, f.Round = demoName, round
	return f, err
}

func readSummary(text string) (f figures, err error) {
	found := summary.FindStringSubmatch(text)
	if found == nil {
		return f, fmt.Errorf("clickagg demo did not say how fast it was:\n%s", text)
	}
	took, err := time.ParseDuration(found[1])
	f = figures{Seconds: took.Seconds(), Includes: "generator, broker and store"}
	for i, to := range []*float64{&f.Rate, &f.CPU, &f.PeakMB} {
		if err == nil {
			*to, err = strconv.ParseFloat(strings.ReplaceAll(found[i+2], ",", ""), 64)
		}
	}
	return f, err
}
