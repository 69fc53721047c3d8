package answer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"go.uber.org/zap"

	"github.com/clickagg/clickagg/internal/calendar"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/rank"
	"github.com/clickagg/clickagg/storage"
	"github.com/clickagg/clickagg/storage/embedded"
	"github.com/clickagg/clickagg/storage/roll"
)

// pastime is a store with days of windows, what is in it by the slow obvious way, and
// rollers that come and go.
type pastime struct {
	t       *testing.T
	rng     *rand.Rand
	store   storage.Store
	truth   map[string]map[int64]map[string]int64 // by filter, window and ad
	fixed   map[string]map[int64]int64            // by filter and window: its revision
	version int64
	closed  int64
	top     int
	zone    *time.Location
	seen    map[question]seen
}

// question is one that is asked again after every change.
type question struct {
	filter   string
	ad       string // empty for the top
	n        int
	from, to int64
}

// seen is what it was answered with.
type seen struct {
	text     string
	revision int64
}

const (
	hours = 60 * minute
	begin = 1_742_900_000_000 / minute * minute // some days before Europe's clocks go forward
	days  = 5 * 24 * hours
)

func newPastime(t *testing.T, seed uint64) *pastime {
	s, err := embedded.Open(t.TempDir(), embedded.Options{CacheBytes: 1 << 20, MemTableBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	p := &pastime{
		t: t, rng: rand.New(rand.NewPCG(seed, 3)), store: s, closed: click.None, seen: map[question]seen{},
		truth: map[string]map[int64]map[string]int64{}, fixed: map[string]map[int64]int64{},
	}
	zones := []string{"UTC", "Europe/Berlin", "Asia/Kathmandu", "America/Havana", "Pacific/Auckland"}
	if p.zone, err = time.LoadLocation(zones[p.rng.IntN(len(zones))]); err != nil {
		t.Fatal(err)
	}
	p.top = 1 + p.rng.IntN(8)
	for _, filter := range []string{click.FilterAll, "de"}[:1+p.rng.IntN(2)] {
		p.truth[filter], p.fixed[filter] = map[int64]map[string]int64{}, map[int64]int64{}
		p.fill(filter)
	}
	return p
}

// fill makes windows close together and far apart. Some ads are below the list of every
// window and yet the first of all, and many tie.
func (p *pastime) fill(filter string) {
	var b storage.Batch
	for start := int64(begin); start < begin+days; start += (1 + p.rng.Int64N(1+p.rng.Int64N(240))) * minute {
		counts := map[string]int64{}
		for i := range p.top {
			counts[fmt.Sprintf("loud%d", (int(start/minute)+i*7)%23)] = 5 + p.rng.Int64N(3)
		}
		for i := range p.rng.IntN(6) {
			counts[fmt.Sprintf("quiet%d", i)] = 4
		}
		for range p.rng.IntN(4) {
			counts[fmt.Sprintf("rare%d", p.rng.IntN(40))] = 1 + p.rng.Int64N(9)
		}
		p.fixed[filter][start] = 1
		p.set(&b, filter, start, counts)
	}
	p.apply(&b)
}

// set writes what a window has now into a batch: its counts and, mostly, its list.
func (p *pastime) set(b *storage.Batch, filter string, start int64, counts map[string]int64) {
	p.version++
	p.truth[filter][start] = counts
	revision, state := p.fixed[filter][start], click.Final
	if revision > 1 {
		state = click.Corrected
	}
	// What reducers say of the whole window is another number than what shards say of a count.
	l := click.Ranking{Start: start, Size: minute, Filter: filter, State: state, Revision: 2*revision - 1, Version: p.version}
	for ad, n := range counts {
		b.Results = append(b.Results, click.Result{
			Ad: []byte(ad), Start: start, Size: minute, Filter: filter, Count: n, Revision: revision, State: state, Version: p.version,
		})
		if n > 0 {
			l.Top = append(l.Top, click.Row{Ad: []byte(ad), Count: n})
			l.Clicks += n
			l.Ads++
		}
	}
	slices.SortFunc(l.Top, rank.Order)
	if l.Top = l.Top[:min(len(l.Top), p.top)]; p.rng.IntN(8) > 0 || revision > 1 {
		b.Rankings = append(b.Rankings, l)
	}
}

func (p *pastime) apply(b *storage.Batch) {
	p.t.Helper()
	if err := p.store.Apply(p.t.Context(), b); err != nil {
		p.t.Fatal(err)
	}
}

// close says that nothing changes any more until a moment.
func (p *pastime) close(until int64) {
	p.closed = max(p.closed, until)
	p.apply(&storage.Batch{Marks: []storage.Mark{{Partitions: 1, Reducers: 1, Watermark: p.closed, Closed: p.closed}}})
}

// correct changes windows, closed or not, as a writer does.
func (p *pastime) correct() {
	var b storage.Batch
	touched := map[int64]bool{}
	for filter, windows := range p.truth {
		for start, counts := range windows {
			if p.rng.IntN(40) > 0 {
				continue
			}
			now := map[string]int64{}
			emptied := p.rng.IntN(3) == 0
			for ad, n := range counts {
				switch { // those whose revision is asked for keep a click, or it would be that of other windows
				case strings.HasPrefix(ad, "quiet"):
					now[ad] = max(1, n+p.rng.Int64N(5)-2)
				case !emptied:
					now[ad] = max(0, n+p.rng.Int64N(5)-2)
				default:
					now[ad] = 0
				}
			}
			now[fmt.Sprintf("rare%d", p.rng.IntN(40))] = 1 + p.rng.Int64N(9)
			p.fixed[filter][start]++
			p.set(&b, filter, start, now)
			if start+minute <= p.closed {
				touched[calendar.Hour(start).From] = true
			}
		}
	}
	for hour := range touched {
		b.Touches = append(b.Touches, storage.Touch{Hour: hour, Offset: p.version})
	}
	p.apply(&b)
}

// roll lets a roller make one pass, which may end within.
func (p *pastime) roll(units ...storage.Unit) {
	p.t.Helper()
	store := storage.Store(p.store)
	if p.rng.IntN(3) == 0 {
		store = &failing{p.store, p.rng.IntN(40)}
	}
	ctx, cancel := context.WithCancel(p.t.Context())
	defer cancel()
	r := roll.New(store, roll.Config{
		Units: units, Calendar: calendar.New(p.zone, time.Minute), Top: p.top, MaxAds: 20 + p.rng.IntN(100),
	}, once{cancel}, roll.NewMetrics(nil), zap.NewNop())
	if err := r.Run(ctx); err != nil {
		p.t.Fatal(err)
	}
}

// once ends a run after its first pass.
type once struct{ end context.CancelFunc }

func (once) Now() time.Time { return time.Time{} }

func (o once) Sleep(ctx context.Context, _ time.Duration) error {
	o.end()
	return ctx.Err()
}

// failing is a store that is away after some batches.
type failing struct {
	storage.Store
	left int
}

func (f *failing) Apply(ctx context.Context, b *storage.Batch) error {
	if f.left--; f.left < 0 {
		return storage.ErrUnavailable
	}
	return f.Store.Apply(ctx, b)
}

// ask puts questions, new ones and those it put before, and compares with the truth.
func (p *pastime) ask() (rolled int) {
	p.t.Helper()
	for range 12 {
		q := question{filter: click.FilterAll, n: 1 + p.rng.IntN(12)}
		if p.rng.IntN(3) == 0 {
			q.filter = "de"
		}
		if p.rng.IntN(2) == 0 {
			q.n, q.ad = 0, fmt.Sprintf("quiet%d", p.rng.IntN(5))
		}
		q.from = begin + p.rng.Int64N(days/minute)*minute - 2*hours
		q.to = q.from + (1+p.rng.Int64N(1+p.rng.Int64N(days/minute)))*minute
		if p.rng.IntN(3) == 0 { // whole hours
			q.from, q.to = calendar.Hour(q.from).From, calendar.Hour(q.to).To
		}
		p.seen[q] = seen{}
	}
	for q, before := range p.seen {
		now := p.answer(q)
		if before.text != "" && (now.revision < before.revision || now.text != before.text && now.revision == before.revision) {
			p.t.Fatalf("%+v: %q of revision %d became %q of revision %d", q, before.text, before.revision, now.text, now.revision)
		}
		p.seen[q] = now
		pieces, err := storage.Pieces(p.t.Context(), p.store, q.filter, q.from, q.to, storage.Cut{Longest: storage.Day})
		if err != nil {
			p.t.Fatal(err)
		}
		for i := range pieces {
			rolled += len(pieces[i].Rollups)
		}
	}
	return rolled
}

// answer asks and compares with the sum over every window.
func (p *pastime) answer(q question) seen {
	p.t.Helper()
	r := New(p.store, time.Minute)
	total := map[string]int64{}
	for start, counts := range p.truth[q.filter] {
		if q.from <= start && start < q.to {
			for ad, n := range counts {
				total[ad] += n
			}
		}
	}
	if q.ad != "" {
		got, err := r.Count(p.t.Context(), q.filter, []byte(q.ad), q.from, q.to)
		if err != nil || got.Clicks != total[q.ad] {
			p.t.Fatalf("%+v: %d, %v, want %d", q, got.Clicks, err, total[q.ad])
		}
		p.split(q, got)
		return seen{fmt.Sprint(got.Clicks), got.Revision}
	}
	var want []click.Row
	for ad, n := range total {
		if n > 0 {
			want = append(want, click.Row{Ad: []byte(ad), Count: n})
		}
	}
	slices.SortFunc(want, rank.Order)
	want = want[:min(q.n, len(want))]
	got, err := r.Top(p.t.Context(), q.filter, q.n, q.from, q.to)
	if err != nil || !got.Exact || format(got.Rows) != format(want) {
		p.t.Fatalf("%+v: %s, %v, want %s", q, format(got.Rows), err, format(want))
	}
	return seen{"top " + format(got.Rows), got.Revision}
}

// split asks for a count by hours and by days, those that are rolled up or those of another zone,
// and compares with the sum over every window of each step.
func (p *pastime) split(q question, whole Count) {
	p.t.Helper()
	days := p.zone
	if p.rng.IntN(3) == 0 {
		days = time.FixedZone("", (5*60+45)*60)
	}
	for _, by := range []storage.Cut{{Longest: storage.Hour, Step: calendar.Hour}, {Longest: storage.Day, Step: calendar.New(days, time.Minute).Day}} {
		want := map[int64]int64{}
		for start, counts := range p.truth[q.filter] {
			if q.from <= start && start < q.to && counts[q.ad] > 0 {
				want[max(q.from, by.Step(start).From)] += counts[q.ad]
			}
		}
		got, steps, err := New(p.store, time.Minute).Series(p.t.Context(), q.filter, []byte(q.ad), q.from, q.to, by)
		if err != nil || got != whole || len(steps) != len(want) {
			p.t.Fatalf("%+v by %v: %+v in %d steps, %v, want %+v in %d", q, by.Longest, got, len(steps), err, whole, len(want))
		}
		for _, s := range steps {
			if s.Clicks != want[s.From] || s.To != min(q.to, by.Step(s.From).To) {
				p.t.Fatalf("%+v by %v: %+v, want %d", q, by.Longest, s, want[s.From])
			}
		}
	}
}

// TestRollupsChangeNoAnswer: whatever is rolled up, in part or twice, and whatever is corrected
// before, between and after, every answer is the sum over the windows, and its revision
// rises when it changes and never falls.
func TestRollupsChangeNoAnswer(t *testing.T) {
	t.Parallel()
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			p := newPastime(t, seed)
			rolled := p.ask()
			for range 8 {
				switch p.rng.IntN(3) {
				case 0:
					p.correct()
				case 1:
					p.close(begin + p.rng.Int64N(days+24*hours))
					p.roll(storage.Hour)
				default:
					p.close(begin + p.rng.Int64N(days+24*hours))
					p.roll(storage.Hour, storage.Day)
				}
				rolled += p.ask()
			}
			if rolled == 0 {
				t.Error("nothing was answered from a roll-up")
			}
		})
	}
}

