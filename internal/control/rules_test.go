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
	if !f.HasBegun(a) || f.HasBegun(again) || f.HasBegun(other) || !f.IsMapped(a) || f.IsMapped(other) {
		t.Errorf("%v", f.begun)
	}
}

// TestMapped: the topics that were ever mapped are known by name and in their order, also those of which an earlier release
// did not say the name, until it is said; and since when nobody maps them.
func TestMapped(t *testing.T) {
	t.Parallel()
	log, ctx := newLog(), t.Context()
	first := click.Source{Topic: "clicks", ID: click.TopicID{9}}
	second := click.Source{Topic: "clicks", ID: click.TopicID{1}, Partition: 2}
	var f Facts
	look := func(want ...Mapped) {
		t.Helper()
		old := f
		var err error
		if f, err = Load(ctx, log, topic); err != nil || !slices.Equal(f.Mapped(), want) {
			t.Errorf("%+v, %v, want %+v", f.Mapped(), err, want)
		}
		if old.mapped != nil {
			if old, err = Refresh(ctx, log, topic, old); err != nil || !slices.Equal(old.Mapped(), want) {
				t.Errorf("read on: %+v, %v", old.Mapped(), err)
			}
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(note(ctx, log, topic, begunKey(first), []byte("{}")))
	must(note(ctx, log, topic, keyBegun+"not ours/1", []byte("{}")))
	must(NoteRetired(ctx, log, topic, click.TopicID{7})) // never mapped
	must(NoteBegun(ctx, log, topic, second))
	look(Mapped{first.ID, "", click.None}, Mapped{second.ID, "clicks", click.None})
	if f.IsMapped(first) || !f.HasBegun(first) {
		t.Error("a source without its name needs to be named")
	}
	must(NoteBegun(ctx, log, topic, first))
	must(NoteRetired(ctx, log, topic, second.ID))
	at := log.Records(topic, 0)[5].Append
	look(Mapped{first.ID, "clicks", click.None}, Mapped{second.ID, "clicks", at})
	if !f.IsMapped(first) || f.IsMapped(second) || !f.HasBegun(second) {
		t.Errorf("%+v", f)
	}
	before := f
	must(NoteBegun(ctx, log, topic, second))
	look(Mapped{first.ID, "clicks", click.None}, Mapped{second.ID, "clicks", click.None})
	if got := before.Mapped()[1].Retired; got != at {
		t.Errorf("facts that were read before say %d", got)
	}
}
