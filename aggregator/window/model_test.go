package window

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math/rand"
	"slices"
	"testing"

	"github.com/clickagg/clickagg/internal/click"
)

// model is the slow obvious shard: it keeps every click it counted and counts
// again whenever it is asked.
type model struct {
	cfg       Config
	rules     click.Rules
	sources   map[click.Source]*modelSource
	watermark int64
	gone      int64 // windows that start before it are let go of
	forgotten int64 // and ids of those that start before this
	clock     int64
	emitted   int64
	counted   []click.Routed
	said      map[int64]*saying // by start of window
	folded    int               // records so far
	told      int64             // position at the last emission
	out       []click.Partial   // not cut into chunks
	refused   []Refusal
}

type modelSource struct {
	click.Progress
	term, closed int64
	newest       *click.Section // by the clock, of the newest owner
	retired      bool
}

type saying struct {
	final    bool
	revision int64
	revised  int              // record that last raised the revision
	rows     map[string]int64 // by filter and ad
}

func newModel(cfg Config) *model {
	return &model{
		cfg: cfg, sources: map[click.Source]*modelSource{}, said: map[int64]*saying{},
		watermark: click.None, clock: click.None, emitted: click.None,
	}
}

func (m *model) start(ms int64) int64 { return ms - ms%m.cfg.Size }

func (m *model) final(start int64) bool {
	return m.watermark != click.None && start+m.cfg.Size <= m.watermark
}

func (m *model) fold(offset int64, sec *click.Section) error {
	m.folded++
	p := m.sources[sec.Source]
	if p == nil {
		p = &modelSource{Progress: click.Progress{Source: sec.Source, High: sec.Start, Watermark: click.None}, term: sec.Term, closed: click.None}
		m.sources[sec.Source] = p
	}
	if sec.Term < p.term || p.retired && sec.Term == p.term {
		return nil
	}
	if sec.Start > p.High {
		return Gap{sec.Source, p.High, sec.Start}
	}
	if sec.Term > p.term {
		p.term, p.newest, p.retired = sec.Term, nil, false
	}
	if sec.End < p.High {
		return nil
	}
	m.rules = sec.Rules
	clicks := sec.Clicks
	for r := (click.Routed{}); clicks.Next(&r); {
		if r.Offset >= p.High {
			r.Ad, r.Filters = slices.Clone(r.Ad), slices.Clone(r.Filters)
			m.click(p, r)
		}
	}
	p.High, p.Account, p.Watermark = sec.End, sec.Account, max(p.Watermark, sec.Watermark)
	p.closed, p.retired = max(p.closed, sec.Closed), sec.Final
	if p.newest == nil || sec.At >= p.newest.At {
		kept := *sec
		p.newest = &kept
	}
	m.clock = max(m.clock, sec.At)
	m.let()
	m.emit(offset + 1)
	return nil
}

// let works out what is final, gone and forgotten now.
func (m *model) let() {
	active, expected := 0, 0
	watermark, gone, forgotten := int64(1<<60), int64(1<<60), int64(1<<60)
	for _, p := range m.sources {
		if p.retired {
			continue
		}
		active++
		expected = max(expected, int(p.newest.Sources))
		watermark = min(watermark, p.Watermark)
		first := int64(0) // start of the first window the source may still send into
		for p.closed != click.None && first+m.cfg.Size <= p.closed {
			first += m.cfg.Size
		}
		gone = min(gone, first)
		forgotten = min(forgotten, first-m.start(p.newest.Rules.Horizon))
	}
	if active == 0 || active < expected {
		return
	}
	m.watermark = max(m.watermark, watermark)
	for !m.final(gone-m.cfg.Size) && gone > 0 {
		gone -= m.cfg.Size
	}
	m.gone = max(m.gone, gone)
	m.forgotten = max(m.forgotten, min(forgotten, m.gone))
}

