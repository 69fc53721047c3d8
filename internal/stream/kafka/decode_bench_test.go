package kafka

import (
	"bytes"
	"testing"

	"github.com/clickagg/clickagg/internal/stream"
)

// BenchmarkDecode is a batch of 5000 records: checksum, unpacking, views.
func BenchmarkDecode(b *testing.B) {
	var ms []stream.Message
	for range 5000 {
		ms = append(ms, stream.Message{Value: bytes.Repeat([]byte("click data "), 11)})
	}
	for _, codec := range []Codec{None, LZ4, Zstd} {
		b.Run(codec.String(), func(b *testing.B) {
			d, set := newDecoder(), sealedAt(0, codec, ms...)
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := d.decode(set, 0, nil); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N*len(ms))/b.Elapsed().Seconds(), "records/s")
		})
	}
}

// BenchmarkEncode is the same batch the other way.
func BenchmarkEncode(b *testing.B) {
	var ms []stream.Message
	for range 5000 {
		ms = append(ms, stream.Message{Value: bytes.Repeat([]byte("click data "), 11)})
	}
	var e encoder
	var out []byte
	b.ReportAllocs()
	for b.Loop() {
		for i := range ms {
			e.add(&ms[i])
		}
		out = e.seal(out[:0], None, 1)
	}
	b.ReportMetric(float64(b.N*len(ms))/b.Elapsed().Seconds(), "records/s")
}
