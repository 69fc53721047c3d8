package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/clickagg/clickagg/internal/api"
	"github.com/clickagg/clickagg/internal/api/client"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/control"
	"github.com/clickagg/clickagg/internal/gen"
	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/storage"
)

// operator corrects counts that are closed for good, by replays and repairs in turns, while what works on it is killed at
// any moment, and finishes what broke off.
type operator struct {
	t       *testing.T
	chance  *rand.Rand
	log     stream.Log
	control string // topic
	api     *client.Client
	url     string                // of the API
	spoil   func(context.Context) // does harm to what is stored
	strike  func(context.Context) // kills what corrects and archives, and starts it again

	took   time.Duration  // by a correction that nobody killed
	caught map[string]int // how many were killed, by what they had come to
}

// How far a correction was when it was killed.
const (
	noCorrection = "begun or ended" // nothing of it is left to finish
	beforeHold   = "before its hold"
	underHold    = "under its hold"
)

// past is the range that is corrected, as arguments.
func past(args ...string) []string { return append(args, "--from", replayFrom, "--to", replayTo) }

// correct does harm, begins a correction, kills it, and finishes it. The first one, for
// its time, is left alone.
func (o *operator) correct(ctx context.Context, n int) {
	o.t.Helper()
	o.spoil(ctx)
	args := past("replay", "--yes")
	switch n % 4 {
	case 1, 3:
		args = past("reconcile", "--repair", "--yes")
	case 2:
		args = append(args, "--with-late")
	}
	if o.chance.IntN(2) == 0 {
		args = append(args, "--source", "raw")
	}
	began := time.Now()
	if n == 0 {
		o.runs(ctx, args...)
		o.took = time.Since(began)
		o.t.Logf("a replay takes %s", o.took.Round(time.Millisecond))
	} else {
		o.killed(ctx, n%3 > 0, args...)
		o.finish(ctx)
	}
	o.isFinal(ctx, replayFrom, replayTo)
}

// begun is a command that runs.
type begun struct {
	*exec.Cmd
	said  bytes.Buffer
	ended chan error
}

func (o *operator) begin(ctx context.Context, args ...string) *begun {
	o.t.Helper()
	c := &begun{Cmd: exec.CommandContext(ctx, binary, append(args, "--api.url", o.url)...), ended: make(chan error, 1)}
	c.Stdout, c.Stderr = &c.said, &c.said
	if err := c.Start(); err != nil {
		o.t.Fatal(err)
	}
	go func() { c.ended <- c.Wait() }()
	return c
}

// killed runs a command and kills it or, mostly, the processes that do what it asks for: at any moment, or at any under the hold.
func (o *operator) killed(ctx context.Context, held bool, args ...string) {
	o.t.Helper()
	c, most := o.begin(ctx, args...), o.took
	if held {
		most = time.Second
		eventually(ctx, o.t, "a hold", func() error {
			select {
			case err := <-c.ended:
				switch {
				case err == nil: // nobody was quick enough to see its hold
					o.spoil(ctx)
				case !passes(c.said.String()):
					o.t.Fatalf("%q ended before it was killed: %v\n%s", args, err, &c.said)
				}
				c = o.begin(ctx, args...)
			default:
			}
			if at := o.at(ctx); at != underHold {
				return fmt.Errorf("%q is %s", args, at)
			}
			return nil
		})
	}
	pause(ctx, o.t, time.Duration(o.chance.Int64N(int64(most))))
	alone := o.chance.IntN(3) == 0
	if alone {
		_ = c.Process.Kill()
	}
	if !alone || o.chance.IntN(2) == 0 {
		o.strike(ctx)
	}
	<-c.ended // it was killed, says that it broke off, or was done before
	at := o.at(ctx)
	o.caught[at]++
	o.t.Logf("%s killed %s", args[0], at)
}

// finish does what an operator does about a correction that broke off, and is killed at that as well.
func (o *operator) finish(ctx context.Context) {
	o.t.Helper()
	eventually(ctx, o.t, "finish", func() error {
		c, busy := o.correcting(ctx)
		if !busy {
			return nil
		}
		if o.chance.IntN(3) == 0 {
			o.killed(ctx, false, c.What, "--resume")
			return errors.New("killed again")
		}
		_, err := o.try(ctx, c.What, "--resume")
		return err
	})
}

// passing is what a correction may be refused for that passes by itself: who was asked before has not noticed yet that nobody listens any
// more, it has given up since, or records are still on their way into the raw store.
var passing = []string{"another question is being answered", "no correction was left unfinished", "not all records of the range are known", "what is read is behind the input topics"}