// TestRollersAgree: what two make is the same to the byte, and what one left is finished by another.
func TestRollersAgree(t *testing.T) {
	t.Parallel()
	made := make([]string, 2)
	for i := range made {
		p := newPastime(t, 77)
		p.close(begin + days)
		if i == 1 {
			for left := range 30 {
				r := roll.New(&failing{p.store, left}, roll.Config{
					Units: []storage.Unit{storage.Hour, storage.Day}, Calendar: calendar.New(p.zone, time.Minute), Top: p.top, MaxAds: 7,
				}, stopped{}, roll.NewMetrics(nil), zap.NewNop())
				if err := r.Run(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}
		for range i + 1 {
			r := roll.New(p.store, roll.Config{
				Units: []storage.Unit{storage.Hour, storage.Day}, Calendar: calendar.New(p.zone, time.Minute), Top: p.top,
			}, stopped{}, roll.NewMetrics(nil), zap.NewNop())
			if err := r.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		made[i] = p.everything()
	}
	if made[0] != made[1] || len(made[0]) < 10_000 {
		t.Errorf("they differ, or are nothing: %d and %d bytes", len(made[0]), len(made[1]))
	}
}

// stopped is a clock with which a run is one pass.
type stopped struct{}

func (stopped) Now() time.Time                             { return time.Time{} }
func (stopped) Sleep(context.Context, time.Duration) error { return errors.New("stopped") }

// everything is all that is rolled up, as text.
func (p *pastime) everything() string {
	p.t.Helper()
	text := ""
	for _, u := range []storage.Unit{storage.Hour, storage.Day} {
		series := u.Series(click.FilterAll)
		rolled, err := p.store.Rollups(p.t.Context(), series, 0, begin*2)
		lists, listErr := p.store.Rankings(p.t.Context(), series, 0, begin*2, storage.WholeList)
		scanErr := p.store.Scan(p.t.Context(), series, 0, begin*2, func(c *storage.Cell) error {
			text += fmt.Sprintf("%s %+v\n", c.Ad, *c)
			return nil
		})
		if err := cmp.Or(err, listErr, scanErr); err != nil {
			p.t.Fatal(err)
		}
		text += fmt.Sprintf("%v\n%+v\n", rolled, lists)
	}
	return text
}
