package rule

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/filter"
)

// defaults is the configuration of a process that was told nothing.
func defaults() Config {
	return Config{
		Size: 60_000, Lateness: 300_000, Delay: 15_000, MaxFuture: 60_000, IdleTimeout: 5_000,
		EventIDField: "event_id", AdIDField: "ad_id", TimeField: "ts", TimeUnit: Millis,
		MaxRecordBytes: 64 << 10, SectionClicks: 20_000, Router: click.NewRouter(7, 4), Shards: 4,
	}
}

var source = click.Source{Topic: "clicks", Partition: 3}

// newPartition is a partition with the default configuration, on a trusted topic.
func newPartition() *Partition {
	cfg := defaults()
	cfg.Trusted = true
	return NewPartition(cfg, source, NewState(0))
}

// clickAt is a click with an id of its own, appended at a broker's time.
func clickAt(offset, at, appended int64) *click.Record {
	return &click.Record{
		Offset: offset, Append: appended,
		Value: fmt.Appendf(nil, `{"event_id":"e%d","ad_id":"ad%d","ts":%d}`, offset, offset%7, at),
	}
}

func markAt(offset int64, text string, appended int64) *click.Record {
	return &click.Record{
		Offset: offset, Append: appended,
		Headers: click.MakeHeaders([]click.Header{{Key: click.HeaderWatermark, Value: []byte(text)}}),
	}
}

// base is the start of a window; the times of stories are relative to it.
const base = stamp / 60_000 * 60_000

const none = click.None

// line adds one record and states what becomes of it and the greatest event time
// after it.
type line struct {
	mark     bool
	at       int64 // event time, or the mark's
	appended int64
	want     Kind
	seen     int64
}

