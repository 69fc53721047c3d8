package config

import (
	"slices"
	"testing"
	"time"
)

func TestDifferences(t *testing.T) {
	t.Parallel()
	a, b := Default(), Default()
	if d := a.Differences(b); d != nil {
		t.Errorf("of itself: %q", d)
	}
	b.Window.Size, b.Input.Topics, b.Kafka.SASL.Password, b.DataDir = time.Hour, []string{"clicks", "more"}, Secret{value: "hidden"}, "elsewhere"
	want := []string{"data_dir", "kafka.sasl.password", "input.topics", "window.size"}
	if d := a.Differences(b); !slices.Equal(d, want) {
		t.Errorf("%q, want %q", d, want)
	}
}
