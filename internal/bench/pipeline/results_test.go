package pipeline

import (
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/gen"
	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/internal/stream/memory"
)

const minute = 60_000

// results is a run whose results are written by the test; the truth is 3 clicks of a
// and 1 of b in one minute.
func results() (*cluster, *memory.Log) {
	log, truth := &memory.Log{}, gen.NewTruth()
	log.Create("clickagg.results", 2)
	truth.Counts.Add([]byte("a"), 0, 3)
	truth.Counts.Add([]byte("b"), 0, 1)
	o := &Options{Input: Input{Topic: "clicks", Until: minute, Truth: truth}}
	return &cluster{o: o, log: log, topics: click.TopicsOf("clickagg")}, log
}

func write(t *testing.T, log *memory.Log, messages ...stream.Message) {
	t.Helper()
	if err := log.Append(t.Context(), "clickagg.results", messages); err != nil {
		t.Fatal(err)
	}
}

func row(partition int32, ad string, count, version int64) stream.Message {
	r := click.Result{Ad: []byte(ad), Size: minute, Filter: click.FilterAll, Count: count, Revision: 1, State: click.Final, Version: version}
	return stream.Message{Partition: partition, Key: r.Ad, Value: r.AppendJSON(nil)}
}

func mark(partition int32, reducer string, watermark int64) stream.Message {
	return stream.Message{Partition: partition, Headers: []click.Header{
		{Key: click.HeaderWatermark, Value: strconv.AppendInt(nil, watermark, 10)},
		{Key: click.HeaderReducer, Value: []byte(reducer)},
	}}
}

func TestAwaitFinal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, log := results()
		final := false
		go func() {
			if err := c.awaitFinal(t.Context()); err != nil {
				t.Error(err)
			}
			final = true
		}()
		for _, step := range [][]stream.Message{
			{row(0, "a", 1, 1), mark(0, "0/2", minute-1), mark(1, "0/2", minute-1)},
			{mark(0, "0/2", minute), mark(0, "1/2", minute)},
			{mark(1, "0/2", minute), mark(1, "0/2", 2*minute)},
		} {
			write(t, log, step...)
			time.Sleep(5 * time.Second) // of the bubble's time
			synctest.Wait()
			if final {
				t.Fatal("came back before every reducer was done in every partition")
			}
		}
		write(t, log, mark(1, "1/2", minute))
		synctest.Wait()
		if !final {
			t.Error("not come back when all was final")
		}
	})
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		messages []stream.Message
		fault    string
	}{
		{"the truth, and older versions", []stream.Message{
			row(0, "a", 2, 1), row(0, "a", 3, 5), row(0, "a", 2, 4), mark(0, "0/1", minute), row(1, "b", 1, 2), mark(1, "0/1", minute),
		}, ""},
		{"a wrong count", []stream.Message{row(0, "a", 3, 5), row(1, "b", 2, 2)}, "not the truth"},
		{"a missing one", []stream.Message{row(0, "a", 3, 5), mark(1, "0/1", minute)}, "not the truth"},
	} {
		run, log := results()
		write(t, log, c.messages...)
		err := run.check(t.Context())
		if (err == nil) != (c.fault == "") || err != nil && !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%s: %v, want %q", c.name, err, c.fault)
		}
	}
}

func TestWhatIsNoMark(t *testing.T) {
	t.Parallel()
	c, log := results()
	write(t, log, stream.Message{Partition: 0})
	if err := c.awaitFinal(t.Context()); err == nil || !strings.Contains(err.Error(), "neither a result nor a mark") {
		t.Errorf("%v", err)
	}
}
