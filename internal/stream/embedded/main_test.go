package embedded_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/internal/stream/embedded"
	"github.com/clickagg/clickagg/internal/stream/kafka"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(victimDir); dir != "" {
		victim(dir) // ends by a signal
	}
	goleak.VerifyTestMain(m)
}

func quiet(t testing.TB) *zap.Logger {
	return zaptest.NewLogger(t, zaptest.Level(zap.ErrorLevel))
}

// start runs a broker until the test or the function it returns ends it.
func start(t testing.TB, cfg embedded.Config) (*embedded.Broker, func()) {
	t.Helper()
	if cfg.Listen == "" {
		cfg.Listen = "127.0.0.1:0"
	}
	b, err := embedded.Start(t.Context(), cfg, quiet(t))
	if err != nil {
		t.Fatal(err)
	}
	stop := func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	return b, stop
}

func connect(t testing.TB, b *embedded.Broker) *kafka.Log {
	t.Helper()
	l, err := kafka.Open(t.Context(), kafka.Config{
		Brokers: []string{b.Addr()}, RequireAppendTime: func(string) bool { return true },
	}, quiet(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func values(from, to int) (ms []stream.Message) {
	for i := from; i < to; i++ {
		ms = append(ms, stream.Message{Value: fmt.Append(nil, i)})
	}
	return ms
}

func add(t testing.TB, l *kafka.Log, topic string, ms []stream.Message) {
	t.Helper()
	if err := l.Append(within(t), topic, ms); err != nil {
		t.Fatal(err)
	}
}

// all reads a partition to its end.
func all(t testing.TB, l *kafka.Log, topic string) (records []click.Record, end int64) {
	t.Helper()
	from, _, err := l.Bounds(within(t), topic, 0)
	if err != nil {
		t.Fatal(err)
	}
	r, err := l.Open(within(t), topic, 0, stream.At(from))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for {
		b, err := r.Read(within(t), time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		for _, rec := range b.Records {
			rec.Value = append([]byte(nil), rec.Value...)
			records = append(records, rec)
		}
		if b.Next == b.End {
			return records, b.End
		}
	}
}
