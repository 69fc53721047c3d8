package kafka_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/internal/stream/embedded"
	"github.com/clickagg/clickagg/internal/stream/kafka"
	"github.com/clickagg/clickagg/internal/stream/streamtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// startBroker runs a broker until the test ends.
func startBroker(t testing.TB, cfg embedded.Config) *embedded.Broker {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	cfg.Listen = "127.0.0.1:0"
	b, err := embedded.Start(t.Context(), cfg, quiet(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func quiet(t testing.TB) *zap.Logger {
	return zaptest.NewLogger(t, zaptest.Level(zap.WarnLevel))
}

func openLog(t testing.TB, b *embedded.Broker, cfg kafka.Config) *kafka.Log {
	t.Helper()
	cfg.Brokers = []string{b.Addr()}
	l, err := kafka.Open(t.Context(), cfg, quiet(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

var topics atomic.Int64

func makeTopic(t testing.TB, b *embedded.Broker, partitions int32) string {
	t.Helper()
	name := fmt.Sprintf("t%d", topics.Add(1))
	if err := b.CreateTopic(embedded.Topic{Name: name, Partitions: partitions}); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestContract(t *testing.T) {
	t.Parallel()
	for _, codec := range []kafka.Codec{kafka.None, kafka.LZ4, kafka.Zstd} {
		t.Run(codec.String(), func(t *testing.T) {
			t.Parallel()
			streamtest.Run(t, func(t *testing.T) (stream.Log, func(*testing.T, int32) string, func(*testing.T, string)) {
				b := startBroker(t, embedded.Config{})
				l := openLog(t, b, kafka.Config{
					Compression:       func(string) kafka.Codec { return codec },
					RequireAppendTime: func(string) bool { return true },
				})
				newTopic := func(t *testing.T, partitions int32) string { return makeTopic(t, b, partitions) }
				remake := func(t *testing.T, topic string) {
					was, err := l.Topic(t.Context(), topic)
					if err != nil {
						t.Fatal(err)
					}
					if err := b.DeleteTopic(topic); err != nil {
						t.Fatal(err)
					}
					if err := b.CreateTopic(embedded.Topic{Name: topic, Partitions: was.Partitions}); err != nil {
						t.Fatal(err)
					}
				}
				return l, newTopic, remake
			})
		})
	}
}
