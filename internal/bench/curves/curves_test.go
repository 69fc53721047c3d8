package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/clickagg/clickagg/internal/gen"
)

// TestCosts: the cores count every stream of the curves as its generator says, and
// what is measured adds up.
func TestCosts(t *testing.T) {
	t.Parallel()
	for _, set := range []func(*gen.Options){
		func(*gen.Options) {},
		func(o *gen.Options) { o.Ads = 1 },
		func(o *gen.Options) { o.Repeat = 0.49 },
		func(o *gen.Options) { o.Zipf = 0 },
	} {
		o := gen.Defaults()
		o.Events, o.Span = 10_000, 30*time.Minute
		set(&o)
		v, err := costs(t.Context(), o, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if all := v[3] + v[4] + v[5]; v[0] <= 0 || v[1] <= 0 || all < 0.99*v[2] || all > 1.01*v[2] {
			t.Errorf("%v", v)
		}
	}
}

func TestCurveWritesTableAndPlot(t *testing.T) {
	t.Parallel()
	calls := 0
	c := curve{
		name: "ads", title: "Ads", x: "ads", points: []string{"1", "10"}, panels: []panel{{"clicks/s", []string{"one", "all"}}, {"µs", []string{"all"}}},
		measure: func(_ context.Context, point int) ([]float64, error) {
			if calls++; calls == 1 {
				return nil, errors.New("a bad moment")
			}
			return []float64{float64(calls), 2, float64(point)}, nil
		},
	}
	dir := t.TempDir()
	if err := c.run(t.Context(), 2, dir, io.Discard); err != nil {
		t.Fatal(err)
	}
	table, err := os.ReadFile(filepath.Join(dir, "ads.csv"))
	if err != nil {
		t.Fatal(err)
	}
	if want := "ads,round,clicks/s: one,clicks/s: all,µs: all\n1,1,2,2,0\n1,2,4,2,0\n10,1,3,2,1\n10,2,5,2,1\n"; string(table) != want {
		t.Errorf("the table is\n%swant\n%s", table, want)
	}
	svg, err := os.ReadFile(filepath.Join(dir, "ads.svg"))
	if err != nil || !strings.Contains(string(svg), "one, 1: 3") { // the median of 2 and 4
		t.Errorf("%v\n%s", err, svg)
	}
	c.measure = func(context.Context, int) ([]float64, error) { return nil, errors.New("for ever") }
	if err := c.run(t.Context(), 1, dir, io.Discard); err == nil || !strings.Contains(err.Error(), "ads, 1: for ever") {
		t.Errorf("%v", err)
	}
}

func TestChoose(t *testing.T) {
	t.Parallel()
	all := coreCurves(1)
	if got, err := choose(all, "skew,ads"); err != nil || len(got) != 2 || got[0].name != "skew" || got[1].name != "ads" {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := choose(all, "skew,adds"); err == nil || !strings.Contains(err.Error(), `there is no curve "adds"; there are ads, skew`) {
		t.Errorf("%v", err)
	}
}
