package click

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
)

func someBytes(rng *rand.Rand, most int) []byte {
	b := make([]byte, rng.IntN(most+1))
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

func someTotal(rng *rand.Rand) int64 { return rng.Int64N(1<<62+1) >> rng.IntN(63) }

func someTime(rng *rand.Rand) int64 {
	switch rng.IntN(4) {
	case 0:
		return None
	case 1:
		return int64(rng.Uint64()) | 1 // not None
	}
	return rng.Int64N(4e12)
}

func someSource(rng *rand.Rand) (s Source) {
	copy(s.ID[:], someBytes(rng, len(s.ID)))
	s.Topic, s.Partition = string(someBytes(rng, 12)), rng.Int32()
	return s
}

func someAccount(rng *rand.Rand) Account {
	a := Account{
		Skipped: someTotal(rng), Received: someTotal(rng), Marks: someTotal(rng), Late: someTotal(rng), Routed: someTotal(rng),
	}
	for i := range rng.IntN(len(a.Rejected) + 1) {
		a.Rejected[i] = someTotal(rng)
	}
	return a
}

func someSection(rng *rand.Rand) (s Section, clicks []Routed) {
	s = Section{
		Source: someSource(rng), Term: someTotal(rng), Start: someTotal(rng) / 2, Final: rng.IntN(2) == 0,
		Watermark: someTime(rng), Closed: someTime(rng), At: someTime(rng),
		Sources: rng.Int32N(1<<20 + 1), Account: someAccount(rng),
		Rules: Rules{Horizon: someTotal(rng), MaxIDs: someTotal(rng), MaxAds: someTotal(rng), Top: someTotal(rng), Tick: someTotal(rng)},
	}
	for range max(0, rng.IntN(6)-3) {
		s.Shares = append(s.Shares, Share{Ad: string(someBytes(rng, 9)), From: someTime(rng), Until: someTime(rng)})
	}
	s.Clicks.Reset(s.Start)
	at := s.Start
	sets := [][]string{someFilters(rng), someFilters(rng)}
	for range rng.IntN(5) {
		at += 1 + rng.Int64N(300)
		c := Routed{
			Offset: at, Time: int64(rng.Uint64()), ID: ID{rng.Uint64(), rng.Uint64()}, Check: rng.Uint32(), Ad: someBytes(rng, 20),
		}
		if set := sets[rng.IntN(2)]; rng.IntN(2) == 0 {
			c.Filters, c.Mask = set, 1+rng.Uint64N(1<<min(2, len(set))-1)
		}
		s.Clicks.Add(&c)
		clicks = append(clicks, c)
	}
	s.End = at + 1 + rng.Int64N(3)
	return s, clicks
}

// walk takes the clicks out of a list and tells whether it was well formed.
func walk(c Clicks) (clicks []Routed, whole bool) {
	var r Routed
	for c.Next(&r) {
		clicks = append(clicks, r)
	}
	return clicks, c.Whole()
}

func TestSectionIdentity(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 1))
	var used Section
	for range 2000 {
		s, clicks := someSection(rng)
		b := s.Append([]byte("before"))[len("before"):]
		got, err := ParseSection(b)
		if err != nil {
			t.Fatalf("%+v: %v", s, err)
		}
		if err := used.Parse(b); err != nil || !bytes.Equal(used.Append(nil), b) {
			t.Fatalf("parsed into a used section: %+v, %v; fresh: %+v", used, err, got)
		}
		walked, whole := walk(got.Clicks)
		if !whole || !reflect.DeepEqual(walked, clicks) {
			t.Fatalf("clicks %+v, whole %v; encoded %+v", walked, whole, clicks)
		}
		if !bytes.Equal(got.Append(nil), b) {
			t.Fatalf("encoded again it is another: %+v", got)
		}
		got.Clicks, s.Clicks = Clicks{}, Clicks{}
		if !reflect.DeepEqual(got, s) {
			t.Fatalf("decoded %+v, encoded %+v", got, s)
		}
	}
}

// TestSectionCut: a section that lost its end is refused, or its clicks end early
// and say so. What came before the cut is as it was.
func TestSectionCut(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(2, 1))
	for range 100 {
		s, clicks := someSection(rng)
		b := s.Append(nil)
		for i := range b {
			got, err := ParseSection(b[:i:i])
			if err != nil {
				if !errors.Is(err, ErrWire) {
					t.Fatal(err)
				}
				continue
			}
			walked, whole := walk(got.Clicks)
			if whole || len(walked) >= len(clicks) || len(walked) > 0 && !reflect.DeepEqual(walked, clicks[:len(walked)]) {
				t.Fatalf("cut at %d of %d: %d of %d clicks, whole %v", i, len(b), len(walked), len(clicks), whole)
			}
		}
		if got, err := ParseSection(append(bytes.Clone(b), 0)); err == nil {
			if _, whole := walk(got.Clicks); whole {
				t.Fatal("a byte too many was not noticed")
			}
		}
	}
}

