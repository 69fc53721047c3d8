package control

import (
	"errors"
	"strings"
	"testing"
)

func TestRules(t *testing.T) {
	t.Parallel()
	log, ctx := newLog(), t.Context()
	begin := func(delay string) error {
		t.Helper()
		f, err := Load(ctx, log, topic)
		if err != nil {
			t.Fatal(err)
		}
		return Begin(ctx, log, topic, f.Run, map[string]string{"watermark.delay": delay, "input.time_unit": "ms"})
	}
	// Case: the first start, and one after a crash with the same rules.
	for range 2 {
		if err := begin("15s"); err != nil {
			t.Fatal(err)
		}
	}
	// Case: other rules after a crash are refused, by name and with the way out.
	err := begin("30s")
	if !errors.Is(err, ErrRules) || !strings.Contains(err.Error(), `watermark.delay was "15s" and is "30s"; start once with the old values`) {
		t.Fatalf("%v", err)
	}
	// Case: after an orderly end they are taken, and are the ones to keep from then on.
	if err := End(ctx, log, topic, map[string]string{"watermark.delay": "15s", "input.time_unit": "ms"}); err != nil {
		t.Fatal(err)
	}
	if err := begin("30s"); err != nil {
		t.Fatal(err)
	}
	if err := begin("15s"); !errors.Is(err, ErrRules) {
		t.Errorf("%v", err)
	}
}
