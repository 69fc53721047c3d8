package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/clickagg/clickagg/internal/api"
	"github.com/clickagg/clickagg/internal/bench"
)

const (
	outOfOrder = 2 * time.Second  // how far clicks of the load may be out of order
	warm       = 30 * time.Second // over watermark.delay and a window: by then all parts have work
	drainWait  = 60 * time.Second // for what was sent to be seen
	lateness   = time.Minute      // window.allowed_lateness, when old minutes are to be closed soon
)

type options struct {
	binary  string
	rate    float64
	seconds int
	real    bool
	output  string
	ads     int
	zipf    float64
	probes  float64
	window  time.Duration
	delay   time.Duration
	beside  bool
	keys    map[string]string
}

func main() {
	o := options{keys: map[string]string{}}
	flag.StringVar(&o.binary, "binary", "bin/clickagg", "clickagg to measure")
	flag.Float64Var(&o.rate, "rate", 50_000, "clicks a second")
	flag.IntVar(&o.seconds, "seconds", 60, "how long to measure, after a warm-up of 30 s")
	flag.BoolVar(&o.real, "kafka", false, "roles of their own on a real Kafka and Cassandra")
	flag.StringVar(&o.output, "o", "table", "table or json")
	flag.IntVar(&o.ads, "ads", 100_000, "distinct ads of the load")
	flag.Float64Var(&o.zipf, "zipf", 1.1, "exponent of the ads' popularity, 0 for all alike")
	flag.Float64Var(&o.probes, "probes", 20, "probes a second")
	flag.DurationVar(&o.window, "window", 10*time.Second, "window.size: short, so that many windows close")
	flag.DurationVar(&o.delay, "delay", 15*time.Second, "watermark.delay")
	flag.BoolVar(&o.beside, "beside", false, "measure again while an hour is replayed and reconciled and old records are archived; one process")
	flag.Func("set", "key=value of clickagg's configuration; may be repeated", func(s string) error {
		k, v, ok := strings.Cut(s, "=")
		if !ok {
			return errors.New("want key=value")
		}
		o.keys[k] = v
		return nil
	})
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	r, err := run(ctx, &o)
	if err == nil {
		err = r.print(os.Stdout, o.output)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "latency:", err)
		os.Exit(1)
	}
}

// run starts an installation, loads it, and measures.
func run(ctx context.Context, o *options) (r *report, err error) {
	o.keys["window.size"], o.keys["watermark.delay"] = o.window.String(), o.delay.String()
	var also []string
	if o.beside {
		if o.real {
			return nil, errors.New("-beside is measured in one process")
		}
		o.keys["window.allowed_lateness"] = lateness.String()
		also = append(also, "raw")
	}
	in, err := bench.Install(ctx, o.binary, o.real, o.keys, also...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	log, err := in.Dial(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	topic, err := log.Topic(ctx, in.Topic)
	if err != nil {
		return nil, err
	}
	var past *beside
	var counted int64
	if o.beside {
		if past, counted, err = newBeside(ctx, o, in, log); err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, past.close()) }()
	}
	begun := time.Now()
	size := o.window.Milliseconds()
	p := &prober{
		log: log, topic: topic.Name, partitions: topic.Partitions, api: in.API, size: size, from: begun.Add(warm),
		firstWindow: (begun.UnixMilli()/size + 1) * size, byWindow: map[int64][]*probe{},
	}
	l, err := newLoad(log, topic, o, &watermarks{delay: o.delay.Milliseconds(), size: size, passed: p.passed})
	if err != nil {
		return nil, err
	}
	r = &report{Setup: "one process", Rate: o.rate, Ads: o.ads, Zipf: o.zipf, Window: o.window.String(), Delay: o.delay.String(), Beside: past}
	if o.real {
		r.Setup = "a process for each role, Kafka, Cassandra"
	}
	if err := r.measure(ctx, in, l, p, o); err != nil {
		return nil, err
	}
	r.Total = l.acked.Load() + p.sent() + counted
	r.Accounts, err = accounts(ctx, in, r.Total)
	return r, err
}

