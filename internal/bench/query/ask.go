package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/clickagg/clickagg/internal/api"
	"github.com/clickagg/clickagg/internal/bench"
	"github.com/clickagg/clickagg/storage"
)

// question is what is asked again and again; each time of another end, and of another ad.
type question struct {
	name string
	url  func(rng *rand.Rand, o *options) string
}

func span(rng *rand.Rand, hours int64) string {
	to := int64(end) - rng.Int64N(30)*minute
	return fmt.Sprintf("start_time=%d&to_time=%d", to-hours*60*minute, to)
}

var questions = []question{
	{"count, 60 minutes", func(rng *rand.Rand, o *options) string {
		return "/v1/ads/" + adName(rng.IntN(o.ads)) + "/aggregated_count?" + span(rng, 1)
	}},
	{"top 10, 60 minutes", func(rng *rand.Rand, _ *options) string { return "/v1/ads/top_clicked_ads?n=10&" + span(rng, 1) }},
	{"top 10, 24 hours", func(rng *rand.Rand, o *options) string {
		return "/v1/ads/top_clicked_ads?n=10&" + span(rng, int64(o.hours))
	}},
	{"count, 24 hours", func(rng *rand.Rand, o *options) string {
		return "/v1/ads/" + adName(rng.IntN(o.ads)) + "/aggregated_count?" + span(rng, int64(o.hours))
	}},
}

// ask serves the API and puts every question for a while. The CPU time an answer costs is that of
// clients and API, and of each server, by its process.
func (o *options) ask(ctx context.Context, w io.Writer, s storage.Store, what string, servers ...int) error {
	server, err := api.New(api.Config{Listen: "127.0.0.1:0", Window: time.Minute}, s,
		func() api.Status { return api.Status{} }, func() []api.Unready { return nil }, time.Now, zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		return err
	}
	serving, stop := context.WithCancel(ctx)
	g, serving := errgroup.WithContext(serving)
	g.Go(func() error { return server.Run(serving) })
	g.Go(func() error {
		defer stop()
		table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintf(table, "%s\tanswers/s\tp50, ms\tp99, ms\tgreatest, ms\trefused\tCPU, ms\t\n", what)
		for i := range questions {
			before, err := used(servers)
			if err != nil {
				return err
			}
			took, answers, refused, err := o.put(serving, server.URL(), &questions[i])
			if err != nil {
				return fmt.Errorf("%s: %w", questions[i].name, err)
			}
			after, err := used(servers)
			if err != nil {
				return err
			}
			if len(took) == 0 {
				fmt.Fprintf(table, "%s\t0\t-\t-\t-\t%d\t-\t\n", questions[i].name, refused)
				continue
			}
			cost := ""
			for i := range after {
				cost += fmt.Sprintf(" %.2f", (after[i]-before[i]).Seconds()*1000/float64(answers))
			}
			slices.Sort(took)
			at := func(part float64) float64 { return took[int(part*float64(len(took)-1))].Seconds() * 1000 }
			fmt.Fprintf(table, "%s\t%.0f\t%.1f\t%.1f\t%.1f\t%d\t%s\t\n", questions[i].name, float64(len(took))/o.long.Seconds(), at(0.5), at(0.99), at(1), refused, cost)
		}
		return table.Flush()
	})
	return g.Wait()
}

// used is the CPU time that this process and others have used.
func used(others []int) (all []time.Duration, err error) {
	for _, pid := range append([]int{os.Getpid()}, others...) {
		u, err := bench.Of(pid)
		if err != nil {
			return nil, err
		}
		all = append(all, u.CPU)
	}
	return all, nil
}

// put lets all clients ask one question for a while, and returns how long each answer took, how many
// there were and how many none, because the API was too busy. Of a fifth of the time, in which caches
// become warm, no durations are returned.
func (o *options) put(ctx context.Context, url string, q *question) (measured []time.Duration, answers, refused int64, err error) {
	began := time.Now()
	warm := began.Add(o.long / 5)
	until := warm.Add(o.long)
	transport := &http.Transport{MaxIdleConnsPerHost: o.clients}
	defer transport.CloseIdleConnections()
	took := make([][]time.Duration, o.clients)
	var good, busy atomic.Int64
	g, ctx := errgroup.WithContext(ctx)
	for c := range o.clients {
		g.Go(func() error {
			rng := rand.New(rand.NewPCG(3, uint64(c)))
			for {
				began := time.Now()
				if began.After(until) {
					return nil
				}
				answered, err := get(ctx, transport, url+q.url(rng, o))
				if err != nil {
					return err
				}
				if !answered {
					busy.Add(1)
					continue
				}
				good.Add(1)
				if began.After(warm) {
					took[c] = append(took[c], time.Since(began))
				}
			}
		})
	}
	err = g.Wait()
	return slices.Concat(took...), good.Load(), busy.Load(), err
}

// get asks one question and reads the whole answer. It returns false when the API is too busy.
func get(ctx context.Context, transport *http.Transport, url string) (bool, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false, err
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return false, err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusServiceUnavailable {
		err = fmt.Errorf("%s: %s", url, resp.Status)
	}
	return resp.StatusCode == http.StatusOK, errors.Join(err, resp.Body.Close())
}
