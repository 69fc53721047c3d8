package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/google/pprof/profile"

	"github.com/clickagg/clickagg/internal/bench"
)

// budget is what a profile says each stage takes.
type budget struct {
	samples int64
	total   time.Duration
	stages  map[string]*spent
}

// spent is the time of one stage, and of its functions.
type spent struct {
	time      time.Duration
	functions map[string]time.Duration // by the innermost one
}

// newBudget sorts a CPU profile's samples into stages.
func newBudget(p *profile.Profile) (*budget, error) {
	count, cpu := -1, -1
	for i, t := range p.SampleType {
		switch t.Type {
		case "samples":
			count = i
		case "cpu":
			cpu = i
		}
	}
	if count < 0 || cpu < 0 {
		return nil, errors.New("this is no CPU profile")
	}
	b := &budget{stages: map[string]*spent{}}
	for _, s := range p.Sample {
		stack := functions(s)
		name, took := stageOf(stack), time.Duration(s.Value[cpu])
		of := b.stages[name]
		if of == nil {
			of = &spent{functions: map[string]time.Duration{}}
			b.stages[name] = of
		}
		of.time += took
		if len(stack) > 0 {
			of.functions[stack[0]] += took
		}
		b.total += took
		b.samples += s.Value[count]
	}
	if b.total == 0 {
		return nil, errors.New("the profile has no samples: it took too short a time")
	}
	return b, nil
}

// functions is a sample's stack, the innermost function first.
func functions(s *profile.Sample) (stack []string) {
	for _, l := range s.Location {
		for _, line := range l.Line {
			if line.Function != nil {
				stack = append(stack, line.Function.Name)
			}
		}
	}
	return stack
}

// print writes the table. PerClick is the CPU time of a click, and top how many
// functions of each stage are named.
func (b *budget) print(w io.Writer, perClick time.Duration, top int) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(name string, took time.Duration) {
		share := float64(took) / float64(b.total)
		fmt.Fprintf(t, "%s\t%s\t%.1f%%\n", name, bench.Number(share*float64(perClick)/1e3, 3), 100*share)
	}
	fmt.Fprintln(t, "part\tµs per click\tshare")
	for _, name := range byTime(b.stages, func(s *spent) time.Duration { return s.time }) {
		line(name, b.stages[name].time)
		of := b.stages[name].functions
		names := byTime(of, func(d time.Duration) time.Duration { return d })
		for _, f := range names[:min(top, len(names))] {
			line("    "+strings.TrimPrefix(f, ours), of[f])
		}
	}
	line("all", b.total)
	return t.Flush()
}

// byTime are the keys of a map, those with the most time first.
func byTime[T any](m map[string]T, took func(T) time.Duration) []string {
	return slices.SortedFunc(maps.Keys(m), func(a, b string) int {
		return cmp.Or(cmp.Compare(took(m[b]), took(m[a])), strings.Compare(a, b))
	})
}
