package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/gen"
	"github.com/clickagg/clickagg/internal/letters"
	"github.com/clickagg/clickagg/internal/stream"
)

// TestDeadLetters: broken clicks are found, corrected and counted once, by the binary
// on a real Kafka; late ones say by how much.
func TestDeadLetters(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	c := newCluster(t, kafkaServer(t).Addrs(), cassandraServer(t).Addr(), "")
	c.add("all")
	c.ready(ctx)
	log := c.dial(ctx)
	now := time.Now()
	var batch []stream.Message
	for _, v := range []string{
		fmt.Sprintf(`{"event_id":"counted","ad_id":"a","ts":%d}`, now.UnixMilli()),
		`{"event_id":"lacks","ad_id":"a"}`,
		"garbage \xff",
		`{"event_id":"counted","ad_id":"a","ts":"yesterday"}`,
		fmt.Sprintf(`{"event_id":"late","ad_id":"a","ts":%d}`, now.Add(-time.Hour).UnixMilli()),
	} {
		batch = append(batch, stream.Message{Key: []byte("k"), Value: []byte(v)})
	}
	if err := log.Append(ctx, c.input(), batch); err != nil {
		t.Fatal(err)
	}
	c.accounts(ctx, 1, 0, 3, 1)
	name := func(offset int) string { return fmt.Sprintf("%s/0/%d", c.input(), offset) }
	list := func(args ...string) (l letters.Listing) {
		t.Helper()
		if err := json.Unmarshal([]byte(c.must(append([]string{"deadletters", "list", "-o", "json"}, args...)...)), &l); err != nil {
			t.Fatal(err)
		}
		return l
	}
	if l := list(); l.Records != 3 || len(l.Groups) != 3 || l.Letters[0].Letter != name(1) || l.Letters[0].Reason != "missing_field" || l.Letters[1].ValueHex == "" {
		t.Errorf("%+v", l)
	}
	if l := list("--late"); len(l.Late) != 1 || l.Late[0].Below != "1h" || *l.Letters[0].LateMS < 50*60_000 {
		t.Errorf("late: %+v", l)
	}
	contains(t, c.must("deadletters", "show", name(3)), `{"event_id":"counted","ad_id":"a","ts":"yesterday"}`, "^ byte", "RFC 3339", "key       k")

	redrive := func(args ...string) (said string, status int) {
		t.Helper()
		_, said, status = run(t, append([]string{"deadletters", "redrive", "--config", c.file}, args...)...)
		return said, status
	}
	edit := fmt.Sprintf("ts=%d", now.UnixMilli())
	said, status := redrive("--reason", "missing_field,malformed", "--edit", edit, "--dry-run")
	contains(t, said, name(2)+": malformed", "2 letters: 1 would be sent", "1 not, as they would be refused")
	if status != 1 || list().Records != 3 {
		t.Errorf("a dry run ended with %d, and %d letters are left", status, list().Records)
	}
	if said, status = redrive("--reason", "missing_field", "--edit", edit); status != 0 {
		t.Errorf("status %d: %s", status, said)
	}
	c.accounts(ctx, 2, 0, 3, 1)
	if said, status = redrive("--reason", "missing_field", "--edit", edit); status != 0 || !strings.Contains(said, "0 letters: 0 sent") {
		t.Errorf("a second run: status %d: %s", status, said)
	}

	// Case: a click that was counted, corrected in a file: its id is known.
	file := write(t, "letters.jsonl", strings.ReplaceAll(c.must("deadletters", "list", "--reason", "bad_time", "-o", "jsonl"), `"yesterday"`, fmt.Sprint(now.UnixMilli())))
	if said, status = redrive("--file", file); status != 0 || !strings.Contains(said, "1 letter: 1 sent") {
		t.Errorf("a file: status %d: %s", status, said)
	}
	c.accounts(ctx, 2, 1, 3, 1)
	if said, status = redrive("--late", "--all"); status != 1 || !strings.Contains(said, "late: still") {
		t.Errorf("a late one: status %d: %s", status, said)
	}
	contains(t, c.must("deadletters", "drop", "--all", "--why", "a test"), "1 letter is dealt with")
	if l := list(); l.Records != 0 || list("--settled").Records != 3 {
		t.Errorf("in the end: %+v", l)
	}
	c.accounts(ctx, 2, 1, 3, 1)
}