// stories walk every rule of event time at its edge.
var stories = map[string]struct {
	live  int64
	lines []line
}{
	"seen is held at the append time": {none, []line{{at: 60_000, appended: 0, want: Routed, seen: 0}}},
	"ahead moves nothing": {none, []line{
		{at: 0, appended: 0, want: Routed, seen: 0},
		{at: 61_001, appended: 1_000, want: Rejected, seen: 0},
		{at: 1, appended: 5_000, want: Routed, seen: 5_000}, // silent since 0, not since 1,000
	}},
	"seen never falls": {none, []line{
		{at: 9_000, appended: 9_000, want: Routed, seen: 9_000},
		{at: 2_000, appended: 9_001, want: Routed, seen: 9_000},
	}},
	// The window that starts at 0 ends at 60,000, takes clicks until 360,000
	// and the watermark is 15,000 behind.
	"one ms before it is late": {none, []line{
		{at: 374_999, appended: 374_999, want: Routed, seen: 374_999},
		{at: 59_999, appended: 375_000, want: Routed, seen: 374_999},
	}},
	"late at the edge": {none, []line{
		{at: 375_000, appended: 375_000, want: Routed, seen: 375_000},
		{at: 59_999, appended: 375_001, want: Late, seen: 375_000},
		{at: 60_000, appended: 375_001, want: Routed, seen: 375_000},
	}},
	"silence one ms short": {none, []line{
		{at: -9_000, appended: 0, want: Routed, seen: -9_000},
		{at: -9_000, appended: 4_999, want: Routed, seen: -9_000},
	}},
	"silence": {none, []line{
		{at: -9_000, appended: 0, want: Routed, seen: -9_000},
		{at: -9_000, appended: 5_000, want: Routed, seen: -4_000},
		{at: -9_000, appended: 9_999, want: Routed, seen: -4_000},
	}},
	"silence makes late": {-5_000, []line{
		{at: 0, appended: 0, want: Routed, seen: 0},
		{at: 0, appended: 375_000, want: Late, seen: 375_000},
		{at: 0, appended: 379_999, want: Late, seen: 375_000}, // late clicks end a silence too
	}},
	"an old click before the topic was live": {100_000, []line{
		{at: -900_000, appended: 0, want: Routed, seen: -900_000},
		{at: -600_000, appended: 104_999, want: Routed, seen: -600_000}, // its topic is not live for long enough
		{at: 150_000, appended: 200_000, want: Routed, seen: 150_000},
	}},
	"silence since before the topic was live": {100_000, []line{
		{at: -900_000, appended: 0, want: Routed, seen: -900_000},
		{at: -300_000, appended: 105_000, want: Late, seen: 105_000}, // follows the clock by now
		{at: 104_000, appended: 106_000, want: Routed, seen: 105_000},
	}},
	"history goes on after any pause": {none, []line{
		{at: 0, appended: 0, want: Routed, seen: 0},
		{at: 0, appended: 375_000, want: Routed, seen: 300_000},
		{at: 59_999, appended: 86_400_000, want: Late, seen: 600_000}, // not in order: behind what the second pause allows
		{at: 600_000, appended: 172_800_000, want: Routed, seen: 900_000},
	}},
	"silence is capped at the append time": {none, []line{
		{mark: true, at: 0, appended: 0, want: Mark, seen: 15_000},
		{at: 0, appended: 6_000, want: Routed, seen: 15_000},
		{at: 0, appended: 26_000, want: Routed, seen: 26_000},
	}},
	"append times that fall": {none, []line{
		{at: 0, appended: 10_000, want: Routed, seen: 0},
		{at: 0, appended: 2_000, want: Routed, seen: 0},
		{at: 0, appended: 14_999, want: Routed, seen: 0},
		{at: 0, appended: 19_999, want: Routed, seen: 5_000},
	}},
	"first click of an unknown topic": {none, []line{{at: -900_000, appended: 0, want: Routed, seen: -900_000}}},
	"first click one ms early":        {-4_999, []line{{at: -900_000, appended: 0, want: Routed, seen: -900_000}}},
	"first click of a live topic":     {-5_000, []line{{at: -900_000, appended: 0, want: Late, seen: 0}}},
	"rejected is not the first": {-5_000, []line{
		{at: 90_000, appended: 0, want: Rejected, seen: none},
		{at: -900_000, appended: 1, want: Late, seen: 1},
	}},
	"mark": {none, []line{
		{mark: true, at: 0, appended: 500_000, want: Mark, seen: 15_000},
		{mark: true, at: 360_000, appended: 500_000, want: Mark, seen: 375_000},
		{mark: true, at: 0, appended: 500_000, want: Mark, seen: 375_000},
		{at: 59_999, appended: 500_000, want: Late, seen: 375_000},
	}},
	"mark is held at the append time": {none, []line{{mark: true, at: 900_000, appended: 1_000, want: Mark, seen: 16_000}}},
	"mark after a silence": {none, []line{
		{at: 0, appended: 0, want: Routed, seen: 0},
		{mark: true, at: 0, appended: 20_000, want: Mark, seen: 20_000},
		{at: 0, appended: 24_999, want: Routed, seen: 20_000},
	}},
	"mark on a live topic": {-5_000, []line{{mark: true, at: -900_000, appended: 0, want: Mark, seen: 0}}},
}

// TestEventTime plays each story to a new partition.
func TestEventTime(t *testing.T) {
	t.Parallel()
	for name, story := range stories {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPartition()
			if story.live != none {
				p.SetLive(base + story.live)
			}
			for i, l := range story.lines {
				r := clickAt(int64(i), base+l.at, base+l.appended)
				if l.mark {
					r = markAt(int64(i), fmt.Sprint(base+l.at), base+l.appended)
				}
				if l.seen != none {
					l.seen += base
				}
				if v := p.Add(r); v.Kind != l.want || p.s.Seen != l.seen {
					t.Fatalf("line %d: %v, seen %d, want %v and %d", i, v, p.s.Seen-base, l.want, l.seen-base)
				}
			}
		})
	}
}

