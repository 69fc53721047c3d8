package main

import (
	"math/rand/v2"
	"strconv"
	"time"
)

// The stream: half an hour of clicks, and as much event time after it as closes
// its last minute.
const (
	ads      = 100_000
	skew     = 1.1 // exponent of Zipf's law
	minutes  = 30
	minuteMs = 60_000
	tailMs   = 20_000
	spanMs   = minutes*minuteMs + tailMs

	base = 1_764_000_000_000 // event time of the beginning, Unix ms; a whole minute

	disorderMs = 10_000 // how far a click may be behind
	repeats    = 0.0204 // chance of a click to come again, which makes 2% of all
	againMs    = 58_000 // how much later at most
)

// clicks makes the stream, click by click, and keeps the right answer.
type clicks struct {
	n, made int64
	random  *rand.Rand
	zipf    *rand.Zipf
	again   [][][]byte // what comes again, by number of the click it comes after
	due     [][]byte
	value   []byte
	truth   truth
}

func newClicks(n int64, seed uint64) *clicks {
	random := rand.New(rand.NewPCG(seed, 0x7065657273))
	return &clicks{
		n: n, random: random, zipf: rand.NewZipf(random, skew, 1, ads-1),
		again: make([][][]byte, max(2, n*againMs/spanMs)),
		truth: newTruth(),
	}
}

// Where the id stands in a click.
const (
	idStart = len(`{"event_id":"`)
	idEnd   = idStart + 36
)

// next returns the next click, valid until the call after, and its key. There is
// none after n.
func (c *clicks) next() (key, value []byte, ok bool) {
	if c.made == c.n {
		return nil, nil, false
	}
	slot := &c.again[c.made%int64(len(c.again))]
	c.due, *slot = append(c.due, *slot...), (*slot)[:0]
	if len(c.due) > 0 {
		value, c.due = c.due[0], c.due[1:]
	} else {
		value = c.fresh()
		if c.random.Float64() < repeats {
			slot := (c.made + 1 + c.random.Int64N(int64(len(c.again))-1)) % int64(len(c.again))
			c.again[slot] = append(c.again[slot], append([]byte(nil), value...))
		}
	}
	c.made++
	return value[idStart:idEnd], value, true
}

// fresh makes a click that was not there before: nine of ten a little behind the
// newest, by a third of a second on average, the tenth by up to ten seconds.
func (c *clicks) fresh() []byte {
	behind := c.random.Float64() * disorderMs
	if c.random.Float64() < 0.9 {
		behind = min(c.random.ExpFloat64()*300, disorderMs)
	}
	at := max(0, int64(float64(c.made)/float64(c.n)*spanMs-behind))
	ad := int(c.zipf.Uint64())
	c.truth.add(ad, at)

	r := c.random.Uint64()
	b := append(c.value[:0], `{"event_id":"`...)
	b = appendUUID(b, c.random.Uint64(), c.random.Uint64())
	b = append(b, `","ad_id":"`...)
	b = appendAd(b, ad)
	b = append(b, `","ts":`...)
	b = strconv.AppendInt(b, base+at, 10)
	b = append(b, `,"user_id":"u`...)
	b = strconv.AppendInt(b, c.random.Int64N(1_000_000), 10)
	b = append(b, `","ip":"`...)
	b = strconv.AppendUint(b, 1+r>>56%223, 10)
	for shift := 48; shift >= 32; shift -= 8 {
		b = append(b, '.')
		b = strconv.AppendUint(b, r>>shift&255, 10)
	}
	b = append(b, `","country":"`...)
	b = append(b, country(r&1023)...)
	c.value = append(b, `"}`...)
	return c.value
}

// country is one country for half of the clicks, and others for the rest.
func country(r uint64) string {
	const others = "USJPDEFRBRINGBVN"
	if r < 512 {
		return "KR"
	}
	i := r % 8 * 2
	return others[i : i+2]
}

// appendAd writes the name of an ad, whose order is that of the numbers.
func appendAd(b []byte, ad int) []byte {
	b = append(b, "ad"...)
	for unit := 100_000; unit > 0; unit /= 10 {
		b = append(b, byte('0'+(ad+1)/unit%10))
	}
	return b
}

// parseAd is the number of an ad, or -1.
func parseAd(name []byte) int {
	if len(name) != len("ad000001") || string(name[:2]) != "ad" {
		return -1
	}
	n := 0
	for _, c := range name[2:] {
		if c < '0' || c > '9' {
			return -1
		}
		n = n*10 + int(c-'0')
	}
	if n < 1 || n > ads {
		return -1
	}
	return n - 1
}

// appendUUID writes random bits as a UUID of version 4.
func appendUUID(b []byte, high, low uint64) []byte {
	const digits = "0123456789abcdef"
	high, low = high&^0xf000|0x4000, low&^(3<<62)|2<<62
	for i := range 32 {
		switch i {
		case 8, 12, 16, 20:
			b = append(b, '-')
		}
		word := high
		if i >= 16 {
			word = low
		}
		b = append(b, digits[word>>(60-4*(i%16))&15])
	}
	return b
}

// minuteOf is the number of a window's start, or -1 for what is none. The minutes
// after the last whole one are not asked for: nobody closes them.
func minuteOf(start int64) int {
	if start < base || (start-base)%minuteMs != 0 || start-base >= spanMs {
		return -1
	}
	return int((start - base) / minuteMs)
}

// clock is a minute as people read it.
func clock(minute int) string {
	return time.UnixMilli(base + int64(minute)*minuteMs).UTC().Format("15:04")
}
