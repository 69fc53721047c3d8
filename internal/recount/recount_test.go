package recount

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/control"
	"github.com/clickagg/clickagg/internal/filter"
	"github.com/clickagg/clickagg/mapper/rule"
)

const (
	minute = int64(60_000)
	base   = int64(1_764_000_000_000) / minute * minute
)

// records is an input in memory, by source.
type records map[click.Source][]click.Record

func (r records) AsOf() int64 { return click.None }

// until is records that are all there were before a time.
type until struct {
	records
	asOf int64
}

func (u until) AsOf() int64 { return u.asOf }

func (r records) Sources(context.Context) ([]click.Source, error) {
	return slices.SortedFunc(maps.Keys(r), func(a, b click.Source) int { return int(a.Partition - b.Partition) }), nil
}

func (r records) Bounds(_ context.Context, s click.Source) (start, end int64, err error) {
	if all := r[s]; len(all) > 0 {
		return all[0].Offset, all[len(all)-1].Offset + 1, nil
	}
	return 0, 0, nil
}

func (r records) Since(ctx context.Context, s click.Source, start, end, ms int64) (int64, error) {
	return search(ctx, r, s, start, end, ms)
}

func (r records) Read(ctx context.Context, s click.Source, from, to int64, f func(*click.Record) error) error {
	begin, _ := slices.BinarySearchFunc(r[s], from, func(rec click.Record, offset int64) int { return cmp.Compare(rec.Offset, offset) })
	for _, rec := range r[s][begin:] {
		if rec.Offset >= to {
			break
		}
		rec.Value = slices.Clone(rec.Value)
		err := errors.Join(ctx.Err(), f(&rec))
		if clear(rec.Value); err != nil { // it is valid only during the call
			return err
		}
	}
	return nil
}

func (r records) add(partition int32, id string, ad string, country string, at, appended int64) {
	s := click.Source{Topic: "clicks", Partition: partition}
	value := fmt.Appendf(nil, `{"event_id":%q,"ad_id":%q,"ts":%d,"country":%q}`, id, ad, at, country)
	r[s] = append(r[s], click.Record{Offset: int64(len(r[s])), Append: appended, Value: value})
}

func rules(t testing.TB, where ...string) Rules {
	t.Helper()
	var defs []filter.Definition
	for i, w := range where {
		defs = append(defs, filter.Definition{ID: fmt.Sprint("f", i), Where: w})
	}
	set, err := filter.NewSet(defs, nil)
	if err != nil {
		t.Fatal(err)
	}
	return Rules{
		Judge: rule.Config{
			Size: minute, Lateness: 5 * minute, Delay: 15_000, MaxFuture: minute, IdleTimeout: 5_000,
			EventIDField: "event_id", AdIDField: "ad_id", TimeField: "ts", TimeUnit: rule.Millis, MaxRecordBytes: 1 << 16,
			Rules: click.Rules{Horizon: 10 * minute, MaxIDs: 1 << 20, MaxAds: 1 << 20},
		},
		Trusted: func(string) bool { return false }, Live: func(click.TopicID) int64 { return base },
		Filters: []rule.FilterSpan{{Until: click.None, Set: set}},
	}
}

// count runs a recount into a map by window, filter and ad, with its state behind a count. It does so in turn, and
// again with sources read at once and with small turns where the input and the rules allow that, and holds one against the other.
func count(t testing.TB, in Input, span Range, r Rules) (map[string]string, Report) {
	t.Helper()
	got, report := countOnce(t, in, span, r)
	switch in.(type) {
	case *turns, *fleeting:
		return got, report
	}
	if r.Hole != nil {
		return got, report
	}
	r.Workers = 3
	if again, other := countOnce(t, in, span, r); !maps.Equal(again, got) || other != report {
		t.Errorf("with sources read at once: %v, %+v; in turn %v, %+v", again, other, got, report)
	}
	if r.Turn = 150; report.Records < 10_000 { // a read finds its place slowly here
		again, other := countOnce(t, in, span, r)
		other.Records = report.Records // may be fewer: a source is read to the end of a turn
		if !maps.Equal(again, got) || other != report {
			t.Errorf("%d records at once: %v, %+v; %d at once %v, %+v", r.Turn, again, other, turnMost, got, report)
		}
	}
	return got, report
}