// accounts waits until so many records have become each of these.
func (c *cluster) accounts(ctx context.Context, counted, repeats, rejected, late int64) {
	c.t.Helper()
	c.eventually(ctx, fmt.Sprintf("%d counted, %d repeats, %d rejected, %d late", counted, repeats, rejected, late), func() error {
		st, err := c.client.Status(ctx)
		if err != nil {
			return err
		}
		s := total(st.Accounting)
		if s.Counted != counted || s.Duplicate+s.Conflict != repeats || s.Rejected != rejected || s.Late != late || s.Pending != 0 || !s.Holds {
			return fmt.Errorf("%+v", s)
		}
		return nil
	})
}

// TestPoisonStallsNothing: what another program wrote to the results topic, and what no
// store can hold, is put aside; counting and storing go on, and the next process does not
// meet it again.
func TestPoisonStallsNothing(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	c := newCluster(t, kafkaServer(t).Addrs(), cassandraServer(t).Addr(), "")
	m := c.add("all")
	c.ready(ctx)
	log := c.dial(ctx)
	crooked := click.Result{Ad: []byte("crooked"), Start: 1_764_000_000_001, Size: 60_000, Filter: click.FilterAll, Count: 1, Revision: 1, State: click.Final, Version: 1}
	poison := []stream.Message{{Value: []byte("garbage")}, {Key: crooked.Ad, Value: crooked.AppendJSON(nil)}, {Key: []byte("tombstone")}}
	var clicks []stream.Message
	now := time.Now().UnixMilli()
	for i := range 1000 {
		clicks = append(clicks, stream.Message{Partition: int32(i % 4), Value: fmt.Appendf(nil, `{"event_id":"%d","ad_id":"ad-%d","ts":%d}`, i, i%50, now)})
	}
	for p := range int32(4) {
		for i := range poison {
			poison[i].Partition = p
		}
		if err := log.Append(ctx, c.name+".results", poison); err != nil {
			t.Fatal(err)
		}
	}
	for part := range slices.Chunk(clicks, 100) {
		if err := log.Append(ctx, c.input(), part); err != nil {
			t.Fatal(err)
		}
	}
	c.accounts(ctx, 1000, 0, 0, 0)
	c.eventually(ctx, "1000 clicks stored", func() error {
		got, err := gen.ReadCSV(strings.NewReader(c.must("export", "counts")))
		if err != nil {
			return err
		}
		if n := got.Total(); n != 1000 {
			return fmt.Errorf("%d", n)
		}
		return nil
	})
	if status := m.stop(ctx); status != 0 {
		t.Fatalf("status %d", status)
	}
	m.start()
	c.ready(ctx)
	var l letters.Listing
	if err := json.Unmarshal([]byte(c.must("deadletters", "list", "--reason", "refused", "-o", "json")), &l); err != nil || l.Records != 12 || len(l.Groups) != 4 {
		t.Errorf("%+v, %v", l, err)
	}
	contains(t, c.must("deadletters", "show", c.name+".results/2/1"), "of 60000 ms starts at 1764000000001", `"ad_id":"crooked"`, "Not a click")
}

// TestManualDeadLetters: the commands of the manual work as they are printed.
func TestManualDeadLetters(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	s := running(ctx, t)
	var batch []stream.Message
	for range 17 {
		batch = append(batch, stream.Message{Value: []byte(`{"event_id":"e-1","ad_id":"shoes-42","ts":1764000000000}`)})
	}
	batch = append(batch, stream.Message{Value: []byte(`{"event_id":"e-2","ts":1764000000000}`)},
		stream.Message{Value: []byte(`{"event_id":"e-3","ad_id":"shoes-42","ts":yesterday}`)})
	if err := s.dial(ctx).Append(ctx, "clicks", batch); err != nil {
		t.Fatal(err)
	}
	s.settled(ctx, 19)
	script := strings.Join(commands(operations, "Dead letters"), "")
	c := shell(ctx, t, workshop(t), script, "CLICKAGG_EMBEDDED_LISTEN="+s.broker)
	out, err := c.CombinedOutput()
	if err != nil || strings.Count(script, "clickagg deadletters") < 8 {
		t.Fatalf("%v\n%s", err, out)
	}
	contains(t, string(out), "missing_field", "would be sent", "0 letters are dealt with")
	if sum := s.settled(ctx, 21); sum.Counted != 3 {
		t.Errorf("%+v", sum)
	}
}
