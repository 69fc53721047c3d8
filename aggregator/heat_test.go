package aggregator

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/clickagg/clickagg/aggregator/window"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/control"
	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/internal/stream/memory"
)

const minute = 60_000

// stove is the heat of the shard that "hot" has its home in, of two.
type stove struct {
	*heat
	t     *testing.T
	log   *memory.Log
	topic string
}

func newStove(t *testing.T) *stove {
	t.Helper()
	topics := click.TopicsOf("clickagg")
	log := new(memory.Log)
	log.Create(topics.Control, 1)
	log.Create(topics.Shuffle, 2)
	if _, err := control.Settle(t.Context(), log, topics.Control, control.Cluster{ID: "x", Shards: 2, Reducers: 1, WindowMS: minute}, topics.Shuffle); err != nil {
		t.Fatal(err)
	}
	router := click.NewRouter(7, 2)
	a := New(log, nil, Config{
		Topics: topics, Window: window.Config{Shards: 2, Reducers: 1, Size: minute}, Hot: Hot{Threshold: 100, Shards: 2, Router: router},
	}, stream.Wall{}, NewMetrics(nil), zap.NewNop())
	s := &stove{heat: a.heat(router.Home([]byte("hot"))), t: t, log: log, topic: topics.Control}
	s.open(0)
	return s
}

func (s *stove) open(before int64) {
	s.t.Helper()
	if err := control.Open(s.t.Context(), s.log, s.topic, before); err != nil {
		s.t.Fatal(err)
	}
}

// says lets the shard say of one ad's clicks in a minute, and decide then.
func (s *stove) says(ad string, minutes, count int64, share bool, watermark int64) {
	s.note([]window.Heavy{{Ad: []byte(ad), Start: minutes * minute, Count: count, Share: share}})
	s.then(watermark)
}

func (s *stove) then(watermark int64) {
	time.Sleep(heatEvery) // of the bubble's clock
	s.decide(s.t.Context(), watermark*minute)
}

// now is over how many shards an ad is.
func (s *stove) now(ad string) int32 {
	s.t.Helper()
	f, err := control.Load(s.t.Context(), s.log, s.topic)
	if err != nil {
		s.t.Fatal(err)
	}
	if h, ok := f.Hot(ad); ok {
		return h.Shards
	}
	return 1
}

func (s *stove) is(when, ad string, want int32) {
	s.t.Helper()
	if got := s.now(ad); got != want {
		s.t.Errorf("%s: %s is over %d shards, not %d", when, ad, got, want)
	}
}

func TestHeat(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStove(t)
		s.says("hot", 1, 99, false, 0)
		s.is("below the threshold", "hot", 1)
		s.says("elsewhere at home", 1, 500, false, 0)
		for i := range 20 { // of these some have their home in the other shard
			s.says(fmt.Sprint("ad", i), 1, 500, false, 0)
			want := int32(1)
			if s.a.cfg.Hot.Router.Home(fmt.Append(nil, "ad", i)) == s.shard {
				want = 2
			}
			s.is("hot, here or there", fmt.Sprint("ad", i), want)
		}
		s.says("hot", 1, 100, false, 0)
		s.is("at the threshold", "hot", 2)
		n := len(s.log.Records(s.topic, 0))
		s.says("hot", 1, 150, false, 1)
		if again := len(s.log.Records(s.topic, 0)); again != n {
			t.Errorf("said again: %d facts, before %d", again, n)
		}
		for m := int64(2); m < 10; m++ { // 25 clicks here are 50 in both
			s.says("hot", m, 25, true, m+1)
			s.is("half as hot", "hot", 2)
		}
		s.says("hot", 10, 24, true, 14)
		s.is("cool for four minutes", "hot", 2)
		s.says("hot", 11, 24, true, 15)
		s.is("cool for five minutes", "hot", 1)
		s.open(20 * minute)
		s.says("hot", 16, 100, false, 16)
		s.is("hot again", "hot", 2)
		s.then(17)
		s.then(24)
		s.is("not spread for five minutes yet", "hot", 2)
		s.then(25)
		s.is("without a click", "hot", 1)
		s.open(200 * minute)
		s.says("hot", 139, 100, false, 141)
		s.is("hot an hour ago", "hot", 1)
	})
}

// What an operator pinned stays, and is for the shards to end once it is unpinned.
func TestHeatLeavesPinsAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStove(t)
		pin := func(h control.Hot) {
			h.Operator = true
			if err := control.NoteHot(t.Context(), s.log, s.topic, "hot", h); err != nil {
				t.Fatal(err)
			}
		}
		pin(control.Hot{Shards: 1, Pinned: true})
		s.says("hot", 1, 1000, false, 1)
		s.is("pinned to one", "hot", 1)
		pin(control.Hot{Shards: 2, Pinned: true})
		s.then(1)
		s.then(50)
		s.is("pinned to two", "hot", 2)
		pin(control.Hot{Shards: 2})
		s.then(50)
		s.is("unpinned", "hot", 2)
		s.then(55)
		s.is("unpinned and cool", "hot", 1)
	})
}

// Without a threshold nothing is spread by itself, and what is spread is merged back.
func TestHeatTurnedOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStove(t)
		s.says("hot", 1, 1000, false, 1)
		s.is("with a threshold", "hot", 2)
		s.a.cfg.Hot.Threshold = 0
		s.says("hot", 2, 1000, true, 2)
		s.says("hot", 7, 1000, true, 7)
		s.is("without", "hot", 1)
		s.says("hot", 8, 1000, false, 8)
		s.is("without", "hot", 1)
	})
}

// A control topic that cannot be read changes nothing, and holds nothing up.
func TestHeatWithoutControl(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStove(t)
		s.a.log = away{s.log}
		s.says("hot", 1, 1000, false, 1)
		s.is("it was away", "hot", 1)
		s.a.log = s.log
		s.then(1)
		s.is("it is back", "hot", 2)
	})
}

// away is a log whose topics cannot be reached.
type away struct{ stream.Log }

func (away) Bounds(context.Context, string, int32) (start, end int64, err error) {
	return 0, 0, errors.New("away")
}
