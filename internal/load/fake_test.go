package load

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/stream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// memLog keeps what is appended to its only topic, "clicks".
type memLog struct {
	stream.Log // what is not used panics
	mu         sync.Mutex
	partitions [3][]stream.Message
	appends    int
	before     func(ctx context.Context, messages []stream.Message) error // of an append; may be nil
}

func (l *memLog) Topic(_ context.Context, name string) (stream.Topic, error) {
	if name != "clicks" {
		return stream.Topic{}, stream.ErrNoTopic
	}
	return stream.Topic{Name: name, Partitions: int32(len(l.partitions))}, nil
}

func (l *memLog) Append(ctx context.Context, topic string, messages []stream.Message) error {
	if topic != "clicks" {
		return stream.ErrNoTopic
	}
	if l.before != nil {
		if err := l.before(ctx, messages); err != nil {
			return err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.appends++
	for _, m := range messages {
		p := m.Partition
		if p == stream.ByKey {
			h := fnv.New32a()
			_, _ = h.Write(m.Key)
			p = int32(h.Sum32() % uint32(len(l.partitions)))
		}
		// The caller may use its bytes again.
		m.Key, m.Value = bytes.Clone(m.Key), bytes.Clone(m.Value)
		l.partitions[p] = append(l.partitions[p], m)
	}
	return nil
}

// values are all values, of one partition after the other; marks are left out.
func (l *memLog) values() (all []string) {
	for _, p := range l.partitions {
		for _, m := range p {
			if m.Value != nil {
				all = append(all, string(m.Value))
			}
		}
	}
	return all
}

// naive is a checker with nothing in common with the mapper's.
func naive(value []byte) (adID, eventID []byte, ts int64, err error) {
	var c struct {
		ID string `json:"event_id"`
		Ad string `json:"ad_id"`
		At any    `json:"ts"`
	}
	if err := json.Unmarshal(value, &c); err != nil {
		return nil, nil, 0, errors.New("malformed")
	}
	if c.ID == "" || c.Ad == "" {
		return nil, nil, 0, errors.New("missing_field: event_id or ad_id")
	}
	switch at := c.At.(type) {
	case float64:
		ts = int64(at)
	case string:
		t, err := time.Parse(time.RFC3339, at)
		if err != nil {
			return nil, nil, 0, fmt.Errorf("bad_time: %s", at)
		}
		ts = t.UnixMilli()
	default:
		return nil, nil, 0, errors.New("missing_field: ts")
	}
	return []byte(c.Ad), []byte(c.ID), ts, nil
}

// finishOf checks that every partition ends with one mark, and returns it.
func finishOf(t *testing.T, l *memLog) string {
	t.Helper()
	mark := ""
	for p, messages := range l.partitions {
		for i, m := range messages {
			isMark := m.Key == nil && m.Value == nil
			if isMark != (i == len(messages)-1) {
				t.Fatalf("partition %d: mark %v at %d of %d", p, isMark, i, len(messages))
			}
		}
		last := click.MakeHeaders(messages[len(messages)-1].Headers)
		v, ok := last.Get(click.HeaderWatermark)
		if !ok || mark != "" && mark != string(v) {
			t.Fatalf("partition %d: watermark %q, before it %q", p, v, mark)
		}
		mark = string(v)
	}
	return mark
}
