package main

import (
	"fmt"
	"strconv"

	"github.com/clickagg/clickagg/aggregator/window"
	"github.com/clickagg/clickagg/internal/click"
)

const (
	sectionClicks = 250     // of a shard, 20 ms at 50,000 clicks/s over four
	delay         = 15_000  // watermark.delay, ms
	lateness      = 300_000 // window.allowed_lateness, ms
	size          = 60_000  // window.size, ms
	start         = int64(1_750_000_020_000)
)

var rules = click.Rules{Horizon: 600_000, MaxIDs: 1 << 40, MaxAds: 1 << 30, Top: 1000, Tick: 500}

// traffic makes the sections of one shard: every click has a new id, and an ad that
// is any of the shard's.
type traffic struct {
	shard, shards int64
	ads           int64   // of all shards
	rate          float64 // clicks a second of event time, of this shard
	n             int64   // clicks so far
	random        uint64
	buf, ad       []byte
}

func newTraffic(o *options, shard int) *traffic {
	return &traffic{shard: int64(shard), shards: int64(o.shards), ads: int64(o.ads), rate: o.rate / float64(o.shards), random: uint64(shard)}
}

// next draws 64 bits (splitmix64).
func (t *traffic) next() uint64 {
	t.random += 0x9e3779b97f4a7c15
	x := t.random
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// section is the next one, valid until the one after it.
func (t *traffic) section() (click.Section, error) {
	sec := click.Section{
		Source: click.Source{Topic: "clicks"}, Start: t.n, End: t.n + sectionClicks, Sources: 1, Rules: rules,
	}
	sec.Clicks.Reset(t.n)
	now := int64(0)
	for range sectionClicks {
		now = start + int64(float64(t.n)/t.rate*1000)
		t.ad = append(t.ad[:0], "ad"...)
		t.ad = strconv.AppendInt(t.ad, 1_000_000+int64(t.next()%uint64(t.ads/t.shards))*t.shards+t.shard, 10)
		sec.Clicks.Add(&click.Routed{
			Offset: t.n, Time: now, ID: click.ID{Hi: t.next(), Lo: t.next()}, Check: uint32(t.n), Ad: t.ad,
		})
		t.n++
	}
	sec.At, sec.Watermark = now, now-delay
	sec.Closed = sec.Watermark - lateness
	t.buf = sec.Append(t.buf[:0])
	return click.ParseSection(t.buf)
}

// fold lets a shard count the next section.
func (t *traffic) fold(s *window.Shard) error {
	sec, err := t.section()
	if err != nil {
		return err
	}
	if err := s.Fold(s.Position(), &sec); err != nil {
		return fmt.Errorf("shard %d: %w", t.shard, err)
	}
	s.Out()
	return nil
}
