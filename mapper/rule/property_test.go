package rule

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/clickagg/clickagg/internal/click"
)

// model is event time as the manual tells it, slow and without cleverness.
type model struct {
	cfg                    Config
	seen, lastAppend, live int64
}

// judge returns what becomes of a click, and the watermark it was judged by.
func (m *model) judge(at, appended int64) (Kind, int64) {
	if at > appended+m.cfg.MaxFuture {
		return Rejected, click.None
	}
	m.wait(appended)
	mark := click.None + m.cfg.Delay
	if m.seen != click.None {
		mark = m.seen
	}
	mark -= m.cfg.Delay
	end := at
	for end%m.cfg.Size != 0 {
		end--
	}
	end += m.cfg.Size
	kind := Routed
	if m.seen != click.None && end+m.cfg.Lateness <= mark {
		kind = Late
	}
	m.see(min(at, appended), appended)
	return kind, mark
}

func (m *model) mark(at, appended int64) {
	m.wait(appended)
	m.see(min(at, appended)+m.cfg.Delay, appended)
}

func (m *model) see(at, appended int64) {
	m.seen = max(m.seen, at)
	m.lastAppend = max(m.lastAppend, appended)
}

// wait moves event time when the partition was silent.
func (m *model) wait(now int64) {
	follows := m.live != click.None && now >= m.live+m.cfg.IdleTimeout
	switch {
	case m.seen != click.None && now-m.lastAppend >= m.cfg.IdleTimeout:
		before, pace := m.seen, now-m.lastAppend
		if !follows && pace > m.cfg.Lateness {
			pace = m.cfg.Lateness
		}
		if follows && m.lastAppend < m.live {
			pace = max(0, now-before)
		}
		if m.seen += pace; m.seen > max(before, now) {
			m.seen = max(before, now)
		}
	case m.seen == click.None && follows:
		m.seen = now
	}
}

// idleMark is the watermark at a time, without moving anything.
func (m model) idleMark(now int64) int64 {
	if now != click.None {
		m.wait(now)
	}
	if m.seen == click.None {
		return click.None
	}
	return m.seen - m.cfg.Delay
}

// closedAt is the greatest end of a closed window at a watermark.
func closedAt(closed, watermark, lateness int64) int64 {
	if watermark == click.None {
		return closed
	}
	return max(closed, watermark-lateness)
}

// gaps are silences around the edges of the rules.
var gaps = []int64{0, 0, 0, 1, 7, 500, 999, 1000, 1001, 2000, 5000, 60_000}

// playAtRandom plays a random log to a partition and to the model, with seals,
// idle or not, and restarts from the committed state in between.
func playAtRandom(t *testing.T, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 1))
	cfg := defaults()
	cfg.Trusted = true
	cfg.Size, cfg.Lateness, cfg.Delay, cfg.MaxFuture, cfg.IdleTimeout = 1000, 2000, 500, 700, 1000
	p := NewPartition(cfg, source, NewState(0))
	m := model{cfg: cfg, seen: click.None, lastAppend: click.None, live: click.None}
	now := int64(stamp)                                    // the broker's clock
	sealed, closed := int64(click.None), int64(click.None) // the greatest watermark and end of a closed window that were sealed
	offset := int64(0)
	for step := range 200 {
		gap := gaps[rng.IntN(len(gaps))]
		if rng.IntN(3) == 0 { // a seal at any time before the next record
			idle := int64(click.None)
			if rng.IntN(3) > 0 {
				idle = now + rng.Int64N(gap+1)
			}
			state := p.s
			section := p.Seal(offset, now, idle, 1)[0]
			got := section.Watermark
			if want := max(sealed, m.idleMark(idle)); got != want {
				t.Fatalf("seed %d, step %d: sealed %d, want %d", seed, step, got, want)
			}
			if closed = closedAt(closed, got, cfg.Lateness); section.Closed != closed || p.HandOver().Closed != max(closed, p.s.Closed) {
				t.Fatalf("seed %d, step %d: closed up to %d, handed over %d, want %d", seed, step, section.Closed, p.HandOver().Closed, closed)
			}
			if sealed = got; p.s != state || p.State() != state {
				t.Fatalf("seed %d, step %d: sealing changed the state", seed, step)
			}
			if rng.IntN(4) == 0 {
				again, err := DecodeState(p.State().Encode())
				if err != nil {
					t.Fatal(err)
				}
				p, sealed, closed = NewPartition(cfg, source, again), click.None, again.Closed
			}
		}
		if rng.IntN(20) == 0 {
			told := now - rng.Int64N(3000)
			p.SetLive(told)
			if m.live == click.None || told < m.live {
				m.live = told
			}
		}
		now += gap
		offset += rng.Int64N(10) / 9
		at := now - []int64{0, 300, 1500, 4000, 20_000}[rng.IntN(5)] + rng.Int64N(1500) - 750
		var got, want Kind
		mark := int64(click.None)
		switch rng.IntN(12) {
		case 0:
			got, want = p.Add(markAt(offset, fmt.Sprint(at), now)).Kind, Mark
			m.mark(at, now)
		case 1:
			got, want = p.Add(&click.Record{Offset: offset, Append: now}).Kind, Tombstone
		case 2:
			got, want = p.Add(&click.Record{Offset: offset, Append: now, Value: []byte("{}")}).Kind, Rejected
		default:
			want, mark = m.judge(at, now)
			got = p.Add(clickAt(offset, at, now)).Kind
		}
		offset++
		if got != want || p.s.Seen != m.seen || p.s.LastAppend != m.lastAppend {
			t.Fatalf("seed %d, step %d: %v, %d, %d; the model says %v, %d, %d", seed, step, got, p.s.Seen, p.s.LastAppend, want, m.seen, m.lastAppend)
		}
		if (want == Routed || want == Late) && sealed > mark {
			t.Fatalf("seed %d, step %d: judged by %d after %d was sealed", seed, step, mark, sealed)
		}
	}
	p.Seal(offset, now, click.None, 1)
	if a := p.State().Account; !a.Holds() || a.Received+a.Skipped != offset {
		t.Fatalf("seed %d: %+v at %d", seed, a, offset)
	}
}

