package window

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math/rand"
	"slices"
	"testing"

	"github.com/clickagg/clickagg/internal/click"
)

// model is the slow obvious shard: it keeps every click it counted and counts
// again whenever it is asked.
type model struct {
	cfg       Config
	sources   map[click.Source]*click.Progress
	expected  int32
	watermark int64
	clock     int64
	emitted   int64
	counted   []click.Routed
	said      map[int64]*saying // by start of window
	folded    int               // records so far
	told      int64             // position at the last emission
	out       []click.Partial   // not cut into chunks
	refused   []Refusal
}

type saying struct {
	final    bool
	revision int64
	revised  int // record that last raised the revision
	rows     map[string]int64
}

func newModel(cfg Config) *model {
	return &model{
		cfg: cfg, sources: map[click.Source]*click.Progress{}, said: map[int64]*saying{},
		watermark: click.None, clock: click.None, emitted: click.None,
	}
}

func (m *model) start(ms int64) int64 { return ms - ms%m.cfg.Size }

func (m *model) passed(end int64) bool { return m.watermark != click.None && end <= m.watermark }

func (m *model) fold(offset int64, sec *click.Section) error {
	m.folded++
	p := m.sources[sec.Source]
	if p == nil {
		p = &click.Progress{Source: sec.Source, High: sec.Start, Watermark: click.None}
		m.sources[sec.Source] = p
	}
	if sec.Start > p.High {
		return Gap{sec.Source, p.High, sec.Start}
	}
	if sec.End < p.High {
		return nil
	}
	clicks := sec.Clicks
	for r := (click.Routed{}); clicks.Next(&r); {
		if r.Offset >= p.High {
			r.Ad = slices.Clone(r.Ad)
			m.click(p, r)
		}
	}
	p.High, p.Account, p.Watermark = sec.End, sec.Account, max(p.Watermark, sec.Watermark)
	if sec.At >= m.clock {
		m.clock, m.expected = sec.At, sec.Sources
	}
	if len(m.sources) >= int(m.expected) {
		low := p.Watermark
		for _, q := range m.sources {
			low = min(low, q.Watermark)
		}
		m.watermark = max(m.watermark, low)
	}
	m.emit(offset + 1)
	return nil
}

func (m *model) click(p *click.Progress, r click.Routed) {
	start := m.start(r.Time)
	if m.passed(start + m.cfg.Size + m.cfg.Lateness) {
		p.Tally.Stale++
		m.refused = append(m.refused, Refusal{p.Source, r.Offset, Stale})
		return
	}
	held, ads, known, near, same := 0, map[string]bool{}, false, false, false
	for _, c := range m.counted {
		at := m.start(c.Time)
		if c.ID == r.ID && max(at-start, start-at) <= m.cfg.Horizon {
			near, same = true, same || c.Check == r.Check
		}
		if !m.passed(at + m.cfg.Horizon + m.cfg.Size + m.cfg.Lateness) {
			held++
		}
		if at == start {
			ads[string(c.Ad)] = true
			known = known || bytes.Equal(c.Ad, r.Ad)
		}
	}
	if same {
		p.Tally.Duplicate++
		return
	}
	if near {
		p.Tally.Conflict++
		return
	}
	if held >= m.cfg.MaxIDs || !known && len(ads) >= m.cfg.MaxAds {
		p.Tally.Crowded++
		m.refused = append(m.refused, Refusal{p.Source, r.Offset, Crowded})
		return
	}
	p.Tally.Counted++
	m.counted = append(m.counted, r)
	if m.said[start] == nil {
		m.said[start] = &saying{final: m.passed(start + m.cfg.Size), revision: 1, rows: map[string]int64{}}
	}
	if said := m.said[start]; said.final && said.revised != m.folded {
		said.revision++
		said.revised = m.folded
	}
}

// recount counts one window from all clicks.
func (m *model) recount(start int64) (rows []click.Row, clicks int64) {
	n := map[string]int64{}
	for _, c := range m.counted {
		if m.start(c.Time) == start {
			n[string(c.Ad)]++
			clicks++
		}
	}
	for ad, count := range n {
		rows = append(rows, click.Row{Ad: []byte(ad), Count: count})
	}
	slices.SortFunc(rows, func(a, b click.Row) int { return bytes.Compare(a.Ad, b.Ad) })
	return rows, clicks
}

