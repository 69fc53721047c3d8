package control

import (
	"slices"
	"testing"

	"github.com/clickagg/clickagg/internal/click"
)

func TestRules(t *testing.T) {
	t.Parallel()
	log, ctx := newLog(), t.Context()
	old := map[string]string{"watermark.delay": "15s", "input.time_unit": "ms"}
	now := map[string]string{"watermark.delay": "30s", "input.time_unit": "ms", "dedupe.key": "a"}
	for range 2 { // two processes at once
		if err := NoteRules(ctx, log, topic, old); err != nil {
			t.Fatal(err)
		}
	}
	if err := NoteRules(ctx, log, topic, now); err != nil {
		t.Fatal(err)
	}
	f, err := Load(ctx, log, topic)
	if err != nil || len(f.Rules) != 2 {
		t.Fatalf("%v, %v", f.Rules, err)
	}
	want := []string{`dedupe.key was "" and is "a"`, `watermark.delay was "15s" and is "30s"`}
	if got := f.Differences(Fingerprint(old), now); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if got := f.Differences(Fingerprint(now), now); len(got) != 0 {
		t.Errorf("%q", got)
	}
	if got := f.Differences("0123456789abcdef", now); len(got) != 1 {
		t.Errorf("%q", got)
	}
}

// A fingerprint stands in positions that the next program reads.
func TestFingerprint(t *testing.T) {
	t.Parallel()
	prints := map[string]bool{}
	for _, rules := range []map[string]string{
		{}, {"a": "b"}, {"a": ""}, {"": "a"}, {"ab": ""}, {"a": "b", "c": "d"}, {"a": "b\x01c\x01d"},
	} {
		prints[Fingerprint(rules)] = true
	}
	if len(prints) != 7 {
		t.Errorf("%d fingerprints of 7 rules: %v", len(prints), prints)
	}
	if got := Fingerprint(map[string]string{"watermark.delay": "15s", "input.time_unit": "ms"}); got != "ba8ab084c50d3a19" {
		t.Errorf("%s", got)
	}
}

func TestBegun(t *testing.T) {
	t.Parallel()
	log, ctx := newLog(), t.Context()
	a := click.Source{Topic: "clicks", ID: click.TopicID{1}, Partition: 3}
	if err := NoteBegun(ctx, log, topic, a); err != nil {
		t.Fatal(err)
	}
	f, err := Load(ctx, log, topic)
	if err != nil {
		t.Fatal(err)
	}
	again := a
	again.ID[0] = 2 // the topic was made again
	other := a
	other.Partition = 2
	if got := f.Begun(); !slices.Equal(got, []click.TopicID{a.ID}) {
		t.Errorf("the topics that have begun are %v", got)
	}
	if !f.HasBegun(a) || f.HasBegun(again) || f.HasBegun(other) {
		t.Errorf("%v", f.begun)
	}
}
