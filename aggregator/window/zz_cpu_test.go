package window

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/clickagg/clickagg/internal/click"
)

func cpu() time.Duration {
	var ts syscall.Timespec
	syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, 3, uintptr(unsafe.Pointer(&ts)), 0)
	return time.Duration(ts.Nano())
}

func TestZZ(t *testing.T) {
	if os.Getenv("ZZ") == "" {
		t.Skip()
	}
	runtime.LockOSThread()
	perMin, _ := strconv.ParseInt(os.Getenv("ZZ"), 10, 64)
	tr := newTraffic(perMin)
	s := New(production)
	var ds []time.Duration
	fold := func(n int) {
		var rs [][]byte
		for range n {
			rs = append(rs, tr.section(5000))
		}
		for _, r := range rs {
			t0 := cpu()
			sec, _ := click.ParseSection(r)
			if err := s.Fold(s.Position(), &sec); err != nil {
				t.Fatal(err)
			}
			s.Out()
			ds = append(ds, cpu()-t0)
		}
	}
	q := func() string {
		var sum time.Duration
		for _, d := range ds {
			sum += d
		}
		slices.Sort(ds)
		n := len(ds)
		r := fmt.Sprintf("p5 %d p20 %d p50 %d mean %d max %v", int(ds[n/20])/5000, int(ds[n/5])/5000, int(ds[n/2])/5000, int(sum)/n/5000, ds[n-1])
		ds = nil
		return r
	}
	n := int(perMin) * 16 / 5000
	for i := 0; i < n; i += 100 {
		fold(100)
	}
	ramp := q()
	const m = 600
	for i := 0; i < m; i += 100 {
		fold(100)
	}
	st := s.Status()
	t.Logf("ramp %s | steady %s | %d B/id, ids %d", ramp, q(), s.ids.bytes()/st.IDs, st.IDs)
	t0 := cpu()
	b := s.AppendSnapshot(nil)
	d := cpu() - t0
	t0 = cpu()
	Restore(production, b)
	t.Logf("snapshot %v, restore %v for %d ids, %d bytes", d, cpu()-t0, st.IDs, len(b))
}
