package archive

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/clickagg/clickagg/internal/blob"
	"github.com/clickagg/clickagg/internal/click"
)

// stretch is clicks of one source as a raw store that is no bottleneck.
type stretch struct{ shelf }

func (s stretch) Read(_ context.Context, src click.Source, from, to int64, f func(*click.Record) error) error {
	all := s.shelf[src]
	for i := max(from, 0); i < min(to, int64(len(all))); i++ {
		if err := f(&all[i]); err != nil {
			return err
		}
	}
	return nil
}

func clicks(n int) (click.Source, stretch) {
	src := source("clicks", 0)
	s := stretch{shelf{}}
	for i := range n {
		at := base + int64(i)/50
		s.shelf[src] = append(s.shelf[src], click.Record{Offset: int64(i), Append: at, Value: fmt.Appendf(nil,
			`{"event_id":"%08x-%04x-4f37-8c04-9c454d754fe7","ad_id":"ad%06d","ts":%d,"user_id":"u%d","ip":"10.%d.%d.%d","country":"KR"}`,
			uint32(i)*2654435761, i%65521, i*i%100_000, at-int64(i%3000), i%5000, i%200, i%251, i%13)})
	}
	return src, s
}

// perClick reports what a click costs since some usage of this process: its CPU, also while other work is on the machine.
func perClick(b *testing.B, clicks int) (done func()) {
	b.Helper()
	usage := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	before := usage()
	return func() {
		n := float64(clicks) * float64(b.N)
		b.ReportMetric(float64(usage()-before)/n, "cpu-ns/click")
		b.ReportMetric(n/b.Elapsed().Seconds(), "clicks/s")
	}
}

func BenchmarkWrite(b *testing.B) {
	src, raw := clicks(500_000)
	done := perClick(b, 500_000)
	for b.Loop() {
		blobs, err := blob.OpenTree(b.TempDir())
		if err != nil {
			b.Fatal(err)
		}
		a := New(raw, blobs, Config{Rule: ruled}, &clock{}, NewMetrics(nil), zap.NewNop())
		var stored int64
		if _, err := a.Source(b.Context(), src, far, func(m *Manifest) { stored += m.Bytes }); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(stored)/500_000, "bytes/click")
	}
	done()
}

func BenchmarkRead(b *testing.B) {
	src, raw := clicks(500_000)
	blobs, err := blob.OpenTree(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	a := New(raw, blobs, Config{Rule: ruled}, &clock{}, NewMetrics(nil), zap.NewNop())
	if _, err := a.Source(b.Context(), src, far, func(*Manifest) {}); err != nil {
		b.Fatal(err)
	}
	done := perClick(b, 500_000)
	for b.Loop() {
		r, err := NewReader(b.Context(), blobs)
		if err != nil {
			b.Fatal(err)
		}
		n := 0
		if err := r.Read(b.Context(), src, 0, 1<<60, func(*click.Record) error { n++; return nil }); err != nil || n != 500_000 {
			b.Fatal(n, err)
		}
	}
	done()
}
