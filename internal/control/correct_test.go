package control

import (
	"testing"

	"github.com/clickagg/clickagg/internal/click"
)

// TestCorrections: one is at work at a time, holds are numbered over all of them, and who was replaced
// has no say any more.
func TestCorrections(t *testing.T) {
	t.Parallel()
	log, ctx := settled(t), t.Context()
	first := Correction{ID: "1", Owner: "x", What: "replay", By: "me", From: 60_000, To: 180_000, Ads: []string{"a"}, Late: true}
	elsewhere := first
	elsewhere.Owner, elsewhere.By = "y", "you"
	second := Correction{ID: "2", Owner: "z", What: "reconcile", To: 60_000}
	facts, err := Load(ctx, log, topic)
	if err != nil {
		t.Fatal(err)
	}
	hold := func(n, from, to int64, done bool) click.Hold {
		return click.Hold{Number: n, From: from, To: to, Done: done}
	}
	for i, step := range []struct {
		say     func() error
		id, by  string // of the one at work then
		hold    click.Hold
		all     int
		outcome string
	}{
		{say: func() error { return NoteHold(ctx, log, topic, &first, 0, 1) }},
		{say: func() error { return NoteCorrection(ctx, log, topic, first) }, id: "1", by: "me", all: 1},
		{say: func() error { return NoteCorrection(ctx, log, topic, second) }, id: "1", by: "me", all: 1},
		{say: func() error { return NoteCorrected(ctx, log, topic, &second, "") }, id: "1", by: "me", all: 1},
		{say: func() error { return NoteHold(ctx, log, topic, &first, 60_000, 120_000) }, id: "1", by: "me", hold: hold(1, 60_000, 120_000, false), all: 1},
		{say: func() error { return NoteCorrection(ctx, log, topic, elsewhere) }, id: "1", by: "you", hold: hold(1, 60_000, 120_000, false), all: 1},
		{say: func() error { return NoteHold(ctx, log, topic, &first, 0, 1) }, id: "1", by: "you", hold: hold(1, 60_000, 120_000, false), all: 1},
		{say: func() error { return NoteCorrected(ctx, log, topic, &first, "") }, id: "1", by: "you", hold: hold(1, 60_000, 120_000, false), all: 1},
		{say: func() error { return NoteHold(ctx, log, topic, &elsewhere, 60_000, 180_000) }, id: "1", by: "you", hold: hold(2, 60_000, 180_000, false), all: 1},
		{say: func() error { return NoteCorrected(ctx, log, topic, &elsewhere, "well") }, all: 1},
		{say: func() error { return NoteCorrection(ctx, log, topic, first) }, all: 1},
		{say: func() error { return NoteCorrection(ctx, log, topic, second) }, id: "2", all: 2},
		{say: func() error { return NoteHold(ctx, log, topic, &second, 0, 60_000) }, id: "2", hold: hold(3, 0, 60_000, false), all: 2},
		{say: func() error { return note(ctx, log, topic, keyCorrect+"later", []byte("?")) }, id: "2", hold: hold(3, 0, 60_000, false), all: 2},
	} {
		if err := step.say(); err != nil {
			t.Fatal(err)
		}
		if facts, err = Refresh(ctx, log, topic, facts); err != nil {
			t.Fatal(err)
		}
		now, busy := facts.Correcting()
		if busy != (step.id != "") || now.ID != step.id || now.By != step.by || now.Hold != step.hold || len(facts.Corrections()) != step.all {
			t.Fatalf("after step %d: %+v, %d in all", i, now, len(facts.Corrections()))
		}
	}
	done := facts.Corrections()[0]
	if !done.Ended || done.Outcome != "well" || done.Hold != hold(2, 60_000, 180_000, true) || done.Ads[0] != "a" || !done.Late || done.Since == 0 {
		t.Errorf("%+v", done)
	}
	whole, err := Load(ctx, log, topic)
	if err != nil || len(whole.Corrections()) != 2 || whole.Corrections()[0].Hold != done.Hold {
		t.Errorf("read at once: %+v, %v", whole.Corrections(), err)
	}
}
