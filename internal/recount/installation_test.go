package recount

import (
	"testing"
	"time"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/internal/stream/memory"
)

// telling is a log whose brokers tell their time, unless it is zero.
type telling struct {
	*memory.Log
	told time.Time
}

func (l telling) BrokerTime(time.Time) (time.Time, bool) { return l.told, !l.told.IsZero() }

// TestAsOf: the brokers' time is also known to who never appended, and where no broker tells it.
func TestAsOf(t *testing.T) {
	t.Parallel()
	log := new(memory.Log)
	log.Create("shuffle", 2)
	i := Installation{Shuffle: "shuffle", Skew: 2 * time.Second}
	now := time.Now()
	says := func(l stream.Log, want int64) {
		t.Helper()
		i.Log = l
		if got, err := i.asOf(t.Context(), now); err != nil || got != want {
			t.Errorf("%d, %v; want %d", got, err, want)
		}
	}
	says(log, now.UnixMilli()-2000)
	says(telling{Log: log}, click.None)
	for range 3 {
		if err := log.Append(t.Context(), "shuffle", []stream.Message{{Value: []byte("x")}}); err != nil {
			t.Fatal(err)
		}
	}
	last := log.Records("shuffle", 0)[2].Append
	says(telling{Log: log}, last-2000)
	says(telling{log, time.UnixMilli(last - 5000)}, last-2000)
	says(telling{log, time.UnixMilli(last + 5000)}, last+3000)
}
