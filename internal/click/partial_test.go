package click

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"reflect"
	"testing"
)

func someRows(rng *rand.Rand) (rows []Row) {
	for range rng.IntN(4) {
		rows = append(rows, Row{Ad: someBytes(rng, 10), Count: someTotal(rng)})
	}
	return rows
}

// someSums are rows with digests, most of them known.
func someSums(rng *rand.Rand) []Row {
	rows := someRows(rng)
	for i := range rows {
		if rng.IntN(4) > 0 {
			rows[i].Digest = rng.Uint64()
		}
	}
	return rows
}

func someProgress(rng *rand.Rand) Progress {
	return Progress{
		Source: someSource(rng), High: someTotal(rng), Watermark: someTime(rng), Account: someAccount(rng),
		Tally: Tally{
			Counted: someTotal(rng), Duplicate: someTotal(rng), Conflict: someTotal(rng), Crowded: someTotal(rng), Stale: someTotal(rng),
		},
	}
}

func somePartial(rng *rand.Rand) Partial {
	shards := 1 + rng.Int32N(1<<20)
	p := Partial{
		Shard: rng.Int32N(shards), Shards: shards, Prev: someTotal(rng), Position: someTotal(rng), Chunk: rng.Int32N(1 << 20),
		At: someTime(rng), Top: someTotal(rng), Tick: someTotal(rng), Watermark: None, Closed: None,
	}
	if p.Last = rng.IntN(2) == 0; p.Last {
		p.Watermark, p.Closed = someTime(rng), someTime(rng)
		for range rng.IntN(3) {
			p.Sources = append(p.Sources, someProgress(rng))
		}
	}
	sums, shares := [...]func(*rand.Rand) []Row{someRows, someSums}[rng.IntN(2)], rng.IntN(2) == 0
	for range rng.IntN(4) {
		p.Windows = append(p.Windows, WindowPart{
			Filter: string(someBytes(rng, 4)), Start: int64(rng.Uint64()), Size: someTotal(rng), State: Provisional + State(rng.IntN(3)),
			Revision: someTotal(rng), Clicks: someTotal(rng), Ads: someTotal(rng), Rows: sums(rng), Top: someRows(rng),
		})
		if shares {
			p.Windows[len(p.Windows)-1].Shares = sums(rng)
		}
	}
	return p
}

func TestPartialIdentity(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	var used Partial
	for range 2000 {
		p := somePartial(rng)
		b := p.Append([]byte("before"))[len("before"):]
		var got Partial
		if err := got.Parse(b); err != nil || !reflect.DeepEqual(got, p) {
			t.Fatalf("decoded %+v, %v; encoded %+v", got, err, p)
		}
		if err := used.Parse(b); err != nil || !bytes.Equal(used.Append(nil), b) {
			t.Fatalf("parsed into a used partial: %+v, %v; encoded %+v", used, err, p)
		}
	}
}

func TestProgressIdentity(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(2, 2))
	for range 1000 {
		g := someProgress(rng)
		b := AppendProgress(nil, &g)
		got, rest, err := ParseProgress(append(bytes.Clone(b), "rest"...))
		if err != nil || got != g || string(rest) != "rest" {
			t.Fatalf("decoded %+v, %q, %v; encoded %+v", got, rest, err, g)
		}
		for i := range b {
			if _, _, err := ParseProgress(b[:i]); !errors.Is(err, ErrWire) {
				t.Fatalf("cut at %d: %v", i, err)
			}
		}
	}
}

func TestPartialCut(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 2))
	for range 100 {
		p := somePartial(rng)
		b := p.Append(nil)
		var got Partial
		for i := range b {
			if err := got.Parse(b[:i:i]); !errors.Is(err, ErrWire) {
				t.Fatalf("cut at %d of %d: %v", i, len(b), err)
			}
		}
		if err := got.Parse(append(bytes.Clone(b), 0)); !errors.Is(err, ErrWire) {
			t.Fatalf("a byte too many: %v", err)
		}
		if err := got.Parse(b); err != nil {
			t.Fatalf("after the faults: %v", err)
		}
	}
}

func TestPartialRefuses(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Partial){
		"shard out of range": func(p *Partial) { p.Shard = p.Shards },
		"too many shards":    func(p *Partial) { p.Shards = 1<<20 + 1 },
		"negative number":    func(p *Partial) { p.Prev = -1 },
		"negative chunk":     func(p *Partial) { p.Chunk = -1 },
		"no state":           func(p *Partial) { p.Windows[0].State = 0 },
		"unknown state":      func(p *Partial) { p.Windows[0].State = Corrected + 1 },
		"negative count":     func(p *Partial) { p.Windows[0].Rows[0].Count = -1 },
	} {
		p := goldenPartial()
		change(&p)
		var got Partial
		if err := got.Parse(p.Append(nil)); !errors.Is(err, ErrWire) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What can be said as an earlier version is not taken as a later one: a value has one encoding.
func TestPartialIsWrittenInTheLeastVersion(t *testing.T) {
	t.Parallel()
	p := goldenPartial()
	for _, want := range []byte{partialVersion, partialSharesVersion, partialDigestVersion} {
		switch want {
		case partialSharesVersion:
			p.Windows[0].Shares = []Row{{Ad: []byte("ad-4"), Count: 3}}
		case partialDigestVersion:
			p.Windows[0].Shares[0].Digest = 5
		}
		b := p.Append(nil)
		if b[0] != want {
			t.Errorf("version %d, want %d", b[0], want)
		}
	}
	p.Windows[0].Shares[0].Digest = 0
	b := p.Append(nil)
	b = append(b, make([]byte, 8)...) // the only share's digest
	b[0] = partialDigestVersion
	p.Windows[0].Rows = nil
	if err := new(Partial).Parse(b); !errors.Is(err, ErrWire) {
		t.Errorf("a digest that nobody knows: %v", err)
	}
}

func FuzzPartialParse(f *testing.F) {
	p := goldenPartial()
	f.Add(p.Append(nil))
	rng := rand.New(rand.NewPCG(4, 2))
	for range 5 {
		p := somePartial(rng)
		f.Add(p.Append(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var p Partial
		if err := p.Parse(b); err != nil {
			if !errors.Is(err, ErrWire) {
				t.Fatal(err)
			}
			return
		}
		if again := p.Append(nil); !bytes.Equal(again, b) {
			t.Fatalf("%x was taken, and written as %x", b, again)
		}
	})
}

func TestPartialParseAllocatesNothing(t *testing.T) {
	golden := goldenPartial()
	b := golden.Append(nil)
	var p Partial
	parse := func() {
		if err := p.Parse(b); err != nil {
			t.Fatal(err)
		}
	}
	parse()
	if n := testing.AllocsPerRun(100, parse); n != 0 {
		t.Errorf("%v allocations per partial", n)
	}
}
