package gen_test

import (
	"testing"
	"time"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/gen"
	"github.com/clickagg/clickagg/mapper/rule"
)

// TestMapperAgrees plays a stream to the mapper's rules under the default
// configuration: every click, repeat and conflict is routed in time, and all
// garbage is refused for the reason the generator names.
func TestMapperAgrees(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		o := gen.Defaults()
		o.Events, o.Seed, o.Late, o.Garbage, o.Repeat = 30_000, seed, 0.1, 0.05, 0.1
		g, err := gen.New(o)
		if err != nil {
			t.Fatal(err)
		}
		p := rule.NewPartition(rule.Config{
			Size: 60_000, Lateness: 300_000, Delay: 15_000, MaxFuture: 60_000, IdleTimeout: 5_000,
			EventIDField: "event_id", AdIDField: "ad_id", TimeField: "ts", TimeUnit: rule.Millis,
			MaxRecordBytes: 64 << 10, SectionClicks: 20_000, Router: click.NewRouter(1, 4), Shards: 4,
		}, click.Source{Topic: "clicks"}, rule.NewState(0))
		appended := o.Start.Add(24 * time.Hour).UnixMilli()
		offset := int64(0)
		for e := (gen.Event{}); g.Next(&e); offset++ {
			v := p.Add(&click.Record{Offset: offset, Append: appended, Key: e.Key, Value: e.Value})
			if e.Kind == gen.Garbage {
				if v.Kind != rule.Rejected || v.Reason != e.Reason {
					t.Fatalf("seed %d: %s is %v for %v (%s), want %v", seed, e.Value, v.Kind, v.Reason, v.Detail, e.Reason)
				}
			} else if v.Kind != rule.Routed {
				t.Fatalf("seed %d: event %d, %s is %v (%s)", seed, offset, e.Value, v.Kind, v.Detail)
			}
			if p.Full() {
				p.Seal(offset+1, appended, click.None, 1)
			}
		}
	}
}