func (m *model) click(p *modelSource, r click.Routed) {
	start := m.start(r.Time)
	if start < m.gone {
		p.Tally.Stale++
		m.refused = append(m.refused, Refusal{p.Source, r.Offset, Stale})
		return
	}
	held, ads, known, near, same := int64(0), map[string]bool{}, false, false, false
	for _, c := range m.counted {
		at := m.start(c.Time)
		if at >= m.forgotten {
			held++
		}
		if c.ID == r.ID && max(at-start, start-at) <= m.rules.Horizon && at >= m.forgotten {
			near, same = true, same || c.Check == r.Check
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
	if held >= m.rules.MaxIDs || !known && int64(len(ads)) >= m.rules.MaxAds {
		p.Tally.Crowded++
		m.refused = append(m.refused, Refusal{p.Source, r.Offset, Crowded})
		return
	}
	p.Tally.Counted++
	m.counted = append(m.counted, r)
	if m.said[start] == nil {
		m.said[start] = &saying{final: m.final(start), revision: 1, rows: map[string]int64{}}
	}
	if said := m.said[start]; said.final && said.revised != m.folded {
		said.revision++
		said.revised = m.folded
	}
}

// passed tells whether a click counts under a filter.
func passed(c *click.Routed, filter string) bool {
	i := slices.Index(c.Filters, filter)
	return filter == click.FilterAll || i >= 0 && c.Mask>>i&1 == 1
}

// recount counts one window under one filter from all clicks.
func (m *model) recount(start int64, filter string) (rows []click.Row, clicks int64) {
	n, digests := map[string]int64{}, map[string]uint64{}
	for _, c := range m.counted {
		if m.start(c.Time) == start && passed(&c, filter) {
			n[string(c.Ad)]++
			digests[string(c.Ad)] += c.ID.Digest()
			clicks++
		}
	}
	for ad, count := range n {
		rows = append(rows, click.Row{Ad: []byte(ad), Count: count, Digest: digests[ad]})
	}
	slices.SortFunc(rows, func(a, b click.Row) int { return bytes.Compare(a.Ad, b.Ad) })
	return rows, clicks
}

func (m *model) emit(position int64) {
	due := m.clock != click.None && (m.emitted == click.None || m.clock-m.emitted >= m.rules.Tick)
	var parts []click.WindowPart
	starts := slices.Sorted(maps.Keys(m.said))
	for _, start := range starts {
		closing := !m.said[start].final && m.final(start)
		news := false
		for _, filter := range []string{click.FilterAll, "-", "00", "KR", "mobile"} {
			if w, ok := m.part(start, filter, closing); ok {
				parts = append(parts, w)
				news = true
			}
		}
		due = due || closing || news && start < m.gone
	}
	if due {
		m.say(position, parts)
	}
	for start := range m.said {
		if start < m.gone {
			delete(m.said, start)
		}
	}
}

// part is what is to be said of a window under a filter, if anything is.
func (m *model) part(start int64, filter string, closing bool) (w click.WindowPart, news bool) {
	said := m.said[start]
	all, clicks := m.recount(start, filter)
	before := func(r *click.Row) int64 { return said.rows[filter+"/"+string(r.Ad)] }
	var shares []click.Row
	news = closing && clicks > 0
	all = slices.DeleteFunc(all, func(r click.Row) bool {
		news = news || before(&r) != r.Count
		if !spread(r.Ad, start, m.cfg.Size) {
			return false
		}
		shares = append(shares, r)
		return true
	})
	w = click.WindowPart{
		Filter: filter, Start: start, Size: m.cfg.Size, Clicks: clicks, Ads: int64(len(all)), Shares: shares,
		State: click.Provisional, Revision: said.revision,
	}
	for _, row := range all {
		if closing || before(&row) != row.Count {
			w.Rows = append(w.Rows, row)
		}
	}
	if closing {
		w.State = click.Final
	} else if said.final {
		w.State = click.Corrected
	}
	slices.SortFunc(all, func(a, b click.Row) int {
		return cmp.Or(-cmp.Compare(a.Count, b.Count), bytes.Compare(a.Ad, b.Ad))
	})
	w.Top = all[:min(len(all), int(m.rules.Top))]
	return w, news
}

func (m *model) say(position int64, parts []click.WindowPart) {
	m.emitted = m.clock
	for r := range m.cfg.Reducers {
		p := click.Partial{
			Shard: m.cfg.Shard, Shards: m.cfg.Shards, Prev: m.told, Position: position, At: m.clock,
			Top: m.rules.Top, Tick: m.rules.Tick, Last: true, Watermark: m.watermark, Closed: click.None,
		}
		if m.gone > 0 {
			p.Closed = m.gone
		}
		for _, q := range m.sources {
			p.Sources = append(p.Sources, q.Progress)
		}
		slices.SortFunc(p.Sources, func(a, b click.Progress) int { return compareSources(a.Source, b.Source) })
		for _, w := range parts {
			if int32(w.Start/m.cfg.Size%int64(m.cfg.Reducers)) != r {
				continue
			}
			said := m.said[w.Start]
			said.final = w.State != click.Provisional
			for _, row := range slices.Concat(w.Rows, w.Shares) {
				said.rows[w.Filter+"/"+string(row.Ad)] = row.Count
			}
			p.Windows = append(p.Windows, w)
		}
		m.out = append(m.out, p)
	}
	m.told = position
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
		cfg := randomSetting(rng)
		s, m := New(cfg.Config), newModel(cfg.Config)
		var used click.Section
		for i, record := range story(rng, cfg, 40) {
			if err := errors.Join(used.Parse(record), s.Fold(s.Position(), &used)); err != nil {
				t.Fatal(err)
			}
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
		for _, w := range s.windows[:len(s.windows)-len(s.live())] {
			if w.ads.bytes()+w.masked.bytes() > 0 {
				t.Fatalf("seed %d: window %d was let go and holds %d bytes", seed, w.number, w.ads.bytes()+w.masked.bytes())
			}
		}
	}
}

func TestRestoreAtEveryCut(t *testing.T) {
	t.Parallel()
	for seed := range int64(60) {
		rng := rand.New(rand.NewSource(seed))
		cfg := randomSetting(rng)
		log := story(rng, cfg, 30)
		whole := New(cfg.Config)
		snapshots, states := [][]byte{whole.AppendSnapshot(nil)}, [][]byte{state(whole)}
		var outs [][]byte
		for _, record := range log {
			mustFold(t, whole, record)
			outs = append(outs, drain(whole))
			snapshots, states = append(snapshots, whole.AppendSnapshot(nil)), append(states, state(whole))
		}
		for cut := range snapshots {
			s, err := Restore(cfg.Config, snapshots[cut])
			if err != nil {
				t.Fatalf("seed %d, cut %d: %v", seed, cut, err)
			}
			for i := cut; ; i++ {
				if got := state(s); !bytes.Equal(got, states[i]) {
					t.Fatalf("seed %d, cut %d: another state at %d:\n%q\n%q", seed, cut, i, got, states[i])
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
		cfg := randomSetting(rng)
		var clicks []click.Routed
		for i := range 300 {
			n := rng.Int63n(200)
			clicks = append(clicks, click.Routed{
				Offset: int64(i), Time: 100_000 + rng.Int63n(10_000), ID: id(n), Check: uint32(rng.Intn(2)), Ad: fmt.Appendf(nil, "%d", n%20),
			})
		}
		run := func() (click.Tally, []byte) {
			s := New(cfg.Config)
			var final []byte
			for from := 0; from <= len(clicks); {
				to := min(len(clicks), from+1+rng.Intn(100))
				sec := click.Section{Start: int64(from), End: int64(to), Watermark: 100_000, Closed: 100_000 - cfg.lateness, Sources: 1, Rules: cfg.Rules}
				if from == len(clicks) {
					sec.Watermark, sec.Closed = 120_000, 120_000-cfg.lateness
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
	s := New(randomSetting(rand.New(rand.NewSource(1))).Config)
	first := click.Section{Start: 10, End: 20, At: 5, Sources: 1, Watermark: 7}
	mustFold(t, s, first.Append(nil))
	before := state(s)
	next := click.Section{Start: 21, End: 30, At: 9000, Sources: 1, Watermark: 9000}
	err := s.Fold(s.Position(), &next)
	gap, ok := errors.AsType[Gap](err)
	if !ok || gap.Want != 20 || gap.Got != 21 {
		t.Fatalf("got %v", err)
	}
	if !bytes.Equal(state(s), before) {
		t.Fatal("the shard changed")
	}
}
