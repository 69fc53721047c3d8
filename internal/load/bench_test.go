package load

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/clickagg/clickagg/internal/gen"
	"github.com/clickagg/clickagg/internal/stream"
)

// sinkLog takes appends and keeps nothing.
type sinkLog struct{ stream.Log }

func (sinkLog) Topic(_ context.Context, name string) (stream.Topic, error) {
	return stream.Topic{Name: name, Partitions: 4}, nil
}

func (sinkLog) Append(context.Context, string, []stream.Message) error { return nil }

// BenchmarkProduce is the cost per line of reading, copying and batching; the
// checker costs nothing.
func BenchmarkProduce(b *testing.B) {
	const events = 200_000
	for _, name := range []string{"c.jsonl", "c.jsonl.gz", "c.jsonl.zst"} {
		path := filepath.Join(b.TempDir(), name)
		o := gen.Defaults()
		o.Events = events
		if _, _, err := Generate(b.Context(), nil, GenerateOptions{Gen: o, File: path}); err != nil {
			b.Fatal(err)
		}
		free := func(value []byte) (adID, eventID []byte, ts int64, err error) {
			return nil, value[:min(len(value), 36)], 1, nil
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r, err := Produce(b.Context(), sinkLog{}, ProduceOptions{Topic: "clicks", File: path, Check: free})
				if err != nil || r.Sent != events {
					b.Fatalf("%+v, %v", r, err)
				}
			}
			b.ReportMetric(float64(b.N)*events/b.Elapsed().Seconds()/1e6, "Mlines/s")
		})
	}
}
