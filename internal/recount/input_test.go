package recount

import (
	"context"
	"fmt"
	"maps"
	"testing"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/internal/stream/memory"
	"github.com/clickagg/clickagg/storage"
)

// kept is records as a raw store has them.
type kept struct{ records }

var _ storage.RawStore = kept{}

func (k kept) ID() string                                              { return "kept" }
func (k kept) Put(context.Context, click.Source, []click.Record) error { return storage.ErrInvalid }

// TestRaw: a recount of what was kept says what one of the log says, also when kept
// records have gaps and lie far out.
func TestRaw(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		in := history(seed)
		for s, all := range in {
			if s.Partition == 1 {
				for i := range all {
					all[i].Offset = 1<<40 + 3*int64(i)*int64(i)
				}
			}
		}
		span := Range{base + 30*minute, base + 60*minute}
		want, report := count(t, in, span, rules(t))
		got, kept := count(t, &Kept{Raw: kept{in}, Log: in}, span, rules(t))
		if !maps.Equal(got, want) || kept != report || len(got) == 0 {
			t.Errorf("seed %d: %+v, want %+v", seed, kept, report)
		}
	}
}

// TestRawBehind: what the log has and the raw store does not yet is not taken for what there is.
func TestRawBehind(t *testing.T) {
	t.Parallel()
	for behind, keep := range map[string]func(records){
		"":              func(records) {},
		"a record":      func(r records) { s := click.Source{Topic: "clicks"}; r[s] = r[s][:1] },
		"a partition":   func(r records) { delete(r, click.Source{Topic: "clicks", Partition: 1}) },
		"later records": func(r records) { r.add(0, "3", "a", "KR", base+30*minute, base+30*minute) },
	} {
		in := records{}
		in.add(0, "0", "a", "KR", base, base)
		in.add(0, "1", "a", "KR", base+1, base+1)
		in.add(1, "2", "a", "KR", base+1, base+1)
		here := maps.Clone(in)
		keep(here)
		got, report := count(t, &Kept{Raw: kept{here}, Log: until{in, base + 30*minute}}, Range{base, base + minute}, rules(t))
		if want := behind == "a record" || behind == "a partition"; report.Behind != want || !want && got["0 000 a"] != "3 final" {
			t.Errorf("behind by %q: %v, %+v", behind, got, report)
		}
	}
}

func TestLog(t *testing.T) {
	t.Parallel()
	log := &memory.Log{}
	log.Create("clicks", 2)
	var messages []stream.Message
	for i := range int32(100) {
		value := fmt.Appendf(nil, `{"event_id":"%d","ad_id":"a","ts":%d}`, i/2, base+int64(i/2)*1000)
		messages = append(messages, stream.Message{Partition: i % 2, Value: value})
	}
	if err := log.Append(t.Context(), "clicks", messages); err != nil {
		t.Fatal(err)
	}
	topic, err := log.Topic(t.Context(), "clicks")
	if err != nil {
		t.Fatal(err)
	}
	var sources []click.Source
	for p := range topic.Partitions {
		sources = append(sources, click.Source{Topic: "clicks", ID: topic.ID, Partition: p})
	}
	r := rules(t)
	r.Live = func(click.TopicID) int64 { return click.None }
	got, report := count(t, FromLog(log, sources, click.None), Range{base, base + minute}, r)
	if got["0 000 a"] != "50 provisional" || report.Records != 100 {
		t.Error(got, report)
	}
}
