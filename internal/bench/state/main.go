package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime/debug"
	"text/tabwriter"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/clickagg/clickagg/aggregator/window"
	"github.com/clickagg/clickagg/internal/bench"
	"github.com/clickagg/clickagg/internal/blob"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/ops"
	"github.com/clickagg/clickagg/internal/snapshot"
	"github.com/clickagg/clickagg/internal/stream"
)

type options struct {
	ads     int
	rate    float64
	minutes float64
	shards  int
	piece   int
	output  string
	restore string
	spawned int64
}

// report is what a run found; sizes in MB of 2^20 bytes, times in ms.
type report struct {
	IDs       int64    `json:"ids"`
	Ads       int      `json:"ads"`       // entries of ads in the windows that are kept
	TablesMB  int64    `json:"tables_mb"` // what the shards say of themselves
	PeakMB    int64    `json:"peak_mb"`   // resident, before a snapshot
	Snapshots []taken  `json:"snapshots"` // one after the other, by shard
	PeakAllMB int64    `json:"peak_with_snapshots_mb"`
	Restart   *restart `json:"restart"`
}

// taken is one snapshot of a shard that counts on meanwhile.
type taken struct {
	MB      int64   `json:"mb"`
	Total   float64 `json:"total_ms"`   // until it is durable
	Pieces  int     `json:"pieces"`     // and what they took
	Encoded float64 `json:"encoded_ms"` // together
	Longest float64 `json:"longest_ms"` // for which the shard did not count
	Counted int64   `json:"counted"`    // clicks meanwhile
}

// restart is a new process on the snapshots.
type restart struct {
	First  float64 `json:"first_section_ms"` // from before it is started until each shard has counted a section
	PeakMB int64   `json:"peak_mb"`
}