func TestMarks(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Verdict{
		"946684800000": {Kind: Mark}, "4102444799999": {Kind: Mark},
		"946684799999": {Kind: Rejected, Reason: click.BadMark}, "4102444800000": {Kind: Rejected, Reason: click.BadMark},
		"": {Kind: Rejected, Reason: click.BadMark}, "-1764000000000": {Kind: Rejected, Reason: click.BadMark},
		"1764000000000.0": {Kind: Rejected, Reason: click.BadMark}, "99999999999999999999": {Kind: Rejected, Reason: click.BadMark},
	} {
		p := newPartition()
		if v := p.Add(markAt(0, text, stamp)); v.Kind != want.Kind || v.Reason != want.Reason {
			t.Errorf("%q: %v, want %v", text, v, want)
		}
		if moved := p.s.Seen != click.None; moved != (want.Kind == Mark) {
			t.Errorf("%q: seen %d", text, p.s.Seen)
		}
	}
	p := NewPartition(defaults(), source, NewState(0))
	if v := p.Add(markAt(0, "x", stamp)); v.Reason != click.UntrustedMark || p.s.Seen != click.None {
		t.Error(v, p.s.Seen)
	}
	if v := p.Add(&click.Record{Offset: 1, Append: stamp}); v.Kind != Tombstone || p.s.LastAppend != click.None {
		t.Error(v, p.s.LastAppend)
	}
	// With a value, it is a click, whatever its headers say.
	r := clickAt(2, stamp, stamp)
	r.Headers = markAt(0, "x", 0).Headers
	if v := p.Add(r); v.Kind != Routed {
		t.Error(v)
	}
	p.Seal(3, 0, click.None, 1)
	if a := p.State().Account; a.Marks != 1 || a.Rejected[click.UntrustedMark] != 1 || a.Routed != 1 || !a.Holds() {
		t.Errorf("%+v", a)
	}
}

// TestSeal shows that sections cover the offsets without a gap, hold each click
// once in the shard of its ad, and stay whole while the next are filled.
func TestSeal(t *testing.T) {
	t.Parallel()
	p := NewPartition(defaults(), source, NewState(100))
	for _, offset := range []int64{100, 103, 104} {
		p.Add(clickAt(offset, stamp, stamp))
	}
	first := p.Seal(110, 77, click.None, 9)
	for _, offset := range []int64{110, 111, 112, 113} {
		p.Add(clickAt(offset, stamp+1, stamp))
	}
	check := func(sections []click.Section, start, end int64, want ...int64) {
		t.Helper()
		var got []int64
		for shard, s := range sections {
			if s.Source != source || s.Start != start || s.End != end || s.At != 77 || s.Sources != 9 || !s.Account.Holds() {
				t.Errorf("shard %d: %+v", shard, s)
			}
			parsed, err := click.ParseSection(s.Append(nil))
			if err != nil {
				t.Fatal(err)
			}
			for r := (click.Routed{}); parsed.Clicks.Next(&r); {
				original := clickAt(r.Offset, r.Time, 0)
				inShard, id := click.NewRouter(7, 4).Route(r.Ad, fmt.Appendf(nil, "e%d", r.Offset))
				if int(inShard) != shard || id != r.ID || r.Check != click.Check(original.Value) || string(r.Ad) != fmt.Sprintf("ad%d", r.Offset%7) {
					t.Errorf("shard %d: %+v", shard, r)
				}
				got = append(got, r.Offset)
			}
		}
		if slices.Sort(got); len(sections) != 4 || !slices.Equal(got, want) {
			t.Errorf("%d sections with %v, want %v", len(sections), got, want)
		}
	}
	check(first, 100, 110, 100, 103, 104)
	if a := first[0].Account; a.Skipped != 7 || a.Received != 3 || a.Routed != 3 {
		t.Errorf("%+v", a)
	}
	check(p.Seal(114, 77, click.None, 9), 110, 114, 110, 111, 112, 113)
	check(p.Seal(114, 77, click.None, 9), 114, 114)
	if s := p.State(); s.Next != 114 || s.Seen != stamp || s.LastAppend != stamp || s.Account.Received != 7 {
		t.Errorf("%+v", s)
	}
}

func TestStateIsThatOfTheLastSeal(t *testing.T) {
	t.Parallel()
	p := newPartition()
	p.Seal(5, stamp, click.None, 1)
	before := p.State()
	p.Add(clickAt(5, stamp, stamp))
	p.SetLive(3)
	if p.State() != before {
		t.Errorf("%+v, want %+v", p.State(), before)
	}
}

