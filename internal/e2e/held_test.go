package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/clickagg/clickagg/internal/api"
	"github.com/clickagg/clickagg/internal/api/client"
	"github.com/clickagg/clickagg/internal/gen"
	"github.com/clickagg/clickagg/internal/load"
	"github.com/clickagg/clickagg/storage/embedded"
)

// heldServer is a process with spoilt counts that was killed under the hold of the correction that a command asked for, and was started
// again.
func heldServer(ctx context.Context, t *testing.T, role string, command ...string) (*operator, *server, *gen.Truth) {
	t.Helper()
	s := newServer(t, role, "--correction.rows-per-second", "20") // slow enough to be killed in the midst
	s.start()
	s.ready(ctx)
	log := s.dial(ctx)
	report, truth, err := load.Generate(ctx, log, load.GenerateOptions{Gen: reconcileClicks(), Topic: "clicks", Finish: true, Batch: 2000})
	if err != nil {
		t.Fatal(err)
	}
	s.completeUntil(ctx, report.Watermark)
	s.stop()
	store, err := embedded.Open(filepath.Join(s.data(), "store"), embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	spoil(ctx, t, rand.New(rand.NewPCG(1, 1)), store)
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	s.start()
	s.ready(ctx)
	o := &operator{t: t, log: log, control: "clickagg.control", api: s.client, url: "http://" + s.api}
	c := o.begin(ctx, append(command, "--from", reconcileFrom, "--to", reconcileTo, "--yes")...)
	s.eventually(ctx, "a hold", func() error { return isHeld(ctx, s.client) })
	s.kill()
	if err := <-c.ended; err == nil {
		t.Error("a correction whose process was killed says that it is done")
	}
	s.start()
	s.ready(ctx)
	if err := isHeld(ctx, s.client); err != nil {
		t.Errorf("after the kill: %v", err)
	}
	return o, s, truth
}

// isHeld is nil while answers over the range are provisional.
func isHeld(ctx context.Context, c *client.Client) error {
	top, err := c.Top(ctx, 1, client.Range{From: reconcileFrom, To: reconcileTo})
	if err == nil && top.Status != api.Provisional {
		err = errors.New(top.Status)
	}
	return err
}

// TestEndAsStored: a replay was killed under its hold, and its clicks are gone. It cannot be finished, which is said, and can be ended
// as stored: answers are final again, and nobody claims that they are right.
func TestEndAsStored(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	o, s, _ := heldServer(ctx, t, "--role=all", "replay")
	log := s.dial(ctx)
	inputs, err := log.Topic(ctx, "clicks")
	if err != nil {
		t.Fatal(err)
	}
	for p := range inputs.Partitions {
		_, end, err := log.Bounds(ctx, "clicks", p)
		if err = errors.Join(err, log.DeleteRecords(ctx, "clicks", p, end)); err != nil {
			t.Fatal(err)
		}
	}
	again := []string{"replay", "--api.url", o.url, "--resume"}
	stdout, stderr, status := run(t, again...)
	if status == 0 || !strings.Contains(stderr, "are not kept any more") || !strings.Contains(stderr, "with --as-stored") {
		t.Errorf("resumed: status %d, %s%s", status, stdout, stderr)
	}
	if err := isHeld(ctx, s.client); err != nil || o.at(ctx) != underHold {
		t.Errorf("after it was resumed in vain: %v, %s", err, o.at(ctx))
	}
	stdout, stderr, status = run(t, append(again, "--as-stored")...)
	if status != 0 || !strings.Contains(stdout, "the replay of "+reconcileFrom+" to "+reconcileTo+" was ended with the counts as they are stored; ") {
		t.Errorf("ended: status %d, %s%s", status, stdout, stderr)
	}
	o.isFinal(ctx, reconcileFrom, reconcileTo)
	if at := o.at(ctx); at != noCorrection {
		t.Error(at)
	}
	if stdout, _, status := run(t, "audit", "--api.url", o.url, "--from", reconcileFrom, "--to", reconcileTo); status != 0 {
		t.Errorf("the audit after it: status %d, %s", status, stdout)
	}
	if stdout, _, status := run(t, "reconcile", "--api.url", o.url, "--from", reconcileFrom, "--to", reconcileTo); status != 1 || !strings.Contains(stdout, "✗") {
		t.Errorf("reconciled: status %d, %s", status, stdout)
	}
}

// TestRepairKilled kills a repair under its hold, the process that does it first, then the command that asked for it. What it was about
// is provisional until the command has finished it, and is then as before the damage.
func TestRepairKilled(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	o, s, truth := heldServer(ctx, t, "--role=all,raw", "reconcile", "--repair")
	before, _ := o.correcting(ctx)
	repair := []string{"reconcile", "--api.url", o.url, "--from", reconcileFrom, "--to", reconcileTo, "--repair", "--yes"}
	if stdout, stderr, status := run(t, repair...); status == 0 || !strings.Contains(stderr, "clickagg reconcile --resume") {
		t.Errorf("another repair: status %d, %s%s", status, stdout, stderr)
	}
	resumed := exec.CommandContext(ctx, binary, "reconcile", "--api.url", o.url, "--resume")
	if err := resumed.Start(); err != nil {
		t.Fatal(err)
	}
	s.eventually(ctx, "resumed", func() error {
		if now, busy := o.correcting(ctx); !busy || now.Owner == before.Owner {
			return fmt.Errorf("%+v", now)
		}
		return nil
	})
	_ = resumed.Process.Kill()
	_ = resumed.Wait()
	if at := o.at(ctx); at != underHold {
		t.Fatalf("killed %s, not %s", at, underHold)
	}
	o.runs(ctx, "reconcile", "--resume")
	o.isFinal(ctx, reconcileFrom, reconcileTo)
	s.isTruth(ctx, truth)
	if stdout, stderr, status := run(t, repair...); status != 0 || strings.Contains(stdout, "repaired: ") && !strings.Contains(stdout, "repaired: 0 counts") {
		t.Errorf("once more: status %d, %s%s", status, stdout, stderr)
	}
}
