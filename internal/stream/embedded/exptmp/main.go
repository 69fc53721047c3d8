package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"runtime/pprof"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/internal/stream/embedded"
	"github.com/clickagg/clickagg/internal/stream/kafka"
)

func rss() string {
	b, _ := os.ReadFile("/proc/self/status")
	var out []string
	for _, l := range strings.Split(string(b), "\n") {
		if strings.HasPrefix(l, "VmRSS") || strings.HasPrefix(l, "VmHWM") {
			out = append(out, strings.Join(strings.Fields(l), " "))
		}
	}
	return strings.Join(out, " ")
}

func main() {
	dir := flag.String("dir", "/tmp/exp", "")
	n := flag.Int("n", 0, "records")
	per := flag.Int("per", 1000, "records per partition per append")
	parts := flag.Int("parts", 8, "")
	sync_ := flag.Bool("sync", false, "")
	read := flag.Bool("read", false, "")
	kill := flag.Bool("kill", false, "")
	flag.Parse()
	ctx := context.Background()
	t0 := time.Now()
	b, err := embedded.Start(ctx, embedded.Config{Dir: *dir, Listen: "127.0.0.1:0", SyncWrites: *sync_, Topics: []embedded.Topic{{Name: "clicks", Partitions: int32(*parts)}}}, zap.NewNop())
	if err != nil {
		panic(err)
	}
	fmt.Println("start", time.Since(t0), rss())
	l, err := kafka.Open(ctx, kafka.Config{Brokers: []string{b.Addr()}}, zap.NewNop())
	if err != nil {
		panic(err)
	}
	if *n > 0 {
		value := []byte(`{"event_id":"0123456789abcdef0123","ad_id":"ad-123456","ts":1700000000000,"user_id":"u12345678","country":"DE","device":"m"}`)
		var ms []stream.Message
		for i := 0; i < *per; i++ {
			for p := range *parts {
				ms = append(ms, stream.Message{Partition: int32(p), Value: value})
			}
		}
		t0 = time.Now()
		appends := 0
		for i := 0; i < *n; i += len(ms) {
			if err := l.Append(ctx, "clicks", ms); err != nil {
				panic(err)
			}
			appends++
		}
		d := time.Since(t0)
		fmt.Printf("append %d records %v: %.2f M/s, %.0f appends/s of %d KB; %s\n", *n, d, float64(*n)/d.Seconds()/1e6, float64(appends)/d.Seconds(), len(ms)*len(value)/1000, rss())
	}
	if *read {
		pf, _ := os.Create("/tmp/exp.prof")
		pprof.StartCPUProfile(pf)
		defer pprof.StopCPUProfile()
		t0 = time.Now()
		var wg sync.WaitGroup
		counts := make([]int, *parts)
		for p := range *parts {
			wg.Go(func() {
				r, err := l.Open(ctx, "clicks", int32(p), 0)
				if err != nil {
					panic(err)
				}
				for {
					bb, err := r.Read(ctx, time.Second)
					if err != nil {
						panic(err)
					}
					counts[p] += len(bb.Records)
					if bb.Next == bb.End {
						return
					}
				}
			})
		}
		wg.Wait()
		total := 0
		for _, c := range counts {
			total += c
		}
		d := time.Since(t0)
		fmt.Printf("read %d in %v: %.2f M/s; %s\n", total, d, float64(total)/d.Seconds()/1e6, rss())
	}
	if *kill {
		os.Exit(9)
	}
	pprof.StopCPUProfile()
	mf, _ := os.Create("/tmp/exp.mem")
	pprof.Lookup("allocs").WriteTo(mf, 0)
	mf.Close()
	l.Close()
	t0 = time.Now()
	b.Close()
	fmt.Println("close", time.Since(t0), rss())
}
