package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/pprof/profile"
)

func TestStageOf(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ stack, want string }{
		{"runtime.memmove " + ours + "mapper/rule.(*Partition).Add " + ours + "mapper.(*mapper).run", "mapper: decode, judge, route"},
		{ours + "mapper.(*mapper).run runtime.goexit", "mapper: reading and handing over"},
		{"runtime.scanobject runtime.gcDrain runtime.mallocgc " + ours + "aggregator/window.(*Shard).Fold", "runtime: collector"},
		{"runtime.memclrNoHeapPointers runtime.mallocgc " + ours + "aggregator/window.(*Shard).Fold", "runtime: allocation"},
		{"internal/runtime/syscall.Syscall6 syscall.write internal/poll.(*FD).Write net.(*conn).Write bufio.(*Writer).Flush", "system calls: sockets"},
		{"internal/runtime/syscall.Syscall6 syscall.write internal/poll.(*FD).Write os.(*File).Write", "system calls: files"},
		{"internal/runtime/syscall.EpollWait runtime.netpoll runtime.findRunnable", "runtime: scheduler and timers"},
		{"something.else", other},
		{"", other},
	} {
		if got := stageOf(strings.Fields(c.stack)); got != c.want {
			t.Errorf("%s\nbelongs to %q, want %q", c.stack, got, c.want)
		}
	}
}

func TestBudget(t *testing.T) {
	t.Parallel()
	location := func(id uint64, name string) *profile.Location {
		return &profile.Location{ID: id, Line: []profile.Line{{Function: &profile.Function{ID: id, Name: name}}}}
	}
	rule, window := location(1, ours+"mapper/rule.scan"), location(2, ours+"aggregator/window.probe")
	p := &profile.Profile{
		SampleType: []*profile.ValueType{{Type: "samples", Unit: "count"}, {Type: "cpu", Unit: "nanoseconds"}},
		Sample: []*profile.Sample{
			{Location: []*profile.Location{rule}, Value: []int64{3, 30_000_000}},
			{Location: []*profile.Location{window}, Value: []int64{1, 10_000_000}},
		},
	}
	b, err := newBudget(p)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if err := b.print(&text, 2*time.Microsecond, 1); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(text.String()) {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	want := []string{
		"part µs per click share",
		"mapper: decode, judge, route 1.500 75.0%", "mapper/rule.scan 1.500 75.0%",
		"aggregator: repeats and counts 0.500 25.0%", "aggregator/window.probe 0.500 25.0%",
		"all 2.000 100.0%",
	}
	if strings.Join(lines, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
	for _, bad := range []*profile.Profile{{}, {SampleType: p.SampleType}} {
		if _, err := newBudget(bad); err == nil {
			t.Errorf("a budget of %+v", bad)
		}
	}
}
