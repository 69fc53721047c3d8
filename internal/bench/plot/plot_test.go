package plot

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
)

func figure() *Figure {
	even := func(v ...float64) (values []Value) {
		for _, v := range v {
			values = append(values, Value{0.9 * v, v, 1.1 * v})
		}
		return values
	}
	return &Figure{
		Title: "Shards & <more>", X: "shards", Points: []string{"1", "2", "4"},
		Panels: []Panel{
			{Y: "clicks/s", Lines: []Line{{"all", even(1e6, 1.5e6, 1.2e6)}}},
			{Y: "µs", Lines: []Line{{"mapper", even(0.3, 0.31, 0.29)}, {"aggregator", even(0.2, 0, 0.21)}}},
		},
	}
}

func draw(t *testing.T, f *Figure) string {
	t.Helper()
	var b strings.Builder
	if err := f.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestFigureIsWellFormedAndTheSameEachTime(t *testing.T) {
	t.Parallel()
	svg := draw(t, figure())
	d := xml.NewDecoder(strings.NewReader(svg))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	for _, words := range []string{"Shards &amp; &lt;more&gt;", ">clicks/s<", ">1.5 M<", ">● aggregator<", "prefers-color-scheme:dark", "NaN"} {
		if has := strings.Contains(svg, words); has != (words != "NaN") {
			t.Errorf("%q in the picture: %v", words, has)
		}
	}
	if again := draw(t, figure()); again != svg {
		t.Error("the same figure gave another picture")
	}
	if n := strings.Count(svg, "<circle"); n != 9 {
		t.Errorf("%d points, want 9", n)
	}
}

func TestFigureIsRefused(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*Figure){
		"no points":     func(f *Figure) { f.Points = nil },
		"no panels":     func(f *Figure) { f.Panels = nil },
		"no lines":      func(f *Figure) { f.Panels[0].Lines = nil },
		"many lines":    func(f *Figure) { f.Panels[0].Lines = make([]Line, 5) },
		"few values":    func(f *Figure) { f.Panels[0].Lines[0].Values = f.Panels[0].Lines[0].Values[:2] },
		"no number":     func(f *Figure) { f.Panels[0].Lines[0].Values[0].Middle = math.NaN() },
		"infinite":      func(f *Figure) { f.Panels[0].Lines[0].Values[0].High = math.Inf(1) },
		"below zero":    func(f *Figure) { f.Panels[0].Lines[0].Values[0].Low = -1 },
		"out of range":  func(f *Figure) { f.Panels[0].Lines[0].Values[0].Low = 2e6 },
		"beyond itself": func(f *Figure) { f.Panels[0].Lines[0].Values[0].High = 1 },
	} {
		f := figure()
		spoil(f)
		if err := f.Write(io.Discard); err == nil {
			t.Errorf("%s: drawn", name)
		}
	}
}

func TestTicks(t *testing.T) {
	t.Parallel()
	for most, want := range map[float64][2]float64{0: {1, 1}, 1: {0.2, 5}, 1.05: {0.2, 6}, 7: {2, 4}, 99: {20, 5}, 1_250_000: {500_000, 3}, 0.32: {0.1, 4}} {
		step, n := ticks(most)
		if math.Abs(step-want[0]) > 1e-9*want[0] || n != int(want[1]) || step*float64(n) < most*(1-1e-9) {
			t.Errorf("ticks of %v: %d steps of %v, want %v of %v", most, n, step, want[1], want[0])
		}
	}
}

func TestShort(t *testing.T) {
	t.Parallel()
	for v, want := range map[float64]string{0: "0", 0.25: "0.25", 3: "3", 9_900: "9.9 k", 999: "999", 12_000: "12 k", 1_500_000: "1.5 M"} {
		if got := short(v); got != want {
			t.Errorf("%v is written %q, want %q", v, got, want)
		}
	}
}
