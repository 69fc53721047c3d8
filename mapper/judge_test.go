package mapper

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/control"
	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/mapper/rule"
)

// at is a click of a moment that lies so far from now.
func at(d time.Duration) string {
	return fmt.Sprintf(`{"event_id":"e","ad_id":"a","ts":%d}`, time.Now().Add(d).UnixMilli())
}

// TestJudge: what the judge says of a record is what the mapper then makes of it.
func TestJudge(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		time.Sleep(time.Hour) // no click is of the last century
		if err := control.AnnounceLive(t.Context(), b.log, b.topics.Control, click.TopicID{9}); err != nil {
			t.Fatal(err)
		}
		b.put(at(0))
		if err := b.run(2 * time.Second); err != nil {
			t.Fatal(err)
		}
		topic, err := b.log.Topic(t.Context(), "clicks")
		if err != nil {
			t.Fatal(err)
		}
		facts, err := control.Load(t.Context(), b.log, b.topics.Control)
		if err != nil {
			t.Fatal(err)
		}
		before := len(b.calls)
		j := NewJudge(b.log, b.m.cfg, facts, stream.Wall{})
		src := click.Source{Topic: "clicks", ID: topic.ID}
		var values []string
		for _, c := range []struct {
			value  string
			kind   rule.Kind
			reason click.Reason
		}{
			{at(0), rule.Routed, 0},
			{at(-5 * time.Minute), rule.Routed, 0},
			{at(-10 * time.Minute), rule.Late, 0},
			{at(2 * time.Minute), rule.Rejected, click.Ahead},
			{"{", rule.Rejected, click.Malformed},
		} {
			v, err := j.Verdict(t.Context(), src, &stream.Message{Value: []byte(c.value)})
			if err != nil || v.Kind != c.kind || v.Reason != c.reason {
				t.Errorf("%s: %+v, %v", c.value, v, err)
			}
			values = append(values, c.value)
		}
		// Case: a source that no mapper ever had.
		if v, err := j.Verdict(t.Context(), click.Source{Topic: "clicks", ID: topic.ID, Partition: 1}, &stream.Message{Value: []byte(at(-10 * time.Minute))}); err != nil || v.Kind != rule.Routed {
			t.Errorf("%+v, %v", v, err)
		}
		if len(b.calls) != before {
			t.Errorf("it wrote: %v", b.calls[before:])
		}
		b.put(values...)
		b.m = b.mapper()
		if err := b.run(2 * time.Second); err != nil {
			t.Fatal(err)
		}
		s := b.sections(0)
		if a := s[len(s)-1].Account; a.Routed != 3 || a.Late != 1 || a.RejectedTotal() != 2 {
			t.Errorf("%+v", a)
		}
		letter := b.log.Records(b.topics.Late, 0)[0]
		by, _ := letter.Headers.Get(click.HeaderLateBy)
		if ms, err := strconv.Atoi(string(by)); err != nil || ms < 3*60_000 || ms > 5*60_000 {
			t.Errorf("late by %q", by) // ten minutes, less the lateness, the delay and what is left of the window
		}
		// Case: the topic was made again.
		b.log.Create("clicks", 2)
		again, _ := b.log.Topic(t.Context(), "clicks")
		j = NewJudge(b.log, b.m.cfg, facts, stream.Wall{})
		if _, err := j.Verdict(t.Context(), click.Source{Topic: "clicks", ID: again.ID}, &stream.Message{}); !errors.Is(err, ErrLoss) {
			t.Error(err)
		}
	})
}

// TestJudgeReadsOn: what no mapper has read yet, or has read and not committed, says what is
// late as well as what was.
func TestJudgeReadsOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		time.Sleep(time.Hour)
		topic, err := b.log.Topic(t.Context(), "clicks")
		if err != nil {
			t.Fatal(err)
		}
		src := click.Source{Topic: "clicks", ID: topic.ID}
		judge := func(log stream.Log, want rule.Kind) {
			t.Helper()
			v, err := NewJudge(log, b.m.cfg, control.Facts{}, stream.Wall{}).Verdict(t.Context(), src, &stream.Message{Value: []byte(at(-10 * time.Minute))})
			if err != nil || v.Kind != want {
				t.Errorf("%+v, %v; want %v", v, err, want)
			}
		}
		judge(b.log, rule.Routed)
		b.put("{", at(0), "{", "{")
		judge(b.log, rule.Late)
		// Case: a mapper that only just began has a position, at the beginning.
		if err := b.run(0); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		judge(b.log, rule.Late)
		// Case: a batch before or behind the click cannot be read.
		judge(&holed{Log: b.log, start: 2, end: 4}, rule.Late)
		judge(&holed{Log: b.log, start: 0, end: 1}, rule.Late)
		judge(&holed{Log: b.log, start: 1, end: 2}, rule.Routed)
		// Case: retention was faster than the mapper.
		if err := b.run(2 * time.Second); err != nil {
			t.Fatal(err)
		}
		b.put("{", "{")
		b.log.Cut("clicks", 0, 5)
		if _, err := NewJudge(b.log, b.m.cfg, control.Facts{}, stream.Wall{}).Verdict(t.Context(), src, &stream.Message{}); !errors.Is(err, stream.ErrOutOfRange) {
			t.Error(err)
		}
	})
}