// TestEventTimeAtRandom holds the partition to the model, and checks what shards
// rely on: watermarks do not fall, and none that was sealed is ahead of the one
// a later click is judged by.
func TestEventTimeAtRandom(t *testing.T) {
	t.Parallel()
	for seed := range uint64(500) {
		playAtRandom(t, seed)
	}
}

func FuzzEventTime(f *testing.F) {
	f.Add(uint64(1))
	f.Fuzz(playAtRandom)
}

// TestRulesChange plays a log to owners that follow each other, each with rules of
// its own. Shards let go of what was closed: no owner may send a click there.
func TestRulesChange(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 2))
		state, closed := NewState(0), int64(click.None)
		now, offset, late := int64(stamp), int64(0), 0
		for term := range int64(8) {
			cfg := defaults()
			cfg.Trusted, cfg.Term, cfg.Size = true, term, 1000
			cfg.Lateness, cfg.Delay, cfg.IdleTimeout = rng.Int64N(5000), rng.Int64N(2000), 1+rng.Int64N(3000)
			p := NewPartition(cfg, source, state)
			for range 20 {
				now += gaps[rng.IntN(len(gaps))]
				at := now - rng.Int64N(10_000)
				if p.Add(clickAt(offset, at, now)).Kind == Late {
					late++
				} else if end := at - at%cfg.Size + cfg.Size; end <= closed {
					t.Fatalf("seed %d, term %d: a click of the window up to %d, closed up to %d", seed, term, end, closed)
				}
				offset++
				if rng.IntN(3) > 0 {
					continue
				}
				idle := int64(click.None)
				if rng.IntN(2) == 0 { // nothing comes for a while
					idle = now + rng.Int64N(5000)
					now = idle
				}
				for _, s := range p.Seal(offset, now, idle, 1) {
					if s.Closed < closed || s.Term != term {
						t.Fatalf("seed %d, term %d: closed up to %d, before up to %d; term %d", seed, term, s.Closed, closed, s.Term)
					}
					closed = s.Closed
				}
			}
			closed = p.Seal(offset, now, click.None, 1)[0].Closed
			var err error
			if state, err = DecodeState(p.HandOver().Encode()); err != nil {
				t.Fatal(err)
			}
		}
		if late == 0 || late == int(offset) {
			t.Errorf("seed %d: %d of %d late", seed, late, offset)
		}
	}
}

// TestRestartRepeats shows that a restart from any commit says of the rest of the
// log what was said before, to the byte.
func TestRestartRepeats(t *testing.T) {
	t.Parallel()
	records := stream(500)
	for i := range records {
		records[i].Append += int64(i) / 100 * 10_000
	}
	seal := func(p *Partition, from, to int) (out []byte) {
		for i := from; i < to; i++ {
			p.Add(&records[i])
		}
		for _, s := range p.Seal(int64(to), stamp, click.None, 1) {
			out = s.Append(out)
		}
		return out
	}
	first := newPartition()
	for from := 0; from < len(records); from += 50 {
		state, err := DecodeState(first.State().Encode())
		if from == 0 {
			state, err = NewState(0), nil
		}
		if err != nil {
			t.Fatal(err)
		}
		cfg := defaults()
		cfg.Trusted = true
		second := NewPartition(cfg, source, state)
		if a, b := seal(first, from, from+50), seal(second, from, from+50); string(a) != string(b) {
			t.Fatalf("sections from %d differ", from)
		}
	}
}
