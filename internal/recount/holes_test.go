package recount

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/filter"
	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/internal/stream/memory"
)

// TestLost: a record that the raw store has lost in the midst of others is not taken for one that there never was.
func TestLost(t *testing.T) {
	t.Parallel()
	log := &memory.Log{}
	log.Create("clicks", 1)
	log.Create("control", 1)
	in := records{}
	var messages []stream.Message
	for i := range int64(20) {
		at := base + i*1000
		messages = append(messages, stream.Message{Value: fmt.Appendf(nil, `{"event_id":"%d","ad_id":"a","ts":%d}`, i, at)})
	}
	if err := log.Append(t.Context(), "clicks", messages); err != nil {
		t.Fatal(err)
	}
	topic, err := log.Topic(t.Context(), "clicks")
	if err != nil {
		t.Fatal(err)
	}
	source := click.Source{Topic: "clicks", ID: topic.ID}
	if err := FromLog(log, nil, click.None).Read(t.Context(), source, 0, 20, func(r *click.Record) error {
		in[source] = append(in[source], click.Record{Offset: r.Offset, Append: r.Append, Value: slices.Clone(r.Value)})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	set, err := filter.NewSet(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	r := rules(t)
	for lost, whole := range map[string]bool{"": true, "one": false} {
		kept := kept{records{source: slices.Clone(in[source])}}
		if lost != "" {
			kept.records[source] = slices.Delete(kept.records[source], 9, 10)
		}
		i := Installation{
			Log: log, Raw: kept, Control: "control", Judge: r.Judge, Trusted: r.Trusted,
			Inputs: func() []stream.Partition { return []stream.Partition{{Topic: "clicks"}} },
		}
		span := Range{base, base + minute}
		nothing, none := func(done, total int64) error { return nil }, func(*Window) error { return nil }
		report, err := i.Recount(t.Context(), span, Options{Source: "raw"}, nothing, none)
		if err != nil || report.FromLog() || report.Whole != whole {
			t.Errorf("%q lost: %+v, %v", lost, report, err)
		}
		if report, err = i.Recount(t.Context(), span, Options{Source: "raw", Hole: func(click.Source, int64, int64) {}}, nothing, none); err != nil || !report.Whole {
			t.Errorf("%q lost, which somebody else looks into: %+v, %v", lost, report, err)
		}
		i.Log = &forgetful{log}
		if report, err = i.Count(t.Context(), span, set, nothing, none); err != nil || report.FromLog() || report.Whole != whole {
			t.Errorf("%q lost, and gone from the log: %+v, %v", lost, report, err)
		}
	}
}

// TestInLog: of a topic that was deleted, or made again, nobody knows what its offsets had; that is no error.
func TestInLog(t *testing.T) {
	t.Parallel()
	log := new(memory.Log)
	log.Create("clicks", 1)
	was, err := log.Topic(t.Context(), "clicks")
	if err != nil {
		t.Fatal(err)
	}
	i, records := Installation{Log: log}, 0
	look := func(s click.Source, from, to int64, want bool, n int) {
		t.Helper()
		records = 0
		known, err := i.InLog(t.Context(), s, from, to, func(*click.Record) error { records++; return nil })
		if err != nil || known != want || records != n {
			t.Errorf("%s from %d to %d: %v, %v, %d records", s, from, to, known, err, records)
		}
	}
	fill := func() {
		if err := log.Append(t.Context(), "clicks", make([]stream.Message, 5)); err != nil {
			t.Fatal(err)
		}
	}
	fill()
	source := click.Source{Topic: "clicks", ID: was.ID}
	look(source, 1, 4, true, 3)
	look(source, 1, 6, false, 0)
	log.Cut("clicks", 0, 2)
	look(source, 1, 4, false, 0)
	log.Create("clicks", 1)
	fill()
	look(source, 1, 4, false, 0)
	look(click.Source{Topic: "gone"}, 1, 4, false, 0)
	stop := errors.New("stop")
	if _, err := i.InLog(t.Context(), click.Source{Topic: "clicks"}, 1, 4, func(*click.Record) error { return stop }); !errors.Is(err, stop) {
		t.Error(err)
	}
}

// forgetful is a log whose clicks but the last few are not retained.
type forgetful struct{ *memory.Log }

func (f *forgetful) Bounds(ctx context.Context, topic string, partition int32) (start, end int64, err error) {
	if start, end, err = f.Log.Bounds(ctx, topic, partition); topic == "clicks" {
		start = end - 2
	}
	return start, end, err
}