func TestFull(t *testing.T) {
	t.Parallel()
	cfg := defaults()
	cfg.SectionClicks = 3
	p := NewPartition(cfg, source, NewState(0))
	for i := range int64(6) {
		if p.Full() {
			t.Errorf("full before record %d", i)
		}
		p.Add(&click.Record{Offset: i})
		if i%3 == 2 {
			if !p.Full() {
				t.Errorf("not full after record %d", i)
			}
			p.Seal(i+1, 0, click.None, 1)
		}
	}
	cfg.SectionClicks = 1 << 30
	p = NewPartition(cfg, source, NewState(0))
	ad := strings.Repeat("a", maxID)
	for i := int64(0); !p.Full() && i < 50_000; i++ {
		p.Add(&click.Record{Offset: i, Append: stamp, Value: fmt.Appendf(nil, `{"event_id":%d,"ad_id":"%s","ts":%d}`, i, ad, stamp)})
	}
	if !p.Full() {
		t.Error("not full of bytes")
	}
	for _, s := range p.Seal(p.s.Next, 0, click.None, 1) {
		if n := len(s.Append(nil)); n > 800<<10 {
			t.Errorf("a section of %d bytes", n)
		}
	}
	if p.Full() {
		t.Error("full when just sealed")
	}
}

func TestSawLive(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		at, appended int64
		want         bool
	}{{stamp, stamp + 300_000, true}, {stamp, stamp + 300_001, false}, {stamp, stamp, true}, {stamp + 1, stamp, true}, {stamp + 60_001, stamp, false}} {
		p := newPartition()
		p.Add(clickAt(0, c.at, c.appended))
		p.Add(clickAt(1, stamp, stamp+900_000))
		if p.SawLive() != c.want {
			t.Errorf("%d ms old: %v", c.appended-c.at, !c.want)
		}
	}
}

func TestSetLiveKeepsTheEarliest(t *testing.T) {
	t.Parallel()
	p := newPartition()
	for _, told := range []int64{stamp, stamp - 10, stamp + 10} {
		p.SetLive(told)
	}
	p.Seal(0, 0, click.None, 1)
	if s := p.State(); s.Live != stamp-10 {
		t.Errorf("live since %d", s.Live)
	}
}

// TestDefectOfTheDecoder breaks the decoder itself: the record is refused and
// the next one is judged as ever.
func TestDefectOfTheDecoder(t *testing.T) {
	t.Parallel()
	p := newPartition()
	whole := p.decoder
	p.decoder = nil
	if v := p.Add(clickAt(0, stamp, stamp)); v.Reason != click.DecoderPanic || v.Detail == "" {
		t.Error(v)
	}
	p.decoder = whole
	if v := p.Add(clickAt(1, stamp, stamp)); v.Kind != Routed {
		t.Error(v)
	}
}

func TestBrokenInvariants(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]func(p *Partition){
		"offset twice":       func(p *Partition) { p.Add(clickAt(0, stamp, stamp)) },
		"sealed in the past": func(p *Partition) { p.Seal(0, 0, click.None, 1) },
		"no shards":          func(*Partition) { NewPartition(Config{Size: 1, TimeUnit: Millis}, source, NewState(0)) },
		"no unit":            func(*Partition) { NewPartition(Config{Size: 1, Shards: 1}, source, NewState(0)) },
	} {
		p := newPartition()
		p.Add(clickAt(0, stamp, stamp))
		func() {
			defer func() {
				if s, ok := recover().(string); !ok || !strings.HasPrefix(s, "rule: ") {
					t.Errorf("%s: %v", name, s)
				}
			}()
			f(p)
		}()
	}
}

