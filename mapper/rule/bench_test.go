package rule

import (
	"fmt"
	"testing"

	"github.com/clickagg/clickagg/internal/click"
)

// stream makes records like those of a busy topic: about 145 bytes of JSON,
// ids in order, ads spread, times rising.
func stream(n int) []click.Record {
	records := make([]click.Record, n)
	for i := range records {
		at := int64(1_764_000_000_000) + int64(i)/50
		records[i] = click.Record{
			Offset: int64(i), Append: at + 200,
			Value: fmt.Appendf(nil, `{"event_id":"417b9790-3203-4f37-8c04-%012x","ad_id":"ad%06d","ts":%d,"user_id":"u%d","ip":"10.%d.3.4","country":"KR"}`,
				i, i*7919%100_000, at, i%5000, i%256),
		}
	}
	return records
}

func BenchmarkDecode(b *testing.B) {
	records := stream(4096)
	cfg := defaults()
	d := newDecoder(&cfg)
	b.SetBytes(int64(len(records[0].Value)))
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if _, ok := d.decode(records[i&4095].Value, click.Headers{}); !ok {
			b.Fatal(d.fault)
		}
		i++
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds()/1e6, "Mclicks/s")
}

func BenchmarkAdd(b *testing.B) {
	records := stream(4096)
	cfg := defaults()
	p := NewPartition(cfg, click.Source{Topic: "clicks"}, NewState(0))
	b.SetBytes(int64(len(records[0].Value)))
	b.ReportAllocs()
	next := int64(0)
	for b.Loop() {
		r := records[next&4095]
		r.Offset = next
		next++
		if v := p.Add(&r); v.Kind != Routed {
			b.Fatal(v)
		}
		if p.Full() {
			p.Seal(next, r.Append, click.None, 1)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds()/1e6, "Mclicks/s")
}
