package bench

import (
	"math"
	"os"
	"strings"
	"testing"
	"time"
)

func TestUsageOfThisProcess(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("needs /proc")
	}
	u, err := Of(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if u.Peak < 1<<20 || u.Peak > 1<<40 || u.CPU < 0 || u.CPU > time.Hour {
		t.Errorf("%+v is not plausible for a test", u)
	}
	if _, err := Of(1 << 30); err == nil {
		t.Error("a process that is not there has a usage")
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	cpu, err := parseCPU([]byte("7 (a) b 1 2) S 1 7 7 0 -1 4194304 1 0 0 0 150 25 9 9 20 0 12 0 5 6 7"))
	if err != nil || cpu != 1750*time.Millisecond {
		t.Errorf("CPU is %v, %v; want 1.75s", cpu, err)
	}
	peak, err := parsePeak([]byte("Name:\tx\nVmPeak:\t  9000 kB\nVmHWM:\t  2048 kB\nVmRSS:\t  1024 kB\n"))
	if err != nil || peak != 2<<20 {
		t.Errorf("peak is %d, %v; want 2 MiB", peak, err)
	}
	if _, err := parseCPU([]byte("7 (a) S 1")); err == nil {
		t.Error("a cut-off stat is read")
	}
	if _, err := parsePeak([]byte("Name:\tzombie\n")); err == nil {
		t.Error("a status without VmHWM is read")
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	table := Table{Measures: []Measure{{Name: "clicks/s"}, {Name: "µs/click", Digits: 1}}}
	table.Add("ours", 1_000_000, 1)
	table.Add("theirs, tuned", 300_000, 4)
	table.Add("ours", 3_000_000, 1.5)
	table.Add("theirs, tuned", 500_000, 5)
	table.Add("ours", 2_000_000, 0.8)
	var b strings.Builder
	if err := table.Print(&b); err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(b.String()) {
		got = append(got, strings.Join(strings.Fields(line), " "))
	}
	want := []string{"runs clicks/s µs/click", "ours 3 2,000,000 1.0", "theirs, tuned 2 400,000 ×0.20 4.5 ×4.50"}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", b.String(), strings.Join(want, "\n"))
	}
}

func TestNumber(t *testing.T) {
	t.Parallel()
	for want, n := range map[string]float64{"0": 0, "999": 999, "1,000": 1000, "-1,234,567": -1234567, "12,345,678": 12345678} {
		if got := Number(n, 0); got != want {
			t.Errorf("%v is written %s, want %s", n, got, want)
		}
	}
	if got := Number(math.NaN(), 2); got != "–" {
		t.Errorf("what was not measured is %s", got)
	}
	if got := Number(1234.56, 1); got != "1,234.6" {
		t.Errorf("1234.56 with one digit is %s", got)
	}
}
