package control

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/stream"
)

// Correction is a replay or a repair: who changes counts of closed windows, and which.
// One is at work at a time; it has the place from its beginning until somebody says its end. The
// same may be begun again with its ID, by whoever finishes it.
type Correction struct {
	ID   string `json:"id"`   // random
	What string `json:"what"` // what began it: a word such as "replay"
	By   string `json:"by"`   // who
	// Owner is random, of the run that works on it. Who begins it again has another, and what the
	// one before still says is passed over.
	Owner string `json:"owner"`
	// From and To are the event times whose windows are compared, Unix ms, [From, To).
	From int64 `json:"from"`
	To   int64 `json:"to"`

	Ads     []string `json:"ads,omitempty"`     // only these; none means all
	Filters []string `json:"filters,omitempty"` // only these; none means all
	Source  string   `json:"source,omitempty"`  // where clicks are read from; empty for wherever all are
	Inexact bool     `json:"inexact,omitempty"` // also when the recount cannot be known to be exact
	Late    bool     `json:"late,omitempty"`    // clicks that came too late are counted

	Since   int64      `json:"-"` // broker's time, Unix ms, when it first began
	Hold    click.Hold `json:"-"` // number 0 before there was one; Done once it ended
	Ended   bool       `json:"-"`
	Outcome string     `json:"-"` // what was said when it ended
}

// heldCorrection and endedCorrection are the values of the records that follow a beginning.
type heldCorrection struct {
	ID    string `json:"id"`
	Owner string `json:"owner"`
	From  int64  `json:"from"`
	To    int64  `json:"to"`
}

type endedCorrection struct {
	ID      string `json:"id"`
	Owner   string `json:"owner"`
	Outcome string `json:"outcome"`
}

// Corrections lists all there ever were, in their order. What ended never changes.
func (f *Facts) Corrections() []Correction { return f.correct }

// Correcting is the correction that is at work, or was when its process ended; false when there is
// none.
func (f *Facts) Correcting() (Correction, bool) {
	if n := len(f.correct); n > 0 && !f.correct[n-1].Ended {
		return f.correct[n-1], true
	}
	return Correction{}, false
}

// correction takes what is said of one. The first to begin while none is at work has the place;
// what others say meanwhile, or of one that ended, changes nothing.
func (f *Facts) correction(step string, r *click.Record) error {
	now, busy := f.Correcting()
	mine := func(id, owner string) bool { return busy && id == now.ID && owner == now.Owner }
	switch step {
	case "begin":
		var c Correction
		if err := json.Unmarshal(r.Value, &c); err != nil {
			return fmt.Errorf("correction record: %w", err)
		}
		if busy && c.ID != now.ID || slices.ContainsFunc(f.correct, func(o Correction) bool { return o.ID == c.ID && o.Ended }) {
			return nil
		}
		if busy {
			now.By, now.Owner = c.By, c.Owner // it goes on elsewhere; what it is stays
			break
		}
		c.Since = r.Append
		f.correct = append(slices.Clip(f.correct), c)
		return nil
	case "hold":
		var h heldCorrection
		if err := json.Unmarshal(r.Value, &h); err != nil {
			return fmt.Errorf("correction record: %w", err)
		}
		if !mine(h.ID, h.Owner) || h.From >= h.To {
			return nil
		}
		now.Hold = click.Hold{Number: f.holds() + 1, From: h.From, To: h.To}
	case "end":
		var e endedCorrection
		if err := json.Unmarshal(r.Value, &e); err != nil {
			return fmt.Errorf("correction record: %w", err)
		}
		if !mine(e.ID, e.Owner) {
			return nil
		}
		now.Ended, now.Outcome, now.Hold.Done = true, e.Outcome, now.Hold.Number > 0
	default:
		return nil
	}
	f.correct = slices.Clone(f.correct) // facts read earlier keep theirs
	f.correct[len(f.correct)-1] = now
	return nil
}

// holds is the number of the newest hold.
func (f *Facts) holds() int64 {
	for _, c := range slices.Backward(f.correct) {
		if c.Hold.Number > 0 {
			return c.Hold.Number
		}
	}
	return 0
}

// NoteCorrection states that a correction begins, or goes on elsewhere. Whether it has the place
// say the facts after it.
func NoteCorrection(ctx context.Context, log stream.Log, topic string, c Correction) error {
	return noteCorrect(ctx, log, topic, "begin", c)
}

// NoteHold states that the correction that is at work needs a hold of some time. The facts then
// have its number. One that it had before is replaced.
func NoteHold(ctx context.Context, log stream.Log, topic string, c *Correction, from, to int64) error {
	return noteCorrect(ctx, log, topic, "hold", heldCorrection{c.ID, c.Owner, from, to})
}

// NoteCorrected states that the correction that is at work has ended.
func NoteCorrected(ctx context.Context, log stream.Log, topic string, c *Correction, outcome string) error {
	return noteCorrect(ctx, log, topic, "end", endedCorrection{c.ID, c.Owner, outcome})
}

func noteCorrect(ctx context.Context, log stream.Log, topic, step string, v any) error {
	value, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("control: encode: %w", err)
	}
	return note(ctx, log, topic, keyCorrect+step, value)
}