func TestAddAllocatesNothing(t *testing.T) {
	p := newPartition()
	records := stream(3000)
	play := func() {
		for i := range records {
			r := &records[i]
			r.Offset = p.s.Next
			if v := p.Add(r); v.Kind != Routed {
				t.Fatal(v)
			}
		}
		p.Seal(p.s.Next, stamp, stamp, 1)
	}
	play() // both sets of buffers grow
	play()
	if n := testing.AllocsPerRun(5, play); n != 0 {
		t.Errorf("%v allocations in %d clicks", n, len(records))
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	for k, want := range map[Kind]string{Routed: "routed", Late: "late", Rejected: "rejected", Mark: "mark", Tombstone: "tombstone", Unopened: "unopened", 0: "kind(0)", 9: "kind(9)"} {
		if k.String() != want {
			t.Errorf("%v, want %s", k, want)
		}
	}
	if s := TimeUnit(9).String(); s != "unit(9)" {
		t.Error(s)
	}
}

// TestClick: what a record says can be read however it is judged, and reading it changes nothing.
func TestClick(t *testing.T) {
	t.Parallel()
	p := newPartition()
	set, err := filter.NewSet([]filter.Definition{{ID: "f", Where: `ad_id != ""`}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	p.Filter([]FilterSpan{{Until: click.None, Set: set}})
	p.Add(clickAt(0, stamp, stamp))
	p.Seal(1, click.None, click.None, 1)
	router := defaults().Router
	for offset, at := range map[int64]int64{1: stamp - 900_000, 2: stamp + 900_000, 3: stamp} { // late, ahead, valid
		r := clickAt(offset, at, stamp)
		ad := fmt.Appendf(nil, "ad%d", offset)
		_, id := router.Route(ad, fmt.Appendf(nil, "e%d", offset))
		want := click.Routed{Offset: offset, Time: at, ID: id, Check: click.Check(r.Value), Ad: ad, Filters: []string{"f"}, Mask: 1}
		if got, ok := p.Click(r); !ok || !reflect.DeepEqual(got, want) {
			t.Errorf("%+v, %v, want %+v", got, ok, want)
		}
	}
	for _, r := range []*click.Record{{Value: []byte("{}")}, {}} {
		if got, ok := p.Click(r); ok {
			t.Errorf("%+v of %q", got, r.Value)
		}
	}
	p.Seal(1, click.None, click.None, 1)
	if s := p.State(); s.Next != 1 || s.Account.Received != 1 {
		t.Errorf("%+v", s)
	}
}

// TestTake: what is taken is judged and accounted for as what is added, and is what a section would have; it goes into none.
func TestTake(t *testing.T) {
	t.Parallel()
	spans := []FilterSpan{{Until: none, Set: filters(t, `ad_id == "ad3"`)}}
	adds, takes := newPartition(), newPartition()
	adds.Filter(spans)
	takes.Filter(spans)
	var taken []click.Routed
	for i, r := range []*click.Record{
		clickAt(0, stamp, stamp), clickAt(3, stamp+400_000, stamp+400_000), clickAt(4, stamp, stamp+400_000), // late
		markAt(5, "1", stamp+400_000), {Offset: 6, Append: stamp + 400_000, Value: []byte("{}")}, clickAt(10, stamp+400_001, stamp+400_001),
	} {
		var c click.Routed
		if v, want := takes.Take(r, &c), adds.Add(r); v != want {
			t.Errorf("record %d: %+v, want %+v", i, v, want)
		}
		if c.Ad != nil {
			taken = append(taken, c)
		}
	}
	var added []click.Routed
	want, got := adds.Seal(12, 7, none, 1), takes.Seal(12, 7, none, 1)
	for i := range want {
		section, err := click.ParseSection(want[i].Append(nil))
		if err != nil {
			t.Fatal(err)
		}
		for r := (click.Routed{}); section.Clicks.Next(&r); {
			added = append(added, r)
		}
		want[i].Clicks, want[i].Shares = click.Clicks{}, got[i].Shares
		if got[i].Clicks.N > 0 {
			t.Errorf("%d clicks in section %d", got[i].Clicks.N, i)
		}
		if got[i].Clicks = (click.Clicks{}); !reflect.DeepEqual(got[i], want[i]) {
			t.Errorf("section %d: %+v, want %+v", i, got[i], want[i])
		}
	}
	slices.SortFunc(added, func(a, b click.Routed) int { return int(a.Offset - b.Offset) })
	for i := range added { // without a mask a section has no filters
		if added[i].Mask == 0 {
			added[i].Filters = taken[i].Filters
		}
	}
	if len(added) != 3 || added[1].Mask != 1 || !reflect.DeepEqual(taken, added) || takes.State() != adds.State() {
		t.Errorf("%+v, want %+v", taken, added)
	}
}
