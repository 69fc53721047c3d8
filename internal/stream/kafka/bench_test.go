package kafka_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/internal/stream/embedded"
	"github.com/clickagg/clickagg/internal/stream/kafka"
)

var clickBytes = []byte(`{"event_id":"0123456789abcdef0123","ad_id":"ad-123456","ts":1700000000000,"user_id":"u12345678","country":"DE"}`)

func clicks(n int, partitions int32) (ms []stream.Message) {
	for i := range n {
		ms = append(ms, stream.Message{Partition: int32(i) % partitions, Value: bytes.Clone(clickBytes)})
	}
	return ms
}

// BenchmarkRead is records through a reader, the embedded broker included.
func BenchmarkRead(b *testing.B) {
	for _, codec := range []kafka.Codec{kafka.None, kafka.LZ4, kafka.Zstd} {
		b.Run(codec.String(), func(b *testing.B) {
			broker := startBroker(b, embedded.Config{})
			topic := makeTopic(b, broker, 1)
			l := openLog(b, broker, kafka.Config{Compression: func(string) kafka.Codec { return codec }})
			const total = 500_000
			for range total / 5000 {
				if err := l.Append(b.Context(), topic, clicks(5000, 1)); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				r, err := l.Open(b.Context(), topic, 0, stream.At(0))
				if err != nil {
					b.Fatal(err)
				}
				for next := int64(0); next < total; {
					got, err := r.Read(b.Context(), time.Second)
					if err != nil {
						b.Fatal(err)
					}
					next, n = got.Next, n+len(got.Records)
				}
				r.Close()
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "records/s")
		})
	}
}

// BenchmarkAppend is 8000 records to 8 partitions in each call.
func BenchmarkAppend(b *testing.B) {
	for name, sync := range map[string]bool{"cached": false, "synced": true} {
		b.Run(name, func(b *testing.B) {
			broker := startBroker(b, embedded.Config{SyncWrites: sync})
			topic := makeTopic(b, broker, 8)
			l := openLog(b, broker, kafka.Config{})
			ms := clicks(8000, 8)
			b.ReportAllocs()
			for b.Loop() {
				if err := l.Append(b.Context(), topic, ms); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N*len(ms))/b.Elapsed().Seconds(), "records/s")
		})
	}
}
