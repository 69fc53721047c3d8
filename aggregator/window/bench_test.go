package window

import (
	"fmt"
	"math/rand"
	"runtime"
	"testing"

	"github.com/clickagg/clickagg/internal/click"
)

// traffic makes sections as a mapper would: ads by Zipf, a new id for all but
// two in a hundred clicks, times that rise with a little disorder.
type traffic struct {
	rng    *rand.Rand
	zipf   *rand.Zipf
	ads    [][]byte
	perMin int64 // clicks per minute of event time
	hot    bool  // nine clicks in ten are of one ad, which is spread
	filter []string
	any    bool // a click passes any of the filters, half of them
	n      int64
	offset int64
}

const trafficStart = int64(1_574_553_600_000)

func newTraffic(perMin int64) *traffic {
	rng := rand.New(rand.NewSource(1))
	t := &traffic{rng: rng, zipf: rand.NewZipf(rng, 1.1, 1, 99_999), perMin: perMin}
	for i := range 100_000 {
		t.ads = append(t.ads, fmt.Appendf(nil, "ad-%06d", i))
	}
	return t
}

func id(n int64) click.ID {
	x := uint64(n) * 0x9e3779b97f4a7c15
	x ^= x >> 29
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 32
	y := (x ^ 0x1234567) * 0x94d049bb133111eb
	return click.ID{Hi: x, Lo: y ^ y>>31}
}

func (t *traffic) section(clicks int) []byte {
	sec := click.Section{
		Source: click.Source{Topic: "clicks"}, Start: t.offset, End: t.offset + int64(clicks), Sources: 1, Shares: t.shares(),
	}
	sec.Clicks.Reset(t.offset)
	now := int64(0)
	for range clicks {
		n := t.n
		t.n++
		if t.rng.Intn(50) == 0 && n > 100 {
			n -= t.rng.Int63n(100)
		}
		now = trafficStart + t.n*60_000/t.perMin
		sec.Clicks.Add(&click.Routed{
			Offset: t.offset, Time: now - t.rng.Int63n(10_000), ID: id(n), Check: uint32(n), Ad: t.ad(), Filters: t.filter, Mask: t.mask(),
		})
		t.offset++
	}
	sec.Watermark, sec.At = now-15_000, t.n/3_000 // three million clicks a second
	sec.Closed, sec.Rules = sec.Watermark-300_000, usual
	return sec.Append(nil)
}

// mask lets a click pass filters as they are: of devices, three, it passes one, and of
// countries, all others, one as well.
func (t *traffic) mask() uint64 {
	switch n := len(t.filter); {
	case t.any:
		return t.rng.Uint64() & (1<<n - 1)
	case n == 0:
		return 0
	case n == 1:
		return uint64(t.rng.Intn(2))
	default:
		country := min(t.rng.Intn(n-3), t.rng.Intn(n-3))
		return 1<<t.rng.Intn(3) | 8<<country
	}
}

var (
	production = Config{Shards: 4, Reducers: 2, Size: 60_000, Filter: click.FilterAll}
	usual      = click.Rules{Horizon: 600_000, MaxIDs: 20_000_000, MaxAds: 500_000, Top: 1000, Tick: 1_000}
)

// sectionClicks is how many clicks the sections of a benchmark have.
const sectionClicks = 5_000

// fold takes in a section.
func fold(b *testing.B, s *Shard, record []byte) {
	sec, err := click.ParseSection(record)
	if err == nil {
		err = s.Fold(s.Position(), &sec)
	}
	if err != nil {
		b.Fatal(err)
	}
	s.Out()
}

// fill lets as many minutes pass as ids are held for, and two.
func (t *traffic) fill(b *testing.B, s *Shard, perMin int64) {
	for range 18 * perMin / sectionClicks {
		fold(b, s, t.section(sectionClicks))
	}
}

// run measures sections.
func (t *traffic) run(b *testing.B, s *Shard) {
	var records [][]byte
	for b.Loop() {
		if len(records) == 0 {
			b.StopTimer()
			for range 100 {
				records = append(records, t.section(sectionClicks))
			}
			b.StartTimer()
		}
		fold(b, s, records[0])
		records = records[1:]
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/sectionClicks, "ns/click")
}

// BenchmarkFold measures a shard with a steady number of ids, in sections of
// 5,000 clicks, at two sizes of the table.
func BenchmarkFold(b *testing.B) {
	for _, perMin := range []int64{60_000, 400_000} {
		b.Run(fmt.Sprintf("ids=%dk", perMin*16/1000), func(b *testing.B) {
			t, s := newTraffic(perMin), New(production)
			t.fill(b, s, perMin)
			b.ReportAllocs()
			t.run(b, s)
			st := s.Status()
			b.ReportMetric(float64(b.N)*sectionClicks/b.Elapsed().Seconds(), "clicks/s")
			b.ReportMetric(float64(s.ids.bytes())/float64(st.IDs), "B/id")
			runtime.KeepAlive(s)
		})
	}
}

// BenchmarkFoldFilters measures a shard whose clicks are counted under filters as well: as they are,
// and as bad as they can be, where nearly every click has a mask of its own and a row under half of
// all filters.
func BenchmarkFoldFilters(b *testing.B) {
	for _, n := range []int{0, 1, 8, 63, -63} {
		name := fmt.Sprint(n)
		if n < 0 {
			name = "63-any"
		}
		b.Run(name, func(b *testing.B) {
			const perMin = 60_000
			t, s := newTraffic(perMin), New(production)
			t.any = n < 0
			for i := range max(n, -n) {
				t.filter = append(t.filter, fmt.Sprintf("filter-%02d", i))
			}
			t.fill(b, s, perMin)
			t.run(b, s)
			st := s.Status()
			b.ReportMetric(float64(st.Bytes)/float64(st.IDs), "B/id")
		})
	}
}

// BenchmarkSnapshot measures what a snapshot and its way back cost, per id, of a shard
// with a million ids.
func BenchmarkSnapshot(b *testing.B) {
	traffic, s := newTraffic(60_000), New(production)
	for range 200 {
		fold(b, s, traffic.section(sectionClicks))
	}
	ids := float64(s.Status().IDs)
	var snapshot []byte
	b.Run("take", func(b *testing.B) {
		for b.Loop() {
			snapshot = s.AppendSnapshot(snapshot[:0])
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/ids, "ns/id")
	})
	b.Run("restore", func(b *testing.B) {
		for b.Loop() {
			if _, err := Restore(production, snapshot); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/ids, "ns/id")
	})
}
