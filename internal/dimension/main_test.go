package dimension

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/clickagg/clickagg/internal/control"
	"github.com/clickagg/clickagg/internal/stream/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	topic  = "clickagg.control"
	minute = 60_000
)

// installation is a log with an installation in which nothing is open.
func installation(t *testing.T) *memory.Log {
	t.Helper()
	log := new(memory.Log)
	log.Create(topic, 1)
	log.Create("clickagg.shuffle", 4)
	if _, err := control.Settle(t.Context(), log, topic, control.Cluster{Shards: 4, Reducers: 1, WindowMS: minute}, "clickagg.shuffle"); err != nil {
		t.Fatal(err)
	}
	return log
}

func open(t *testing.T, log *memory.Log, before int64) {
	t.Helper()
	if err := control.Open(t.Context(), log, topic, before); err != nil {
		t.Fatal(err)
	}
}

// set is a set of filters without further fields.
func set(filters ...control.Filter) control.FilterSet { return control.NewFilterSet(filters, nil) }

func one(id, where string) control.Filter { return control.Filter{ID: id, Where: where} }

func apply(t *testing.T, log *memory.Log, s control.FilterSet) Change {
	t.Helper()
	c, err := Apply(t.Context(), log, topic, s)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func facts(t *testing.T, log *memory.Log) *control.Facts {
	t.Helper()
	f, err := control.Load(t.Context(), log, topic)
	if err != nil {
		t.Fatal(err)
	}
	return &f
}
