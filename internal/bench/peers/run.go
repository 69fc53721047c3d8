package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/clickagg/clickagg/internal/bench"
	"github.com/clickagg/clickagg/internal/stream/kafka"
)

const (
	firstAnswer = 3 * time.Minute // how long a contestant may say nothing at first
	nextAnswer  = time.Minute     // and later
	linger      = 2 * time.Second // how long more is waited for that should not come
)

// run is one contestant's turn: what it is given.
type run struct {
	*race
	dir    string // its own
	prefix string // of the names of its topics, ending in a dot
	log    *kafka.Log
}

// figures are what was measured in a turn.
type figures struct {
	Contestant string  `json:"contestant"`
	Round      int     `json:"round"`
	Seconds    float64 `json:"seconds"` // from the start of its first process to the last answer
	Rate       float64 `json:"clicks_per_second"`
	CPU        float64 `json:"cpu_us_per_click"` // of its processes
	PeakMB     float64 `json:"peak_mb"`          // of its processes, added up
	Parts      []part  `json:"processes,omitempty"`

	// What a contestant that includes more than the others does not tell apart is 0.
	Includes     string  `json:"includes,omitempty"`
	FirstSeconds float64 `json:"first_answer_seconds"`    // to its first final answer
	Broker       float64 `json:"broker_cpu_us_per_click"` // beside it
	Reader       float64 `json:"reader_cpu_us_per_click"` // of this process, which compares
	Records      int64   `json:"answer_records"`          // that it wrote, provisional ones included
}

// turn lets a contestant count all clicks, and compares all its answers. Figures are
// returned only if they were right.
func (r *race) turn(ctx context.Context, c contestant, round int) (f figures, err error) {
	name := fmt.Sprintf("%s-%d", c.name, round)
	t := &run{race: r, dir: filepath.Join(r.home, name), prefix: name + "."}
	if err := os.MkdirAll(t.dir, 0o755); err != nil {
		return f, err
	}
	if c.name == demoName {
		return t.demo(ctx, round)
	}
	if t.log, err = kafka.Open(ctx, kafka.Config{Brokers: []string{r.broker}, ClientID: "bench"}, r.logger); err != nil {
		return f, err
	}
	defer func() { _ = t.log.Close() }()
	from, commands, err := c.setup(ctx, t)
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, r.kafka.DeleteTopics(ctx, t.prefix), os.RemoveAll(t.dir)) }()
	if f, err = t.measure(ctx, newWatch(t.log, from, r.truth), commands); err != nil {
		return f, err
	}
	f.Contestant, f.Round = c.name, round
	return f, nil
}

// measure runs the commands until everything is said.
func (r *run) measure(ctx context.Context, w *watch, commands []command) (f figures, err error) {
	ctx, cancel := context.WithCancel(ctx)
	go w.run(ctx)
	var all []*bench.Process
	defer func() {
		for _, p := range all {
			p.Stop()
		}
		cancel()
		if <-w.ended; err == nil {
			err = w.err
		}
	}()
	before, err := r.others()
	if err != nil {
		return f, err
	}
	began := time.Now()
	for i, c := range commands {
		cmd := exec.Command(c.args[0], c.args[1:]...)
		cmd.Dir = r.dir
		p, err := bench.Start(c.role, filepath.Join(r.dir, fmt.Sprintf("output-%d.log", i)), cmd)
		if err != nil {
			return f, err
		}
		all = append(all, p)
	}
	if err := r.wait(ctx, w, all, began); err != nil {
		return f, err
	}
	parts, used, err := use(all)
	after, err2 := r.others()
	if err := errors.Join(err, err2); err != nil {
		return f, err
	}
	select { // an answer too many may still come
	case <-ctx.Done():
		return f, ctx.Err()
	case <-time.After(linger):
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.check.verdict(); err != nil {
		return f, err
	}
	n := float64(r.n)
	perClick := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 / n }
	f = figures{
		Seconds: w.last.Sub(began).Seconds(), FirstSeconds: w.first.Sub(began).Seconds(), Rate: n / w.last.Sub(began).Seconds(),
		CPU: perClick(used.CPU), Broker: perClick(after.broker - before.broker), Reader: perClick(after.reader - before.reader),
		PeakMB: megabytes(used.Peak), Parts: parts, Records: w.records,
	}
	return f, nil
}

// others are who work beside a contestant on the same cores.
type others struct{ broker, reader time.Duration }

func (r *race) others() (others, error) {
	b, err := bench.Of(r.brokerPid)
	if err != nil {
		return others{}, err
	}
	self, err := bench.Of(os.Getpid())
	return others{b.CPU, self.CPU}, err
}

// wait waits until everything was said, and gives up when a process ends or
// nothing more comes.
func (r *run) wait(ctx context.Context, w *watch, all []*bench.Process, began time.Time) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	shown := began
	for {
		select {
		case <-w.done:
			return nil
		case <-w.ended:
			return cmp.Or(ctx.Err(), w.err)
		case now := <-tick.C:
			for _, p := range all {
				select {
				case <-p.Ended():
					return fmt.Errorf("before everything was said, %w\n%s", p.Err(), p.Tail())
				default:
				}
			}
			most := firstAnswer
			silent, ever := w.silence(began)
			if ever {
				most = nextAnswer
			}
			if silent > most {
				return fmt.Errorf("nothing was said for %v: %w\n%s", most, w.verdict(), all[0].Tail())
			}
			if now.Sub(shown) > 5*time.Second {
				shown = now
				said, of := w.progress()
				r.say("  %s of %s final counts", bench.Number(float64(said), 0), bench.Number(float64(of), 0))
			}
		}
	}
}
