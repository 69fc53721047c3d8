package sim

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/control"
	"github.com/clickagg/clickagg/internal/stream"
)

// pin lets an operator spread some ad, merge it back, or leave it to the shards.
func (w *world) pin() {
	h := control.Hot{Operator: true, Shards: 1 + int32(w.choose(w.cfg.shards, "over how many")), Pinned: w.choose(2, "pinned") == 1}
	value, err := json.Marshal(h)
	if err != nil {
		panic(err)
	}
	key := "hot/ad" + strconv.Itoa(w.choose(5, "which ad"))
	w.log.land(w.now, w.topics.Control, []stream.Message{{Key: []byte(key), Value: value}})
}

// facts reads the control topic as it is, without faults.
func (w *world) facts() control.Facts {
	f, err := control.Load(context.Background(), plain{w: w}, w.topics.Control)
	if err != nil {
		panic(err)
	}
	return f
}

// plain is the log without faults; only its control topic is read.
type plain struct {
	stream.Log
	w *world
}

func (l plain) Bounds(_ context.Context, name string, partition int32) (start, end int64, err error) {
	return 0, int64(len(l.w.log.topics[name].partitions[partition])), nil
}

func (l plain) Open(_ context.Context, name string, partition int32, _ stream.Place) (stream.Reader, error) {
	return whole(l.w.log.topics[name].partitions[partition]), nil
}

// whole reads a partition at once.
type whole []click.Record

func (r whole) Read(context.Context, time.Duration) (*stream.Batch, error) {
	return &stream.Batch{Records: r, Next: int64(len(r)), End: int64(len(r))}, nil
}

func (whole) Close() error { return nil }

// spread counts how often an ad was spread or merged back, and the shares that
// shards told of.
func (w *world) spread(r *Result) {
	for _, rec := range w.log.topics[w.topics.Control].partitions[0] {
		if strings.HasPrefix(string(rec.Key), "hot/") {
			r.Switches++
		}
	}
	for _, partials := range w.log.topics[w.topics.Partials].partitions {
		for i := range partials {
			if p := new(click.Partial); p.Parse(partials[i].Value) == nil {
				for j := range p.Windows {
					r.Shares += int64(len(p.Windows[j].Shares))
				}
			}
		}
	}
}