func countOnce(t testing.TB, in Input, span Range, r Rules) (map[string]string, Report) {
	t.Helper()
	got := map[string]string{}
	last := int64(0)
	report, err := Run(t.Context(), []Input{in}, span, r, func(done, total int64) error {
		if done < last || done > total {
			t.Errorf("%d of %d after %d", done, total, last)
		}
		last = done
		return nil
	}, func(w *Window) error {
		for _, row := range w.Rows {
			key := fmt.Sprintf("%d %s %s", (w.Start-base)/minute, w.Filter, row.Ad)
			if got[key] != "" {
				t.Errorf("%s is handed out twice", key)
			}
			got[key] = fmt.Sprint(row.Count, " ", w.State)
			if s := row.Sum(); !s.Known() {
				t.Errorf("%s has no digest", key)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got, report
}

func TestRun(t *testing.T) {
	t.Parallel()
	in := records{}
	in.add(0, "1", "a", "KR", base+1, base+2)
	in.add(0, "2", "a", "US", base+3, base+4)
	in.add(0, "1", "a", "KR", base+1, base+5)                       // again
	in.add(1, "1", "a", "KR", base+1, base+6)                       // again, elsewhere
	in.add(1, "2", "a", "KR", base+3, base+7)                       // a conflict: the first is counted
	in.add(1, "1", "b", "KR", base+8, base+9)                       // another ad's
	in.add(0, "3", "a", "KR", base+minute, base+minute)             // the next minute
	in.add(0, "1", "a", "KR", base+minute+1, base+minute+1)         // again, at another time
	in.add(1, "x", "", "KR", base+8, base+minute)                   // no click
	in.add(0, "4", "a", "KR", base+8*minute, base+8*minute)         // minute 0 is final now, and still corrected
	in.add(0, "5", "a", "KR", base+2*minute+59_999, base+8*minute)  // late, but not too late
	in.add(1, "6", "b", "US", base+8*minute+1, base+8*minute+1)     // both sources are there
	in.add(0, "7", "a", "KR", base+1*minute, base+8*minute)         // too late
	in.add(1, "8", "b", "US", base+30*minute, base+30*minute)       // beyond
	in.add(0, "9", "b", "US", base+30*minute, base+30*minute)       // beyond
	in.add(0, "10", "c", "US", base+8*minute, base+30*minute+1_000) // much too late
	got, report := count(t, in, Range{base, base + 10*minute}, rules(t, `country == "KR"`, `country == "FR"`, `country == "US" and ad_id == "b"`))
	want := map[string]string{
		"0 000 a": "2 final", "0 f0 a": "1 final", "0 000 b": "1 final", "0 f0 b": "1 final", "1 000 a": "1 final", "1 f0 a": "1 final",
		"2 000 a": "1 final", "2 f0 a": "1 final", "8 000 a": "1 final", "8 f0 a": "1 final", "8 000 b": "1 final", "8 f2 b": "1 final",
	}
	if !maps.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	if report != (Report{Sources: 2, Records: 16, Clicks: 11, Whole: true}) || !report.Exact() {
		t.Errorf("%+v", report)
	}
}

// fleeting is records of which the first ones go after so many calls.
type fleeting struct {
	records
	calls, gone int
}

func (f *fleeting) let(s click.Source) {
	if f.calls--; f.calls == 0 {
		f.records[s] = f.records[s][f.gone:]
	}
}

func (f *fleeting) Bounds(ctx context.Context, s click.Source) (int64, int64, error) {
	defer f.let(s)
	return f.records.Bounds(ctx, s)
}

func (f *fleeting) Read(ctx context.Context, s click.Source, from, to int64, each func(*click.Record) error) error {
	defer f.let(s)
	return f.records.Read(ctx, s, from, to, each)
}

// TestFleeting: whenever the first records go, the report does not say that all were read, unless they were.
func TestFleeting(t *testing.T) {
	t.Parallel()
	unread := 0
	for _, gone := range []int{3, 5} {
		for calls := 1; calls < 12; calls++ {
			in := &fleeting{records{}, calls, gone}
			for i := range int64(5) {
				in.add(0, fmt.Sprint(i), "a", "KR", base+i, base+i)
			}
			got, report := count(t, in, Range{base, base + minute}, rules(t))
			if all := got["0 000 a"] == "5 provisional"; !all {
				unread++
				if report.Whole {
					t.Errorf("%d gone after %d calls: %v of 5, and nothing of that in %+v", gone, calls, got, report)
				}
			}
		}
	}
	if unread == 0 {
		t.Error("nothing went before it was read")
	}
}

// TestDigests: the digest is that of the clicks that count, by the cluster's own identities.
func TestDigests(t *testing.T) {
	t.Parallel()
	in := records{}
	in.add(0, "1", "a", "KR", base+1, base+2)
	in.add(0, "2", "a", "US", base+3, base+4)
	in.add(0, "2", "a", "US", base+3, base+5)
	in.add(0, "1", "b", "US", base+3, base+6)
	r := rules(t, `country == "KR"`)
	r.Judge.Router = click.NewRouter(7, 4)
	digest := func(ad string, ids ...string) (sum uint64) {
		for _, id := range ids {
			_, routed := r.Judge.Router.Route([]byte(ad), []byte(id))
			sum += routed.Digest()
		}
		return sum
	}
	want := map[string]uint64{"000 a": digest("a", "1", "2"), "000 b": digest("b", "1"), "f0 a": digest("a", "1")}
	got := map[string]uint64{}
	_, err := Run(t.Context(), []Input{in}, Range{base, base + minute}, r, func(int64, int64) error { return nil }, func(w *Window) error {
		for _, row := range w.Rows {
			got[w.Filter+" "+string(row.Ad)] = row.Digest
		}
		return nil
	})
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("%v, %v, want %v", got, err, want)
	}
}

// TestProvisional: a window that can still change says so, until the sources' silence closes it.
func TestProvisional(t *testing.T) {
	t.Parallel()
	in := records{}
	in.add(0, "1", "a", "KR", base+1, base+2)
	r := rules(t)
	r.Live = func(click.TopicID) int64 { return base - minute }
	for asOf, want := range map[int64]string{click.None: "1 provisional", base + minute + 14_999: "1 provisional", base + minute + 15_000: "1 final"} {
		if got, _ := count(t, until{in, asOf}, Range{base, base + minute}, r); got["0 000 a"] != want {
			t.Errorf("as of %d: %v, want %s", asOf-base, got, want)
		}
	}
	if got, report := count(t, records{}, Range{base, base + minute}, r); len(got) > 0 || !report.Exact() {
		t.Error(got, report)
	}
}

// history makes two hours of clicks in three sources: some again, some late, some long silence.
func history(seed uint64) records {
	rnd := rand.New(rand.NewPCG(seed, 1))
	in := records{}
	type one struct {
		id, ad, country string
		at              int64
	}
	var before []one
	now := [3]int64{base, base, base}
	for i := range 4000 {
		p := rnd.IntN(3)
		now[p] += rnd.Int64N(10_000)
		if rnd.IntN(500) == 0 {
			now[p] += rnd.Int64N(15 * minute)
		}
		c := one{fmt.Sprint(i), fmt.Sprint("ad", rnd.IntN(9)), []string{"KR", "US", "JP"}[rnd.IntN(3)], now[p] - rnd.Int64N(1+rnd.Int64N(8*minute))}
		if len(before) > 0 && rnd.IntN(4) == 0 {
			c = before[len(before)-1-rnd.IntN(min(len(before), 300))]
		}
		before = append(before, c)
		in.add(int32(p), c.id, c.ad, c.country, c.at, now[p])
	}
	return in
}

// TestAnyRange: whichever range is asked for, its windows have the counts that they have
// when everything is read from the beginning, or the report says that this is not known.
func TestAnyRange(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(3, 4))
	exact, less := 0, 0
	for seed := range uint64(6) {
		in := history(seed)
		r := rules(t, `country == "KR"`, `country != "KR" and ad_id in ["ad1", "ad2"]`)
		all, whole := count(t, in, Range{base, base + 300*minute}, r)
		if !whole.Exact() || len(all) < 500 {
			t.Fatalf("%+v, %d counts", whole, len(all))
		}
		for range 20 {
			from := rnd.Int64N(150)
			span := Range{base + from*minute, base + (from+1+rnd.Int64N(20))*minute}
			got, report := count(t, in, span, r)
			if !report.Exact() {
				continue
			}
			exact++
			if report.Records < whole.Records/2 {
				less++
			}
			for key, n := range all {
				var m int64
				if _, err := fmt.Sscan(key, &m); err != nil {
					t.Fatal(err)
				}
				if at := base + m*minute; at >= span.From && at < span.To && stripped(got[key]) != stripped(n) {
					t.Fatalf("seed %d, %v: %s is %q, and %q in all", seed, span, key, got[key], n)
				}
				delete(got, key)
			}
			if len(got) > 0 {
				t.Fatalf("seed %d, %v: too much: %v", seed, span, got)
			}
		}
	}
	if exact < 100 || less < 20 {
		t.Errorf("%d ranges exact, %d of them by reading less than half", exact, less)
	}
}

// stripped is a count without its state.
func stripped(s string) string {
	var n int
	_, _ = fmt.Sscan(s, &n)
	return fmt.Sprint(n)
}

// TestRepeatsBeyond: a click of the range may repeat one that is not in it.
func TestRepeatsBeyond(t *testing.T) {
	t.Parallel()
	in := records{}
	in.add(0, "1", "a", "KR", base, base)
	in.add(0, "2", "a", "KR", base+5*minute, base+5*minute)
	in.add(0, "1", "a", "KR", base+3*minute, base+5*minute)
	in.add(0, "2", "a", "KR", base+3*minute, base+5*minute)
	in.add(0, "3", "a", "KR", base+3*minute, base+5*minute)
	if got, _ := count(t, in, Range{base + 3*minute, base + 4*minute}, rules(t)); got["3 000 a"] != "1 final" {
		t.Error(got)
	}
}

// turns notes how far each source is read.
type turns struct {
	records
	next map[int32]int64
	most int64 // by which one was ahead of another, in records
}

func (u *turns) Read(ctx context.Context, s click.Source, from, to int64, f func(*click.Record) error) error {
	n := 0
	return u.records.Read(ctx, s, from, to, func(r *click.Record) error {
		if n++; n == 1 { // perhaps one that is only looked at
			return f(r)
		}
		u.next[s.Partition] = max(u.next[s.Partition], r.Offset)
		u.most = max(u.most, u.next[0]-u.next[1], u.next[1]-u.next[0])
		return f(r)
	})
}

// TestTurns: sources are read side by side, and no further than they have to be.
func TestTurns(t *testing.T) {
	t.Parallel()
	in := &turns{records: records{}, next: map[int32]int64{}}
	const each = 4 * turnMost
	for i := range int64(each) {
		for p := range int32(2) {
			in.add(p, fmt.Sprint(p, "-", i), "a", "KR", base+20*i, base+20*i)
		}
	}
	got, report := count(t, in, Range{base, base + minute}, rules(t))
	if got["0 000 a"] != "6000 final" || in.most > turnMost || report.Records != 2*turnMost {
		t.Errorf("%v, %d apart, %+v", got, in.most, report)
	}
	if got, _ = count(t, in, Range{base, base + 20*minute}, rules(t)); got["19 000 a"] != "6000 final" || in.most > turnMost+1 {
		t.Errorf("%v, %d apart", got["19 000 a"], in.most)
	}
}

// TestTopicMadeAgain: an input that has only the later of two topics is not whole unless all that matters
// came after it was made, and another that has both is read.
func TestTopicMadeAgain(t *testing.T) {
	t.Parallel()
	before, after := click.Source{Topic: "clicks", ID: click.TopicID{1}}, click.Source{Topic: "clicks", ID: click.TopicID{2}}
	all := records{}
	for i := range int64(60) {
		s := before
		if i >= 30 {
			s = after
		}
		value := fmt.Appendf(nil, `{"event_id":"%d","ad_id":"a","ts":%d}`, i, base+i*minute)
		all[s] = append(all[s], click.Record{Offset: i % 30, Append: base + i*minute, Value: value})
	}
	rules := rules(t)
	rules.Mapped = []control.Mapped{{ID: before.ID, Name: "clicks", Retired: click.None}, {ID: after.ID, Name: "clicks", Retired: click.None}}
	for _, test := range []struct {
		minute int64
		input  int
	}{{35, 1}, {55, 0}} {
		clicks := int64(0)
		span := Range{base + test.minute*minute, base + (test.minute+1)*minute}
		report, err := Run(t.Context(), []Input{records{after: all[after]}, all}, span, rules, func(int64, int64) error { return nil }, func(w *Window) error {
			clicks += w.Rows[0].Count
			return nil
		})
		if err != nil || !report.Whole || report.Input != test.input || clicks != 1 {
			t.Errorf("minute %d: %d clicks, %+v, %v", test.minute, clicks, report, err)
		}
	}
	if report, err := Run(t.Context(), []Input{records{after: all[after]}}, Range{base + 35*minute, base + 36*minute}, rules, func(int64, int64) error { return nil }, func(*Window) error { return nil }); err != nil || report.Whole {
		t.Errorf("%+v, %v", report, err)
	}
}

// TestTopicsThatAreGone: of a topic that is not read nothing matters if it was retired before, or if a later one of its name
// had records before. Else the recount is not whole, wherever other topics are read from.
func TestTopicsThatAreGone(t *testing.T) {
	t.Parallel()
	here := click.Source{Topic: "clicks", ID: click.TopicID{1}}
	in := records{}
	for i := range int64(60) {
		in[here] = append(in[here], click.Record{Offset: i, Append: base + i*minute, Value: fmt.Appendf(nil, `{"event_id":"%d","ad_id":"a","ts":%d}`, i, base+i*minute)})
	}
	span := Range{base + 50*minute, base + 51*minute}
	now := control.Mapped{ID: here.ID, Name: "clicks", Retired: click.None}
	gone := func(name string, retired int64) control.Mapped {
		return control.Mapped{ID: click.TopicID{2}, Name: name, Retired: retired}
	}
	for name, c := range map[string]struct {
		mapped []control.Mapped
		whole  bool
	}{
		"none":                          {[]control.Mapped{now}, true},
		"one of its name before":        {[]control.Mapped{gone("clicks", click.None), now}, true},
		"one of its name after":         {[]control.Mapped{now, gone("clicks", click.None)}, false},
		"another":                       {[]control.Mapped{gone("views", click.None), now}, false},
		"another without a name":        {[]control.Mapped{gone("", click.None), {ID: here.ID, Retired: click.None}}, false},
		"another, retired long before":  {[]control.Mapped{gone("views", base), now}, true},
		"another, retired in the midst": {[]control.Mapped{gone("views", base+45*minute), now}, false},
		"another, retired just before, by another broker's clock": {[]control.Mapped{gone("views", span.From-12*minute-skew-1000), now}, false},
	} {
		rules := rules(t)
		rules.Mapped = c.mapped
		report, err := Run(t.Context(), []Input{in}, span, rules, func(int64, int64) error { return nil }, func(*Window) error { return nil })
		if err != nil || report.Whole != c.whole || report.Clicks != 1 {
			t.Errorf("%s: %+v, %v", name, report, err)
		}
	}
}

// TestUnsure: what is not known for sure is said.
func TestUnsure(t *testing.T) {
	t.Parallel()
	in := records{}
	in.add(0, "0", "a", "KR", base-300*minute, base-300*minute)
	in.add(0, "1", "a", "KR", base+1, base+60*minute) // an old file, after a long silence: late if the topic was live
	r := rules(t)
	r.Live = func(click.TopicID) int64 { return click.None }
	got, report := count(t, in, Range{base, base + minute}, r)
	if report.Unsure != 1 || report.Exact() || got["0 000 a"] != "1 provisional" {
		t.Error(got, report)
	}
	late := records{}
	late.add(0, "1", "a", "KR", base+1, base+1)
	s := click.Source{Topic: "clicks"}
	late[s][0].Offset = 7 // what was before is gone
	if _, report = count(t, late, Range{base, base + minute}, r); report.Whole || report.Exact() {
		t.Error(report)
	}
	r.Judge.Rules.MaxAds = 1
	full := records{}
	full.add(0, "1", "a", "KR", base+1, base+1)
	full.add(0, "2", "b", "KR", base+1, base+1)
	if _, report = count(t, full, Range{base, base + minute}, r); report.Crowded != 1 || report.Exact() {
		t.Error(report)
	}
}

// TestInputs: the first input that has everything is read, or the last that has anything.
func TestInputs(t *testing.T) {
	t.Parallel()
	whole, cut := records{}, records{}
	whole.add(0, "1", "a", "KR", base+1, base+1)
	cut.add(0, "1", "a", "KR", base+1, base+1)
	cut[click.Source{Topic: "clicks"}][0].Offset = 7
	for _, c := range []struct {
		inputs []Input
		want   int
	}{{[]Input{whole, cut}, 0}, {[]Input{cut, whole}, 1}, {[]Input{cut, records{}}, 0}, {[]Input{records{}, cut}, 1}, {[]Input{cut, cut}, 1}, {[]Input{records{}}, 0}} {
		report, err := Run(t.Context(), c.inputs, Range{base, base + minute}, rules(t), func(int64, int64) error { return nil }, func(*Window) error { return nil })
		if err != nil || report.Input != c.want {
			t.Errorf("input %d, %v; want %d", report.Input, err, c.want)
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	in := records{}
	in.add(0, "1", "a", "KR", base+1, base+1)
	stop := errors.New("stop")
	good := Range{base, base + minute}
	quiet := func(int64, int64) error { return nil }
	none := func(*Window) error { return nil }
	if _, err := Run(t.Context(), []Input{in}, Range{base + 1, base + minute}, rules(t), quiet, none); err == nil {
		t.Error("half a window")
	}
	if _, err := Run(t.Context(), []Input{in}, good, rules(t), func(int64, int64) error { return stop }, none); !errors.Is(err, stop) {
		t.Error(err)
	}
	if _, err := Run(t.Context(), []Input{in}, good, rules(t), quiet, func(*Window) error { return stop }); !errors.Is(err, stop) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Run(ctx, []Input{in}, good, rules(t), quiet, none); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// failing is an input of which one source cannot be read to its end.
type failing struct {
	records
	err error
}

func (f failing) Read(ctx context.Context, s click.Source, from, to int64, take func(*click.Record) error) error {
	return f.records.Read(ctx, s, from, to, func(r *click.Record) error {
		if s.Partition == 1 && r.Offset == 2*turnMost {
			return f.err
		}
		return take(r)
	})
}

// TestWorkersEnd: whatever ends a recount ends those who read ahead for it, however many turns they have.
func TestWorkersEnd(t *testing.T) {
	t.Parallel()
	in := records{}
	for i := range int64(3 * turnMost) {
		for p := range int32(2) {
			in.add(p, fmt.Sprint(p, "-", i), "a", "KR", base+i, base+i)
		}
	}
	span, r := Range{base, base + 10*minute}, rules(t)
	r.Workers = 2
	stop := errors.New("stop")
	on := func(int64, int64) error { return nil }
	for name, run := range map[string]func(context.Context) error{
		"a source": func(ctx context.Context) error {
			_, err := Run(ctx, []Input{failing{in, stop}}, span, r, on, func(*Window) error { return nil })
			return err
		},
		"who watches": func(ctx context.Context) error {
			_, err := Run(ctx, []Input{in}, span, r, func(done, _ int64) error {
				if done >= 2*turnMost {
					return stop
				}
				return nil
			}, func(*Window) error { return nil })
			return err
		},
		"who counts": func(ctx context.Context) error {
			_, err := Run(ctx, []Input{in}, span, r, on, func(*Window) error { return stop })
			return err
		},
		"the context": func(ctx context.Context) error {
			ctx, cancel := context.WithCancelCause(ctx)
			defer cancel(nil)
			_, err := Run(ctx, []Input{in}, span, r, func(int64, int64) error { cancel(stop); return nil }, func(*Window) error { return nil })
			if !errors.Is(err, context.Canceled) {
				return err
			}
			return context.Cause(ctx)
		},
	} {
		if err := run(t.Context()); !errors.Is(err, stop) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
