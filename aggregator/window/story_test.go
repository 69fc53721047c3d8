package window

import (
	"fmt"
	"math/rand"

	"github.com/clickagg/clickagg/internal/click"
)

// setting is a shard's configuration and the rules by which its mappers begin.
type setting struct {
	Config
	click.Rules
	lateness int64
}

// rule makes other rules.
func (c *setting) rule(rng *rand.Rand) {
	c.lateness = rng.Int63n(3000)
	c.Rules = click.Rules{Horizon: rng.Int63n(6000), MaxIDs: 1000, MaxAds: 100, Top: rng.Int63n(5), Tick: rng.Int63n(3000)}
	if rng.Intn(3) == 0 {
		c.MaxIDs, c.MaxAds = 1+rng.Int63n(20), 1+rng.Int63n(5)
	}
}

func randomSetting(rng *rand.Rand) setting {
	cfg := setting{Config: Config{Shard: 1, Shards: 3, Reducers: 1 + rng.Int31n(3), Size: 1000, Filter: "000"}}
	cfg.rule(rng)
	return cfg
}

// spread tells whether an ad is, in the window that starts at a time: one of three is
// in every other two windows.
func spread(ad []byte, start, size int64) bool { return ad[0] == 'b' && start/size%4 < 2 }

// share adds the share that a click is of.
func share(shares []click.Share, size int64, r *click.Routed) []click.Share {
	start := r.Time - r.Time%size
	if !spread(r.Ad, start, size) {
		return shares
	}
	from := start - start%(4*size)
	for i := range shares {
		if shares[i].Ad == string(r.Ad) && shares[i].From == from {
			return shares
		}
	}
	return append(shares, click.Share{Ad: string(r.Ad), From: from, Until: from + 2*size})
}

// filterSets follow each other in the windows of a story. A filter comes, goes and has other bits.
var filterSets = [][]string{nil, {"KR"}, {"-", "KR", "mobile"}, {"00", "mobile"}, {"KR"}, {"KR", "mobile"}}

// filter holds a click against the filters of its window, now and then against those
// of another, and lets it pass some.
func filter(rng *rand.Rand, r *click.Routed, size int64) {
	n := int(r.Time / size / 2)
	if rng.Intn(20) == 0 {
		n++
	}
	set := filterSets[n%len(filterSets)]
	if set == nil || rng.Intn(3) == 0 {
		return
	}
	if r.Mask = rng.Uint64() & (1<<len(set) - 1); r.Mask != 0 {
		r.Filters = set
	}
}

// story is a random log of encoded sections, with repeats, overlaps, idle
// sources, ids met again near and far, clicks in any order, owners that follow each
// other and bring other rules, and sources that are retired and come back.
func story(rng *rand.Rand, cfg setting, sections int) [][]byte {
	type state struct {
		click.Section
		setting
		sent [][]byte
		log  []click.Routed // all clicks of the source, at their offsets; Ad nil is no click
	}
	sources := make([]state, 1+rng.Intn(3))
	for i := range sources {
		sources[i].setting = cfg
		sources[i].Closed = click.None
	}
	now := 100 * cfg.Size
	masked := rng.Intn(4) > 0
	var log [][]byte
	for range sections {
		i := rng.Intn(len(sources))
		s := &sources[i]
		s.Source = click.Source{Topic: "clicks", Partition: int32(i)}
		now += rng.Int63n(cfg.Size / 2)
		if rng.Intn(8) == 0 || s.Final {
			s.Term += 1 + rng.Int63n(2)
			s.setting.rule(rng)
		}
		for range rng.Intn(8) {
			at := now - rng.Int63n(1+s.lateness+2*cfg.Size)
			n := rng.Intn(40)
			s.log = append(s.log, click.Routed{
				Offset: int64(len(s.log)), Time: max(0, at), ID: id(int64(n)), Check: uint32(rng.Intn(2)),
				Ad: fmt.Appendf(nil, "%c%d", 'a'+n%3, n%5),
			})
			if masked {
				filter(rng, &s.log[len(s.log)-1], cfg.Size)
			}
			if rng.Intn(4) == 0 {
				s.log = append(s.log, click.Routed{Offset: int64(len(s.log))})
			}
		}
		start := s.End
		if rng.Intn(4) == 0 && len(log) > 0 { // a mapper began anew
			start -= rng.Int63n(start + 1)
		}
		sec := click.Section{
			Source: s.Source, Term: s.Term, Start: start, End: int64(len(s.log)), Final: rng.Intn(25) == 0, At: now,
			Sources: int32(1 + rng.Intn(len(sources))), Rules: s.setting.Rules,
			Watermark: max(s.Watermark, now-rng.Int63n(2*cfg.Size)),
		}
		if rng.Intn(5) == 0 {
			sec.Watermark = s.Watermark
		}
		if len(s.sent) == 0 {
			sec.Watermark = click.None
		}
		if sec.Closed = s.Closed; sec.Watermark != click.None {
			sec.Closed = max(s.Closed, sec.Watermark-s.lateness)
		}
		sec.Account.Received, sec.Account.Routed = sec.End, sec.End
		sec.Clicks.Reset(start)
		for _, r := range s.log[start:] {
			if r.Ad != nil {
				sec.Clicks.Add(&r)
				sec.Shares = share(sec.Shares, cfg.Size, &r)
			}
		}
		s.Section = sec
		s.sent = append(s.sent, sec.Append(nil))
		log = append(log, s.sent[len(s.sent)-1])
		if rng.Intn(6) == 0 { // and one wrote again what it had written
			log = append(log, s.sent[rng.Intn(len(s.sent))])
		}
	}
	return log
}
