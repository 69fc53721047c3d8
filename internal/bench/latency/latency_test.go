package main

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// A window's end has passed with the acknowledgement that lets the last partition
// pass it, in whatever order acknowledgements come.
func TestWatermarks(t *testing.T) {
	t.Parallel()
	var said []string
	w := watermarks{delay: 15_000, size: 10_000, passed: func(end int64, at time.Time) { said = append(said, fmt.Sprint(end, at.Unix())) }}
	for i, greatest := range [][]int64{
		{100_000, 0},
		{130_000, 100_500}, // all are known: the least is 100.5 s, and the next end 90 s
		{0, 104_999},
		{140_000, 0}, // one partition alone moves nothing
		{0, 105_000},
		{0, 104_000}, // an older one
		{0, 128_000}, // two at once
	} {
		w.acked(time.Unix(int64(i), 0), greatest)
	}
	if want := []string{"90000 4", "100000 6", "110000 6"}; !slices.Equal(said, want) {
		t.Errorf("%q, want %q", said, want)
	}
}

func TestQuantiles(t *testing.T) {
	t.Parallel()
	var s sample
	for i := range 200 {
		s = append(s, time.Duration(200-i)*time.Millisecond)
	}
	if got, want := s.quantiles(), (quantiles{200, 101, 181, 199, 200}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := (sample{}).quantiles(); got != (quantiles{}) {
		t.Errorf("of nothing: %+v", got)
	}
}