// TestOneEncoding: what says the same in other bytes is refused.
func TestOneEncoding(t *testing.T) {
	t.Parallel()
	for name, b := range map[string][]byte{
		"overlong number": {0x81, 0x00}, "overlong zero": {0x80, 0x00}, "more than 64 bits": {255, 255, 255, 255, 255, 255, 255, 255, 255, 2},
		"unfinished": {0x80}, "nothing": {},
	} {
		d := NewDecoder(b)
		if d.Uint(); d.End(name) == nil {
			t.Errorf("%s: taken as a number", name)
		}
		d = NewDecoder(b)
		if d.Int(); d.End(name) == nil {
			t.Errorf("%s: taken as a signed number", name)
		}
		d = NewDecoder(append([]byte{1}, b...))
		if d.Time(); d.End(name) == nil {
			t.Errorf("%s: taken as a time", name)
		}
	}
	d := NewDecoder(binary.AppendVarint([]byte{1}, math.MinInt64))
	if d.Time(); !d.Bad() {
		t.Error("None in many bytes was taken")
	}
	d = NewDecoder([]byte{0, 0, 0, 0, 0, 1, 0})
	if d.account(); !d.Bad() {
		t.Error("an account with a needless zero was taken")
	}

	d = NewDecoder([]byte{2})
	if d.Flag(); !d.Bad() {
		t.Error("a flag that is neither 0 nor 1 was taken")
	}
	d = NewDecoder([]byte{100, 1, 2, 3})
	if n := d.Count(2); n != 0 || !d.Bad() {
		t.Errorf("%d things of 2 bytes in 3 bytes", n)
	}

	s := Section{Source: goldenSource, Start: 5, End: 9}
	s.Clicks.Reset(5)
	empty := s.Append(nil)
	if _, err := ParseSection(append(bytes.Clone(empty), 0)); err == nil {
		t.Error("bytes after no clicks were taken")
	}
	if _, err := ParseSection(append(empty[:len(empty)-1:len(empty)-1], 2)); err == nil {
		t.Error("times of no click relative to something were taken")
	}
	s.Clicks.Add(&Routed{Offset: 6, Time: 1000, Ad: []byte("a")})
	c := s.Clicks
	c.base = 999
	c.b = append([]byte{1, 2}, c.b[2:]...) // the same time, relative to another
	s.Clicks = c
	if walked, whole := walk(Clicks{N: 1, b: c.b, base: c.base, prev: 5}); !whole || walked[0].Time != 1000 {
		t.Fatalf("not the same time: %+v", walked)
	}
	if _, err := ParseSection(s.Append(nil)); err == nil {
		t.Error("times relative to another base were taken")
	}
}

// TestClicksRefuse: a list that no mapper writes ends early and says so.
func TestClicksRefuse(t *testing.T) {
	t.Parallel()
	fixed := make([]byte, 16+4) // id and check
	click := func(offset, at, length, ad []byte) []byte {
		return slices.Concat(offset, at, fixed, length, ad)
	}
	good := click([]byte{1}, []byte{0}, []byte{1}, []byte("a"))
	if walked, whole := walk(Clicks{N: 1, b: good}); !whole || len(walked) != 1 {
		t.Fatalf("a good one is refused: %+v", walked)
	}
	for name, b := range map[string][]byte{
		"offset in too many bytes": click([]byte{0x81, 0}, []byte{0}, []byte{1}, []byte("a")),
		"offset falls":             click(binary.AppendUvarint(nil, 1<<63), []byte{0}, []byte{1}, []byte("a")),
		"time in too many bytes":   click([]byte{1}, []byte{0x80, 0}, []byte{1}, []byte("a")),
		"length in too many bytes": click([]byte{1}, []byte{0}, []byte{0x81, 0}, []byte("a")),
		"length beyond the end":    click([]byte{1}, []byte{0}, []byte{2}, []byte("a")),
		"bytes left":               append(bytes.Clone(good), 0),
	} {
		if walked, whole := walk(Clicks{N: 1, b: b}); whole {
			t.Errorf("%s: %+v", name, walked)
		}
	}
}