// measure runs load, probes and questions at once, and takes what was used between
// the warm-up and the end.
func (r *report) measure(ctx context.Context, in *bench.Installation, l *load, p *prober, o *options) error {
	loading, stop := context.WithCancel(ctx)
	defer stop()
	var work sync.WaitGroup
	var failed error
	drain := make(chan struct{})
	asking, done := context.WithCancel(ctx)
	defer done()
	var asked sync.WaitGroup
	work.Go(func() {
		failed = l.run(loading)
		stop()
	})
	work.Go(func() { p.send(loading, o.probes) })
	asked.Go(func() { p.ask(asking, drain) })
	if !pause(loading, time.Until(p.from)) {
		work.Wait()
		return errors.Join(failed, ctx.Err())
	}
	l.behind.Store(0)
	sent, began := l.acked.Load(), time.Now()
	before, err := in.Usage()
	mine, _ := bench.Of(os.Getpid())
	pause(loading, time.Duration(o.seconds)*time.Second)
	took := time.Since(began)
	r.Reached = float64(l.acked.Load()-sent) / took.Seconds()
	r.Behind = ms(time.Duration(l.behind.Load()))
	after, err2 := in.Usage()
	mine2, _ := bench.Of(os.Getpid())
	var besideFailed error
	if r.Beside != nil {
		besideFailed = r.again(loading, p, o)
	}
	stop()
	work.Wait()
	close(drain)
	give := time.AfterFunc(drainWait, done)
	asked.Wait()
	give.Stop()
	if err := errors.Join(failed, err, err2, besideFailed, ctx.Err()); err != nil {
		return err
	}
	for name, u := range after {
		r.Processes = append(r.Processes, used{Name: name, Cores: (u.CPU - before[name].CPU).Seconds() / took.Seconds(), PeakMB: u.Peak >> 20})
	}
	r.Processes = append(r.Processes, used{Name: "the load and the probes", Cores: (mine2.CPU - mine.CPU).Seconds() / took.Seconds(), PeakMB: mine2.Peak >> 20})
	return r.take(p)
}

// again measures once more, while the past is worked on.
func (r *report) again(ctx context.Context, p *prober, o *options) error {
	r.Provisional, r.Final = p.restart(time.Now())
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	done := make(chan error, 1)
	go func() {
		done <- r.Beside.run(ctx)
		stop()
	}()
	pause(ctx, time.Duration(o.seconds)*time.Second)
	stop()
	return <-done
}

// accounts waits until every click that was acknowledged is in the accounts.
func accounts(ctx context.Context, in *bench.Installation, sent int64) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, drainWait)
	defer cancel()
	for {
		st, err := in.API.Status(ctx)
		if err != nil {
			return "", err
		}
		var sum api.Accounting
		sum.Holds = true
		for _, a := range st.Accounting {
			sum.Received += a.Received
			sum.Counted += a.Counted
			sum.Duplicate += a.Duplicate + a.Conflict
			sum.Late += a.Late
			sum.Rejected += a.Rejected
			sum.Pending += a.Pending
			sum.Holds = sum.Holds && a.Holds
		}
		if sum.Received == sent && sum.Pending == 0 && sum.Holds {
			return fmt.Sprintf("%s acknowledged = %s counted + %s repeated + %s late + %s rejected", num(sent), num(sum.Counted),
				num(sum.Duplicate), num(sum.Late), num(sum.Rejected)), nil
		}
		if !pause(ctx, 200*time.Millisecond) {
			return "", fmt.Errorf("%d clicks were acknowledged, and the accounts are %+v", sent, sum)
		}
	}
}

// pause waits and tells whether ctx has not ended.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

func num(n int64) string { return bench.Number(float64(n), 0) }