func (m *model) emit(position int64) {
	due := m.clock != click.None && (m.emitted == click.None || m.clock-m.emitted >= m.cfg.Tick)
	parts := map[int64]click.WindowPart{}
	var starts []int64
	for start := range m.said {
		starts = append(starts, start)
	}
	slices.Sort(starts)
	for _, start := range starts {
		said := m.said[start]
		all, clicks := m.recount(start)
		closing := !said.final && m.passed(start+m.cfg.Size)
		w := click.WindowPart{
			Filter: m.cfg.Filter, Start: start, Size: m.cfg.Size, Clicks: clicks, Ads: int64(len(all)),
			State: click.Provisional, Revision: said.revision,
		}
		for _, row := range all {
			if closing || said.rows[string(row.Ad)] != row.Count {
				w.Rows = append(w.Rows, row)
			}
		}
		if len(w.Rows) == 0 {
			continue
		}
		if closing {
			w.State = click.Final
		} else if said.final {
			w.State = click.Corrected
		}
		due = due || closing || m.passed(start+m.cfg.Size+m.cfg.Lateness)
		slices.SortFunc(all, func(a, b click.Row) int {
			return cmp.Or(-cmp.Compare(a.Count, b.Count), bytes.Compare(a.Ad, b.Ad))
		})
		w.Top = all[:min(len(all), m.cfg.Top)]
		parts[start] = w
	}
	if !due {
		return
	}
	m.emitted = m.clock
	for r := range m.cfg.Reducers {
		p := click.Partial{
			Shard: m.cfg.Shard, Shards: m.cfg.Shards, Prev: m.told, Position: position, At: m.clock,
			Last: true, Watermark: m.watermark,
		}
		for _, q := range m.sources {
			p.Sources = append(p.Sources, *q)
		}
		slices.SortFunc(p.Sources, func(a, b click.Progress) int { return compareSources(a.Source, b.Source) })
		for _, start := range starts {
			w, ok := parts[start]
			if !ok || int32(start/m.cfg.Size%int64(m.cfg.Reducers)) != r {
				continue
			}
			said := m.said[start]
			said.final = w.State != click.Provisional
			for _, row := range w.Rows {
				said.rows[string(row.Ad)] = row.Count
			}
			p.Windows = append(p.Windows, w)
		}
		m.out = append(m.out, p)
	}
	m.told = position
	for start := range m.said {
		if m.passed(start + m.cfg.Size + m.cfg.Lateness) {
			delete(m.said, start)
		}
	}
}