func passes(stderr string) bool {
	return slices.ContainsFunc(passing, func(text string) bool { return strings.Contains(stderr, text) })
}

// try runs a command, and fails the test when it fails for another reason than may pass.
func (o *operator) try(ctx context.Context, args ...string) (stdout string, err error) {
	o.t.Helper()
	stdout, stderr, status := runUntil(ctx, o.t, "", append(args, "--api.url", o.url)...)
	if status == 0 {
		return stdout, nil
	}
	if !passes(stderr) {
		o.t.Fatalf("%q: status %d, %s%s", args, status, stdout, stderr)
	}
	return "", errors.New(stderr)
}

// runs runs a command until it succeeds.
func (o *operator) runs(ctx context.Context, args ...string) (stdout string) {
	o.t.Helper()
	eventually(ctx, o.t, args[0], func() (err error) {
		stdout, err = o.try(ctx, args...)
		return err
	})
	return stdout
}

func (o *operator) correcting(ctx context.Context) (control.Correction, bool) {
	o.t.Helper()
	facts, err := control.Load(ctx, o.log, o.control)
	if err != nil {
		o.t.Fatal(err)
	}
	return facts.Correcting()
}

func (o *operator) at(ctx context.Context) string {
	o.t.Helper()
	switch c, busy := o.correcting(ctx); {
	case !busy:
		return noCorrection
	case c.Hold.Number == 0:
		return beforeHold
	}
	return underHold
}

// isFinal: nothing of a range is held.
func (o *operator) isFinal(ctx context.Context, from, to string) {
	o.t.Helper()
	top, err := o.api.Top(ctx, 10, client.Range{From: from, To: to})
	if err != nil || top.Status != api.Final || !top.Exact || len(top.Ads) != 10 {
		o.t.Fatalf("%+v, %v", top, err)
	}
}

// settle repairs all up to a time for the last time, and looks whether what is stored then is what its clicks come to.
func (o *operator) settle(ctx context.Context, end int64, truth *gen.Truth) {
	o.t.Helper()
	to, clicks := time.UnixMilli(end).UTC().Format(time.RFC3339), truth.Counts.Total()
	o.runs(ctx, "reconcile", "--repair", "--yes", "--from", replayFrom, "--to", to)
	for _, source := range []string{"raw", "kafka"} {
		var found api.Reconciliation
		text := o.runs(ctx, "reconcile", "--from", replayFrom, "--to", to, "--source", source, "-o", "json")
		if err := json.Unmarshal([]byte(text), &found); err != nil || !found.Clean || !found.Exact || found.Differences != 0 ||
			found.ToTime.UnixMilli() != end || found.Stored != clicks || found.Records != truth.Clicks {
			o.t.Errorf("%v, want %d clicks until %s, %d of them in time: %s", err, clicks, to, truth.Clicks, text)
		}
	}
	o.isFinal(ctx, replayFrom, to)
	if c, busy := o.correcting(ctx); busy {
		o.t.Errorf("%+v has not ended", c)
	}
	isProven(o.t, o.url, truth)
	o.t.Logf("corrections killed: %v", o.caught)
	if o.caught[underHold] == 0 {
		o.t.Error("none was killed under its hold")
	}
}

// spoil replaces a third of the counts of some minutes, and a ranked list.
func spoil(ctx context.Context, t *testing.T, chance *rand.Rand, s storage.Store) {
	t.Helper()
	var b storage.Batch
	minute := func() int64 { return atMinute(chance.Int64N(20)) }
	for _, start := range []int64{minute(), minute(), minute()} {
		err := s.Scan(ctx, click.FilterAll, start, start+60_000, func(c *storage.Cell) error {
			if chance.IntN(3) == 0 {
				n := chance.Int64N(c.Count + 3)
				b.Results = append(b.Results, instead(c, click.FilterAll, 60_000, n, c.Digest+uint64(n)))
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	start := minute()
	lists, err := s.Rankings(ctx, click.FilterAll, start, start+60_000, storage.WholeList)
	if err != nil || len(lists) != 1 || len(b.Results) == 0 {
		t.Fatalf("%v, %d lists, %d counts", err, len(lists), len(b.Results))
	}
	list := lists[0]
	list.Top = append([]click.Row{{Ad: []byte("nobody-clicked"), Count: list.Top[0].Count + 1}}, list.Top...)
	list.Version++
	b.Rankings = append(b.Rankings, list)
	if err := s.Apply(ctx, &b); err != nil {
		t.Fatal(err)
	}
}