func main() {
	var o options
	flag.IntVar(&o.ads, "ads", 2_000_000, "distinct ads, all alike: nothing needs more memory")
	flag.Float64Var(&o.rate, "rate", 50_000, "clicks a second of event time")
	flag.Float64Var(&o.minutes, "minutes", 10, "event time to fill; from 17 on the number of ids stays the same")
	flag.IntVar(&o.shards, "shards", 4, "shards")
	flag.IntVar(&o.piece, "piece", 1<<20, "bytes of a piece of a snapshot")
	flag.StringVar(&o.output, "o", "table", "table or json")
	flag.StringVar(&o.restore, "restore", "", "directory of snapshots to count on from (used by the program itself)")
	flag.Int64Var(&o.spawned, "spawned", 0, "when that began, Unix ns")
	flag.Parse()
	ops.TuneMemory() // as clickagg does
	if err := run(context.Background(), &o); err != nil {
		fmt.Fprintln(os.Stderr, "state:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o *options) error {
	if o.restore != "" {
		r, err := countOn(ctx, o)
		if err != nil {
			return err
		}
		return json.NewEncoder(os.Stdout).Encode(r)
	}
	dir, err := os.MkdirTemp("", "clickagg-state-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	r, err := measure(ctx, o, dir)
	if err != nil {
		return err
	}
	if o.output == "json" {
		e := json.NewEncoder(os.Stdout)
		e.SetIndent("", "  ")
		return e.Encode(r)
	}
	return r.print(os.Stdout)
}

func config(o *options, shard int) window.Config {
	return window.Config{Shard: int32(shard), Shards: int32(o.shards), Reducers: 2, Size: size, Filter: click.FilterAll}
}

func keeper(dir string, shard int) (*snapshot.Keeper, error) {
	store, err := blob.OpenDir(dir)
	return snapshot.NewKeeper(store, "bench", fmt.Sprintf("aggregator/%d", shard)), err
}

// measure fills the shards, takes their snapshots, and starts a process from them.
func measure(ctx context.Context, o *options, dir string) (*report, error) {
	r, err := fill(ctx, o, dir)
	if err != nil {
		return nil, err
	}
	debug.FreeOSMemory() // a machine has room for one state
	r.Restart, err = again(ctx, o, dir)
	return r, err
}

// fill fills the shards, and takes a snapshot of each while it counts on.
func fill(ctx context.Context, o *options, dir string) (*report, error) {
	shards, flows := make([]*window.Shard, o.shards), make([]*traffic, o.shards)
	var work errgroup.Group
	for i := range shards {
		shards[i], flows[i] = window.New(config(o, i)), newTraffic(o, i)
		work.Go(func() error {
			for float64(flows[i].n) < flows[i].rate*60*o.minutes {
				if err := flows[i].fold(shards[i]); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := work.Wait(); err != nil {
		return nil, err
	}
	r := &report{}
	for _, s := range shards {
		st := s.Status()
		r.IDs += st.IDs
		r.Ads += st.Ads
		r.TablesMB += st.Bytes >> 20
	}
	u, err := bench.Of(os.Getpid())
	if err != nil {
		return nil, err
	}
	r.PeakMB = u.Peak >> 20
	for i, s := range shards {
		t, err := take(ctx, o, dir, i, s, flows[i])
		if err != nil {
			return nil, err
		}
		r.Snapshots = append(r.Snapshots, t)
	}
	if u, err = bench.Of(os.Getpid()); err != nil {
		return nil, err
	}
	r.PeakAllMB = u.Peak >> 20
	return r, nil
}

// take takes a snapshot as a stage does: a piece when there is room, and sections at
// the pace of the stream.
func take(ctx context.Context, o *options, dir string, shard int, s *window.Shard, flow *traffic) (t taken, err error) {
	k, err := keeper(dir, shard)
	if err != nil {
		return t, err
	}
	began, from := time.Now(), flow.n
	draft, saved := k.Draft(s.Position()), make(chan error, 1)
	go func() { saved <- k.Save(ctx, draft) }()
	bytes := 0
	snap := s.Snapshot()
	for whole := false; !whole; {
		if draft.Room() {
			draft.Add(func(b []byte) []byte {
				before := time.Now()
				b, whole = snap.Append(b, o.piece)
				took := ms(time.Since(before))
				t.Longest, t.Encoded = max(t.Longest, took), t.Encoded+took
				bytes += len(b)
				return b
			})
			t.Pieces++
		}
		if whole {
			break
		}
		if err := flow.fold(s); err != nil {
			return t, err
		}
		// The next section comes when its clicks have.
		due := began.Add(time.Duration(float64(flow.n-from) / flow.rate * float64(time.Second)))
		time.Sleep(min(time.Until(due), 20*time.Millisecond))
	}
	draft.End(stream.Place{Offset: s.Position(), Epoch: stream.NoEpoch})
	err = <-saved
	t.Total, t.MB, t.Counted = ms(time.Since(began)), int64(bytes)>>20, flow.n-from
	return t, err
}

// again starts this program on the snapshots.
func again(ctx context.Context, o *options, dir string) (*restart, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	cmd := exec.CommandContext(ctx, self, "-restore", dir, "-shards", fmt.Sprint(o.shards), "-ads", fmt.Sprint(o.ads),
		"-rate", fmt.Sprint(o.rate), "-spawned", fmt.Sprint(began.UnixNano()))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, err
	}
	r := new(restart)
	return r, json.Unmarshal(out, r)
}

// countOn is what the started one does.
func countOn(ctx context.Context, o *options) (*restart, error) {
	var work errgroup.Group
	held := make([]*window.Shard, o.shards)
	for i := range o.shards {
		work.Go(func() error {
			k, err := keeper(o.restore, i)
			if err != nil {
				return err
			}
			_, found, skipped, err := k.Newest(ctx, func(state []byte) (err error) {
				held[i], err = window.Restore(config(o, i), state)
				return err
			})
			if err != nil || !found || len(skipped) > 0 {
				return fmt.Errorf("no whole snapshot: found %v, passed over %v, %w", found, skipped, err)
			}
			flow := newTraffic(o, i)
			flow.n = held[i].Status().Sources[0].High
			return flow.fold(held[i])
		})
	}
	if err := work.Wait(); err != nil {
		return nil, err
	}
	first := time.Since(time.Unix(0, o.spawned))
	u, err := bench.Of(os.Getpid())
	return &restart{First: ms(first), PeakMB: u.Peak >> 20}, err
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func (r *report) print(w io.Writer) error {
	num := func(n int64) string { return bench.Number(float64(n), 0) }
	fmt.Fprintf(w, "%s ids, %s counts of ads in the windows that are kept\n", num(r.IDs), num(int64(r.Ads)))
	fmt.Fprintf(w, "tables %s MB, resident at most %s MB, with snapshots %s MB\n\n", num(r.TablesMB), num(r.PeakMB), num(r.PeakAllMB))
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "snapshot of shard\tMB\ts until durable\tpieces\tencoding ms\tlongest pause ms\tclicks counted meanwhile\t")
	for i, s := range r.Snapshots {
		fmt.Fprintf(t, "%d\t%d\t%.2f\t%d\t%.0f\t%.2f\t%d\t\n", i, s.MB, s.Total/1000, s.Pieces, s.Encoded, s.Longest, s.Counted)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\nrestart: every shard has counted a section %.2f s after the process was started; resident at most %s MB\n",
		r.Restart.First/1000, num(r.Restart.PeakMB))
	return err
}