// story is a random log of encoded sections, with repeats, overlaps, idle
// sources, ids met again near and far, and clicks in any order.
func story(rng *rand.Rand, cfg Config, sections int) [][]byte {
	type state struct {
		click.Section
		sent [][]byte
		log  []click.Routed // all clicks of the source, at their offsets; Ad nil is no click
	}
	sources := make([]state, 1+rng.Intn(3))
	now := 100 * cfg.Size
	var log [][]byte
	for range sections {
		i := rng.Intn(len(sources))
		s := &sources[i]
		s.Source = click.Source{Topic: "clicks", Partition: int32(i)}
		now += rng.Int63n(cfg.Size / 2)
		for range rng.Intn(8) {
			at := now - rng.Int63n(1+cfg.Lateness+2*cfg.Size)
			n := rng.Intn(40)
			s.log = append(s.log, click.Routed{
				Offset: int64(len(s.log)), Time: max(0, at), ID: id(int64(n)), Check: uint32(rng.Intn(2)),
				Ad: fmt.Appendf(nil, "%c%d", 'a'+n%3, n%5),
			})
			if rng.Intn(4) == 0 {
				s.log = append(s.log, click.Routed{Offset: int64(len(s.log))})
			}
		}
		start := s.End
		if rng.Intn(4) == 0 && len(log) > 0 { // a mapper began anew
			start -= rng.Int63n(start + 1)
		}
		sec := click.Section{
			Source: s.Source, Start: start, End: int64(len(s.log)), At: now, Sources: int32(len(sources)),
			Watermark: max(s.Watermark, now-rng.Int63n(2*cfg.Size)),
		}
		if rng.Intn(5) == 0 {
			sec.Watermark = s.Watermark
		}
		if len(s.sent) == 0 {
			sec.Watermark = click.None
		}
		sec.Account.Received, sec.Account.Routed = sec.End, sec.End
		sec.Clicks.Reset(start)
		for _, r := range s.log[start:] {
			if r.Ad != nil {
				sec.Clicks.Add(&r)
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

func randomConfig(rng *rand.Rand) Config {
	cfg := Config{
		Shard: 1, Shards: 3, Reducers: 1 + rng.Int31n(3), Size: 1000, Lateness: rng.Int63n(3000),
		Horizon: rng.Int63n(6000), Tick: rng.Int63n(3000), Top: rng.Intn(5), MaxIDs: 1000, MaxAds: 100, Filter: "000",
	}
	if rng.Intn(3) == 0 {
		cfg.MaxIDs, cfg.MaxAds = 1+rng.Intn(20), 1+rng.Intn(5)
	}
	return cfg
}

func mustFold(t testing.TB, s *Shard, record []byte) {
	t.Helper()
	sec, err := click.ParseSection(record)
	if err == nil {
		err = s.Fold(s.Position(), &sec)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// drain takes what a shard has to say, as one string of bytes.
func drain(s *Shard) (b []byte) {
	for _, o := range s.Out() {
		b = append(fmt.Appendf(b, "%d:", o.Reducer), o.Value...)
	}
	return fmt.Appendf(b, "%v", s.Refused())
}

func TestShardIsTheSlowObviousOne(t *testing.T) {
	t.Parallel()
	for seed := range int64(400) {
		rng := rand.New(rand.NewSource(seed))
		cfg := randomConfig(rng)
		s, m := New(cfg), newModel(cfg)
		for i, record := range story(rng, cfg, 40) {
			mustFold(t, s, record)
			sec, _ := click.ParseSection(record)
			if err := m.fold(int64(i), &sec); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			var got []byte
			for _, o := range s.Out() {
				got = append(got, o.Value...)
			}
			var want []byte
			for _, p := range m.out {
				want = p.Append(want)
			}
			if !bytes.Equal(got, want) {
				t.Fatalf("seed %d, record %d: shard says\n%q\nmodel says\n%q", seed, i, got, want)
			}
			if got, want := fmt.Sprint(s.Refused()), fmt.Sprint(m.refused); got != want {
				t.Fatalf("seed %d, record %d: refused %v, want %v", seed, i, got, want)
			}
			m.out, m.refused = nil, nil
		}
	}
}

func TestRestoreAtEveryCut(t *testing.T) {
	t.Parallel()
	for seed := range int64(60) {
		rng := rand.New(rand.NewSource(seed))
		cfg := randomConfig(rng)
		log := story(rng, cfg, 30)
		whole := New(cfg)
		snapshots := [][]byte{whole.AppendSnapshot(nil)}
		var outs [][]byte
		for _, record := range log {
			mustFold(t, whole, record)
			outs = append(outs, drain(whole))
			snapshots = append(snapshots, whole.AppendSnapshot(nil))
		}
		for cut := range snapshots {
			s, err := Restore(cfg, snapshots[cut])
			if err != nil {
				t.Fatalf("seed %d, cut %d: %v", seed, cut, err)
			}
			for i := cut; ; i++ {
				if got := s.AppendSnapshot(nil); !bytes.Equal(got, snapshots[i]) {
					t.Fatalf("seed %d, cut %d: another snapshot at %d:\n%q\n%q", seed, cut, i, got, snapshots[i])
				}
				if i == len(log) {
					break
				}
				mustFold(t, s, log[i])
				if got := drain(s); !bytes.Equal(got, outs[i]) {
					t.Fatalf("seed %d, cut %d: record %d says\n%q\nwithout the restart\n%q", seed, cut, i, got, outs[i])
				}
			}
		}
	}
}

// However a source's clicks are cut into sections, the counts are the same.
func TestCutsDoNotMatter(t *testing.T) {
	t.Parallel()
	for seed := range int64(50) {
		rng := rand.New(rand.NewSource(seed))
		cfg := randomConfig(rng)
		var clicks []click.Routed
		for i := range 300 {
			n := rng.Int63n(200)
			clicks = append(clicks, click.Routed{
				Offset: int64(i), Time: 100_000 + rng.Int63n(10_000), ID: id(n), Check: uint32(rng.Intn(2)), Ad: fmt.Appendf(nil, "%d", n%20),
			})
		}
		run := func() (click.Tally, []byte) {
			s := New(cfg)
			var final []byte
			for from := 0; from <= len(clicks); {
				to := min(len(clicks), from+1+rng.Intn(100))
				sec := click.Section{Start: int64(from), End: int64(to), Watermark: 100_000, Sources: 1}
				if from == len(clicks) {
					sec.Watermark = 120_000
				}
				sec.Clicks.Reset(sec.Start)
				for _, r := range clicks[from:to] {
					sec.Clicks.Add(&r)
				}
				s.Out()
				mustFold(t, s, sec.Append(nil))
				if from == len(clicks) {
					break
				}
				from = to
			}
			for _, o := range s.Out() {
				var p click.Partial
				if err := p.Parse(o.Value); err != nil {
					t.Fatal(err)
				}
				for _, w := range p.Windows {
					final = fmt.Appendf(final, "%v\n", w)
				}
			}
			return s.Status().Sources[0].Tally, final
		}
		tally, final := run()
		for range 5 {
			if again, rows := run(); again != tally || !bytes.Equal(rows, final) {
				t.Fatalf("seed %d: cut otherwise: %+v, before %+v", seed, again, tally)
			}
		}
	}
}

func TestGapLeavesTheShardAsItWas(t *testing.T) {
	t.Parallel()
	cfg := randomConfig(rand.New(rand.NewSource(1)))
	s := New(cfg)
	first := click.Section{Start: 10, End: 20, At: 5, Sources: 1, Watermark: 7}
	mustFold(t, s, first.Append(nil))
	before := s.AppendSnapshot(nil)
	next := click.Section{Start: 21, End: 30, At: 9000, Sources: 1, Watermark: 9000}
	err := s.Fold(s.Position(), &next)
	gap, ok := errors.AsType[Gap](err)
	if !ok || gap.Want != 20 || gap.Got != 21 {
		t.Fatalf("got %v", err)
	}
	if !bytes.Equal(s.AppendSnapshot(nil), before) {
		t.Fatal("the shard changed")
	}
}
