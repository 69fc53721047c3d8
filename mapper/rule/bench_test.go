package rule

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/filter"
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
	benchmarkAdd(b, stream(4096), nil, nil)
}

// BenchmarkAddFiltered adds clicks that are held against so many filters by country
// and by address.
func BenchmarkAddFiltered(b *testing.B) {
	for _, n := range []int{1, 8, 63} {
		var defs []filter.Definition
		for i := range n {
			where := fmt.Sprintf(`country == "K%c" and ip != "10.%d.3.4"`, 'A'+i%26, i)
			defs = append(defs, filter.Definition{ID: fmt.Sprint(i), Where: where})
		}
		set, err := filter.NewSet(defs, nil)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) { benchmarkAdd(b, stream(4096), nil, set) })
	}
}

// benchmarkAdd adds records, 4,096 of them, again and again.
func benchmarkAdd(b *testing.B, records []click.Record, spans click.Spans, set *filter.Set) {
	p := NewPartition(defaults(), click.Source{Topic: "clicks"}, NewState(0))
	p.Open(latest, spans)
	if set != nil {
		p.Filter([]FilterSpan{{Until: click.None, Set: set}})
	}
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

// BenchmarkAddHot adds clicks of which nine in ten are of one ad, in its home and spread.
func BenchmarkAddHot(b *testing.B) {
	records := stream(4096)
	for i := range records {
		if i%10 > 0 {
			r := &records[i]
			r.Value = bytes.Replace(r.Value, fmt.Appendf(nil, `"ad%06d"`, i*7919%100_000), []byte(`"ad000001"`), 1)
		}
	}
	for name, spans := range map[string]click.Spans{
		"home": nil, "spread": {"ad000001": {{From: 0, Until: click.None, Shards: 4}}},
	} {
		b.Run(name, func(b *testing.B) { benchmarkAdd(b, records, spans, nil) })
	}
}