func TestSectionRefuses(t *testing.T) {
	t.Parallel()
	good := goldenSection()
	for name, change := range map[string]func(*Section){
		"more clicks than offsets": func(s *Section) { s.End = s.Start + 1 },
		"negative start":           func(s *Section) { s.Start = -1 },
		"end beyond all offsets":   func(s *Section) { s.Start, s.End = 1<<62, math.MinInt64 },
		"too many sources":         func(s *Section) { s.Sources = 1<<20 + 1 },
		"negative partition":       func(s *Section) { s.Source.Partition = -1 },
		"negative total":           func(s *Section) { s.Account.Received = -1 },
		"negative term":            func(s *Section) { s.Term = -1 },
		"negative rule":            func(s *Section) { s.Rules.Tick = -1 },
	} {
		s := good
		change(&s)
		if _, err := ParseSection(s.Append(nil)); !errors.Is(err, ErrWire) {
			t.Errorf("%s: %v", name, err)
		}
	}
	b := good.Append(nil)
	b[0] += 3
	if _, err := ParseSection(b); !errors.Is(err, ErrWire) {
		t.Errorf("another version: %v", err)
	}
}

func TestAccountIdentity(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 1))
	for range 1000 {
		a := someAccount(rng)
		got, rest, err := ParseAccount(append(AppendAccount(nil, &a), "rest"...))
		if err != nil || got != a || string(rest) != "rest" {
			t.Fatalf("decoded %+v, %q, %v; encoded %+v", got, rest, err, a)
		}
	}
}

func FuzzParseSection(f *testing.F) {
	s := goldenSection()
	f.Add(s.Append(nil))
	rng := rand.New(rand.NewPCG(4, 1))
	for range 20 {
		s, _ := someSection(rng)
		f.Add(s.Append(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := ParseSection(b)
		if err != nil {
			if !errors.Is(err, ErrWire) {
				t.Fatal(err)
			}
			return
		}
		if again := s.Append(nil); !bytes.Equal(again, b) {
			t.Fatalf("%x was taken, and written as %x", b, again)
		}
		clicks, whole := walk(s.Clicks)
		if !whole {
			return
		}
		s.Clicks = Clicks{}
		s.Clicks.Reset(s.Start)
		for i := range clicks {
			s.Clicks.Add(&clicks[i])
		}
		if again := s.Append(nil); !bytes.Equal(again, b) {
			t.Fatalf("%x was taken, and its clicks written as %x", b, again)
		}
	})
}

func FuzzParseAccount(f *testing.F) {
	a := goldenAccount()
	f.Add(AppendAccount(nil, &a))
	f.Add([]byte{0, 0, 0, 0, 0, 0, 7})
	f.Fuzz(func(t *testing.T, b []byte) {
		a, rest, err := ParseAccount(b)
		if err != nil {
			if !errors.Is(err, ErrWire) {
				t.Fatal(err)
			}
			return
		}
		if again := append(AppendAccount(nil, &a), rest...); !bytes.Equal(again, b) {
			t.Fatalf("%x was taken, and written as %x", b, again)
		}
	})
}

func TestClicksAllocateNothing(t *testing.T) {
	var s, parsed Section
	ad, filters := []byte("ad-000017"), []string{"KR", "mobile"}
	var b []byte
	round := func() {
		s.Start, s.End = 100, 1100
		s.Source = goldenSource
		s.Clicks.Reset(s.Start)
		for i := range int64(1000) {
			r := Routed{Offset: 100 + i, Time: goldenMinute + i, Ad: ad}
			if i%3 > 0 {
				r.Filters, r.Mask = filters, uint64(i%3)
			}
			s.Clicks.Add(&r)
		}
		b = s.Append(b[:0])
		if err := parsed.Parse(b); err != nil {
			t.Fatal(err)
		}
		var r Routed
		for parsed.Clicks.Next(&r) {
			if string(r.Ad) != string(ad) {
				t.Fatal(string(r.Ad))
			}
		}
		if !parsed.Clicks.Whole() {
			t.Fatal("not whole")
		}
	}
	round()
	if n := testing.AllocsPerRun(20, round); n != 0 {
		t.Errorf("%v allocations per 1,000 clicks", n)
	}
}

func BenchmarkClicksNext(b *testing.B) {
	var s Section
	s.Clicks.Reset(0)
	for i := range int64(1000) {
		s.Clicks.Add(&Routed{Offset: i, Time: goldenMinute + i, Ad: []byte("ad-000017")})
	}
	b.ReportAllocs()
	for b.Loop() {
		c := s.Clicks
		c.prev = 0
		var r Routed
		for c.Next(&r) {
		}
		if !c.Whole() {
			b.Fatal("not whole")
		}
	}
	b.ReportMetric(float64(b.N)*1000/b.Elapsed().Seconds()/1e6, "Mclicks/s")
}

func BenchmarkClicksAdd(b *testing.B) {
	var s Section
	r := Routed{Ad: []byte("ad-000017")}
	b.ReportAllocs()
	for b.Loop() {
		s.Clicks.Reset(0)
		for i := range int64(1000) {
			r.Offset, r.Time = i, goldenMinute+i
			s.Clicks.Add(&r)
		}
	}
	b.ReportMetric(float64(b.N)*1000/b.Elapsed().Seconds()/1e6, "Mclicks/s")
}
