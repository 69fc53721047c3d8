package window

import (
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/clickagg/clickagg/internal/click"
)

func TestYY(t *testing.T) {
	if os.Getenv("ZZ") == "" {
		t.Skip()
	}
	runtime.LockOSThread()
	tr := newTraffic(60000)
	tab := &ids{reach: 10}
	c := counts{}
	n := int64(0)
	ins := func() { d := id(n); n++; tab.insert(hashID(d), slot{d.Hi, d.Lo, 0, 1}) }
	for range 1_500_000 {
		ins()
	}
	var rs [][]byte
	for range 100 {
		rs = append(rs, tr.section(5000))
	}
	for _, r := range rs {
		sec, _ := click.ParseSection(r)
		var k click.Routed
		for sec.Clicks.Next(&k) {
			c.add(click.HashAd(k.Ad, 5), k.Ad, 1000000)
		}
	}
	ds := map[string][]int{}
	add := func(name string, t0 time.Duration) { ds[name] = append(ds[name], int(cpu()-t0)/5) }
	var sink uint64
	hs := make([]click.ID, 5000)
	ks := make([]click.Routed, 5000)
	for round := range 400 {
		for i := range hs {
			hs[i] = id(1<<40 + int64(round*5000+i))
		}
		t0 := cpu()
		for i := range hs {
			h := hashID(hs[i])
			sink += uint64(tab.find(h, hs[i], 1, 1))
		}
		add("find", t0)
		for i := range hs {
			hs[i] = id(1<<41 + int64(round*5000+i))
		}
		t0 = cpu()
		for b := 0; b+32 <= 5000; b += 32 {
			for i := b; i < b+32; i++ {
				sink += tab.touch(hashID(hs[i]))
			}
			for i := b; i < b+32; i++ {
				sink += uint64(tab.find(hashID(hs[i]), hs[i], 1, 1))
			}
		}
		add("touch+find", t0)
		for i := range hs {
			hs[i] = id(1<<42 + int64(round*5000+i))
		}
		t0 = cpu()
		for b := 0; b+32 <= 5000; b += 32 {
			for i := b; i < b+32; i++ {
				sink += tab.touch(hashID(hs[i]))
			}
			for i := b; i < b+32; i++ {
				sink += tab.touchSlot(hashID(hs[i]))
			}
			for i := b; i < b+32; i++ {
				sink += uint64(tab.find(hashID(hs[i]), hs[i], 1, 1))
			}
		}
		add("touch+touchSlot+find", t0)
		r := rs[round%100]
		t0 = cpu()
		sec, _ := click.ParseSection(r)
		for i := 0; sec.Clicks.Next(&ks[i%5000]); i++ {
		}
		add("decode", t0)
		t0 = cpu()
		for i := range ks {
			sink += click.HashAd(ks[i].Ad, 5)
		}
		add("hash", t0)
		t0 = cpu()
		for i := range ks {
			c.add(click.HashAd(ks[i].Ad, 5), ks[i].Ad, 1<<30)
		}
		add("hash+add warm", t0)
		r = rs[(round+50)%100]
		sec, _ = click.ParseSection(r)
		for i := 0; sec.Clicks.Next(&ks[i%5000]); i++ {
		}
		t0 = cpu()
		for i := range ks {
			c.add(click.HashAd(ks[i].Ad, 5), ks[i].Ad, 1<<30)
		}
		add("hash+add", t0)
		r = rs[(round+70)%100]
		sec, _ = click.ParseSection(r)
		for i := 0; sec.Clicks.Next(&ks[i%5000]); i++ {
		}
		t0 = cpu()
		for b := 0; b+32 <= 5000; b += 32 {
			for i := b; i < b+32; i++ {
				sink += c.touch(click.HashAd(ks[i].Ad, 5))
			}
			for i := b; i < b+32; i++ {
				sink += c.touchEntry(click.HashAd(ks[i].Ad, 5))
			}
			for i := b; i < b+32; i++ {
				c.add(click.HashAd(ks[i].Ad, 5), ks[i].Ad, 1<<30)
			}
		}
		add("touch+add", t0)
		// insert half of the time in a fresh copy would grow; insert a few
		t0 = cpu()
		g := &tab.segments[round]
		tab.clean(g)
		ds["clean per slot ps"] = append(ds["clean per slot ps"], int(cpu()-t0)*1000/(len(g.slots)))
		t0 = cpu()
		tab.rebuild(g)
		ds["rebuild per taken ps"] = append(ds["rebuild per taken ps"], int(cpu()-t0)*1000/int(g.taken))
	}
	for name, d := range ds {
		slices.Sort(d)
		t.Log(name, "ps/op p10", d[len(d)/10], "p50", d[len(d)/2])
	}
	_ = sink
}
