package rule

import (
	"fmt"
	"strings"
	"testing"

	"github.com/clickagg/clickagg/internal/click"
)

const (
	good  = `{"event_id":"417b9790-3203-4f37-8c04-9c454d754fe7","ad_id":"ad000001","ts":1764000000000,"user_id":"u1","ip":"1.2.3.4","country":"KR"}`
	event = `{"specversion":"1.0","type":"click","source":"/shop","id":"17","time":"2025-11-24T16:00:00Z","data":{"ad_id":"a","ts":1}}`

	stamp = 1_764_000_000_000 // 2025-11-24T16:00:00Z, the time of both
)

// with replaces a part of the good record.
func with(old, replacement string) string {
	if !strings.Contains(good, old) {
		panic(old)
	}
	return strings.Replace(good, old, replacement, 1)
}

// one judges a single record of a new partition.
func one(cfg Config, value string, headers ...click.Header) Verdict {
	p := NewPartition(cfg, click.Source{Topic: "clicks"}, NewState(0))
	r := click.Record{Append: stamp, Value: []byte(value), Headers: click.MakeHeaders(headers)}
	v := p.Add(&r)
	p.Seal(1, stamp, click.None, 1)
	if a := p.State().Account; !a.Holds() || a.Received != 1 {
		panic("the account does not hold")
	}
	return v
}

// refusals are records that are no clicks, by the reason.
var refusals = []struct {
	name, value string
	reason      click.Reason
	detail      string // a part of it
}{
	{"no bytes", "", click.Empty, "the value is empty"},
	{"white space", " ", click.Malformed, "byte 1: the record ends where a JSON object should be"},
	{"text", "hello", click.Malformed, "byte 0: a JSON object was expected"},
	{"byte order mark", "\xef\xbb\xbf" + good, click.Malformed, "byte 0"},
	{"array", "[" + good + "]", click.Malformed, "byte 0"},
	{"null", "null", click.Malformed, "byte 0"},
	{"two documents", good + good, click.Malformed, fmt.Sprintf("byte %d: nothing after the object", len(good))},
	{"cut", good[:len(good)-1], click.Malformed, "the record ends where a comma or a brace"},
	{"cut in a string", `{"a":"b`, click.Malformed, "a at byte 7: the record ends where the end of a string"},
	{"comma at the end", with(`"KR"}`, `"KR",}`), click.Malformed, "a key was expected"},
	{"single quotes", `{'a':1}`, click.Malformed, "byte 1: a key"},
	{"no colon", `{"a" 1}`, click.Malformed, "byte 5: a colon"},
	{"leading zero", with("1764000000000", "01764000000000"), click.Malformed, "ts at byte"},
	{"plus", with("1764000000000", "+1764000000000"), click.Malformed, "ts at byte"},
	{"NaN", with("1764000000000", "NaN"), click.Malformed, "ts at byte"},
	{"bare point", with("1764000000000", "1."), click.Malformed, "ts at byte"},
	{"bare exponent", with("1764000000000", "1e+"), click.Malformed, "ts at byte"},
	{"raw newline", with("KR", "K\nR"), click.Malformed, "country at byte"},
	{"escape of JavaScript", with("KR", `\x41`), click.Malformed, "country at byte"},
	{"short escape", with("KR", `\u12`), click.Malformed, "country at byte"},
	{"comment", "{/**/}", click.Malformed, "byte 1"},

	{"same key", with(`"country":`, `"ts":1,"country":`), click.DuplicateKey, "ts at byte"},
	{"same key, escaped", with(`"country":`, `"t\u0073":1,"country":`), click.DuplicateKey, "ts at byte"},
	{"same key, other case", with(`"country":`, `"TS":1,"country":`), click.DuplicateKey, "TS at byte"},
	{"same unknown key", with(`"country":`, `"IP":1,"country":`), click.DuplicateKey, "IP at byte"},
	{"only in other case", with(`"ad_id"`, `"Ad_Id"`), click.DuplicateKey, "differs from ad_id only by case"},
	{"long s", with(`"country":`, `"tſ":1,"country":`), click.DuplicateKey, `"t\u017f" at byte`},

	{"not UTF-8", with("KR", "K\xff"), click.BadText, "country at byte"},
	{"UTF-8 surrogate", with("KR", "\xed\xa0\x80"), click.BadText, "country at byte"},
	{"overlong", with("KR", "\xc0\x80"), click.BadText, "country at byte"},
	{"key not UTF-8", with("country", "\xff"), click.BadText, "byte"},
	{"half a pair in a key", with("country", `\ud800`), click.BadText, "byte"},
	{"half a pair", with("ad000001", `\ud83d`), click.BadText, "ad_id at byte 59: half"},
	{"halves in wrong order", with("ad000001", `\ude00\ud83d`), click.BadText, "ad_id at byte 59"},
	{"NUL", with("ad000001", `a\u0000`), click.BadText, "ad_id at byte 59: a control"},
	{"newline", with("ad000001", `a\nb`), click.BadText, "ad_id at byte 59"},
	{"DEL", with("ad000001", "a\x7f"), click.BadText, "ad_id at byte 59"},
	{"C1 control", with("ad000001", "a\u0085b"), click.BadText, "ad_id at byte 59"},
	{"leading space", with("ad000001", " a"), click.BadText, "ad_id at byte 59"},
	{"trailing space", with("417b", " 417b"), click.BadText, "event_id at byte 12"},
	{"wide space at the end", with("ad000001", "광\u3000"), click.BadText, "ad_id at byte 59"},

	{"no event id", with(`"event_id"`, `"id"`), click.MissingField, "event_id: absent"},
	{"null ad", with(`"ad000001"`, `null`), click.MissingField, "ad_id: absent, null or empty"},
	{"empty ad", with(`"ad000001"`, `""`), click.MissingField, "ad_id"},
	{"no time", with(`"ts"`, `"time"`), click.MissingField, "ts"},
	{"empty time", with("1764000000000", `""`), click.MissingField, "ts"},
	{"null time", with("1764000000000", `null`), click.MissingField, "ts"},
	{"no field", "{}", click.MissingField, "event_id"},

	{"ad with a fraction", with(`"ad000001"`, "1.0"), click.BadType, "ad_id at byte 59"},
	{"ad with an exponent", with(`"ad000001"`, "1e3"), click.BadType, "ad_id at byte 59"},
	{"ad true", with(`"ad000001"`, "true"), click.BadType, "ad_id"},
	{"ad array", with(`"ad000001"`, `["a"]`), click.BadType, "ad_id"},
	{"ad object", with(`"ad000001"`, `{"a":1}`), click.BadType, "ad_id"},
	{"time with a fraction", with("1764000000000", "1764000000000.0"), click.BadType, "ts at byte"},
	{"time false", with("1764000000000", "false"), click.BadType, "ts at byte"},
	{"time beyond 2^53", with("1764000000000", "9007199254740993"), click.BadType, "ts at byte"},
	{"time of 40 digits", with("1764000000000", strings.Repeat("9", 40)), click.BadType, "ts at byte"},

	{"long ad", with("ad000001", strings.Repeat("x", 129)), click.TooLong, "ad_id at byte 59: longer than 128 bytes"},
	{"long event id", with("417b", strings.Repeat("x", 129)), click.TooLong, "event_id at byte 12"},
	{"ad of many digits", with(`"ad000001"`, strings.Repeat("1", 129)), click.TooLong, "ad_id"},
	{"long string", with("KR", strings.Repeat("x", 1025)), click.TooLong, "country at byte"},
	{"long escaped string", with("KR", strings.Repeat(`\n`, 1025)), click.TooLong, "country at byte"},
	{"long nested string", with(`"KR"`, `["`+strings.Repeat("x", 1025)+`"]`), click.TooLong, "country at byte"},
	{"long key", with("country", strings.Repeat("x", 1025)), click.TooLong, "byte"},
	{"too large", with("KR", strings.Repeat("x", 64<<10)), click.TooLarge, "limit"},
	{"deep", with(`"KR"`, strings.Repeat("[", 16)+strings.Repeat("]", 16)), click.TooDeep, "country at byte"},
	{"very deep", strings.Repeat(`{"a":`, 5000), click.TooDeep, "byte"},

	{"second 60", with("1764000000000", `"2025-11-24T16:00:60Z"`), click.BadTime, "ts at byte"},
	{"no zone", with("1764000000000", `"2025-11-24T16:00:00"`), click.BadTime, "ts at byte"},
	{"digits as text", with("1764000000000", `"1764000000000"`), click.BadTime, "ts at byte"},
	{"seconds", with("1764000000000", `1764000000`), click.BadTime, "time unit"},
	{"negative", with("1764000000000", `-1764000000000`), click.BadTime, "ts at byte"},
	{"1999", with("1764000000000", "946684799999"), click.BadTime, "ts at byte"},
	{"2100", with("1764000000000", "4102444800000"), click.BadTime, "ts at byte"},
	{"ahead", with("1764000000000", "1764000060001"), click.Ahead, "ts: 60001 ms ahead"},
}

func TestReasons(t *testing.T) {
	t.Parallel()
	for _, c := range refusals {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			v := one(defaults(), c.value)
			if v.Kind != Rejected || v.Reason != c.reason || !strings.Contains(v.Detail, c.detail) {
				t.Errorf("%v %v %q, want %v with %q", v.Kind, v.Reason, v.Detail, c.reason, c.detail)
			}
		})
	}
}

func TestFieldsAreCounted(t *testing.T) {
	t.Parallel()
	for fields, want := range map[int]Kind{64: Routed, 65: Rejected} {
		value := good[:len(good)-1]
		for i := 6; i < fields; i++ {
			value += fmt.Sprintf(`,"f%d":%d`, i, i)
		}
		if v := one(defaults(), value+"}"); v.Kind != want || want == Rejected && v.Reason != click.TooLong {
			t.Errorf("%d fields: %v", fields, v)
		}
	}
}

// TestDecode shows what is taken for what.
func TestDecode(t *testing.T) {
	t.Parallel()
	const id = "417b9790-3203-4f37-8c04-9c454d754fe7"
	for _, c := range []struct {
		name, value string
		event, ad   string
		time        int64
	}{
		{"good", good, id, "ad000001", stamp},
		{"spaced", strings.NewReplacer(":", " : ", ",", "\n\t,\r\n ", "{", " { ", "}", " } \n").Replace(good), id, "ad000001", stamp},
		{"integers as ids", with(`"ad000001"`, "-17"), id, "-17", stamp},
		{"escapes", with("ad000001", `\u0061\/\"\\\ud83d\ude00`), id, `a/"\😀`, stamp},
		{"escaped key", with("ad_id", `\u0061d_id`), id, "ad000001", stamp},
		{"other scripts", with("ad000001", "광고 é"), id, "광고 é", stamp},
		{"half a pair elsewhere", with("KR", `\ud800\u0000`), id, "ad000001", stamp},
		{"any type elsewhere", with(`"KR"`, `[1,-0.5E+3,{"a":{}},[],true,false,null,"",{"a":1,"a":2}]`), id, "ad000001", stamp},
		{"depth 16", with(`"KR"`, strings.Repeat("[", 15)+strings.Repeat("]", 15)), id, "ad000001", stamp},
		{"long id", with("ad000001", strings.Repeat("x", 128)), id, strings.Repeat("x", 128), stamp},
		{"long string", with("KR", strings.Repeat(`\u00e9`, 512)), id, "ad000001", stamp},
		{"text time", with("1764000000000", `"2025-11-25T01:00:00.0019+09:00"`), id, "ad000001", stamp + 1},
		{"escaped time", with("1764000000000", `"2025-11-24T16:00:00\u005a"`), id, "ad000001", stamp},
		{"earliest", with("1764000000000", "946684800000"), id, "ad000001", 946684800000},
		{"event", event, "/shop\n17", "a", stamp},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cfg := defaults()
			d := newDecoder(&cfg)
			for range 2 { // the second time, the keys are known
				got, ok := d.decode([]byte(c.value), click.Headers{})
				if !ok || string(got.event) != c.event || string(got.ad) != c.ad || got.time != c.time {
					t.Errorf("%v %q %q %d: %v", ok, got.event, got.ad, got.time, d.fault.verdict())
				}
			}
		})
	}
}

// TestDecoderHasNoMemory decodes records one after the other with one decoder and
// with a new one each: what it remembers of keys must not change what it says.
func TestDecoderHasNoMemory(t *testing.T) {
	t.Parallel()
	cfg := defaults()
	old := newDecoder(&cfg)
	list := append(seeds(), good, with(`"user_id"`, `"user_ID"`), with(`"ip"`, `"ts"`), with(`"country"`, `"c"`), `{"event_id":"1"}`,
		with(`"ad_id"`, `"ad"`), with(`"ip"`, `"country"`), with(`"ip"`, `"ad_id"`))
	for _, before := range list {
		for _, value := range list {
			old.decode([]byte(before), click.Headers{})
			fresh := newDecoder(&cfg)
			got, gotOK := old.decode([]byte(value), click.Headers{})
			want, wantOK := fresh.decode([]byte(value), click.Headers{})
			if gotOK != wantOK || string(got.event) != string(want.event) || string(got.ad) != string(want.ad) || gotOK && got.time != want.time {
				t.Fatalf("%q after %q: %q %q %d %v, want %q %q %d %v", value, before, got.event, got.ad, got.time, gotOK, want.event, want.ad, want.time, wantOK)
			}
			if !gotOK && old.fault != fresh.fault {
				t.Fatalf("%q after %q: fault %v, want %v", value, before, old.fault, fresh.fault)
			}
		}
	}
}

func TestTimeUnits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		unit   string
		digits string
		want   Verdict
	}{
		{"s", "1764000000", Verdict{Kind: Routed}},
		{"ms", "1764000000000", Verdict{Kind: Routed}},
		{"us", "1764000000000000", Verdict{Kind: Routed}},
		{"ns", "1764000000000000000", Verdict{Kind: Routed}},
		{"ns", "9223372036854775808", Verdict{Kind: Rejected, Reason: click.BadType}},
		{"s", "9007199254740992", Verdict{Kind: Rejected, Reason: click.BadTime}},
		{"s", "1764000000000", Verdict{Kind: Rejected, Reason: click.BadTime}},
		{"us", "1764000000000", Verdict{Kind: Rejected, Reason: click.BadTime}},
	} {
		cfg := defaults()
		var err error
		if cfg.TimeUnit, err = ParseTimeUnit(c.unit); err != nil || cfg.TimeUnit.String() != c.unit {
			t.Fatal(cfg.TimeUnit, err)
		}
		if v := one(cfg, with("1764000000000", c.digits)); v.Kind != c.want.Kind || v.Reason != c.want.Reason {
			t.Errorf("%s %s: %v", c.digits, c.unit, v)
		}
	}
	if _, err := ParseTimeUnit("m"); err == nil {
		t.Error("minutes are no unit")
	}
}

// TestDedupeKey shows that a composed id is equal for equal parts only, and
// never equal to an id of a record.
func TestDedupeKey(t *testing.T) {
	t.Parallel()
	cfg := defaults()
	cfg.DedupeKey = []string{"user_id", "ip", "ts"}
	d := newDecoder(&cfg)
	read := func(value string) string {
		c, ok := d.decode([]byte(value), click.Headers{})
		if !ok {
			t.Fatal(d.fault.verdict())
		}
		return string(c.event)
	}
	without := with(`"event_id":"417b9790-3203-4f37-8c04-9c454d754fe7",`, "")
	base := read(without)
	if got := read(strings.Replace(without, `"u1"`, `"\u00751"`, 1)); got != base {
		t.Errorf("%q and %q", got, base)
	}
	if got := read(with(`"417b9790-3203-4f37-8c04-9c454d754fe7"`, `null`)); got != base {
		t.Errorf("%q and %q", got, base)
	}
	for _, other := range []string{
		good, strings.Replace(without, "000,", "001,", 1),
		strings.Replace(without, `"u1","ip":"1.2`, `"u11","ip":".2`, 1),
	} {
		if read(other) == base {
			t.Errorf("%s has the id of another", other)
		}
	}
	for old, want := range map[string]click.Reason{
		`"user_id":"u1",`: click.MissingField, `"u1"`: click.MissingField, `u1`: click.BadText, `"u1","ip":"1.2.3.4"`: click.BadType,
	} {
		replacement := map[click.Reason]string{click.MissingField: ``, click.BadText: `\udc00`, click.BadType: `1.5`}[want]
		if old == `"u1"` {
			replacement = `""`
		}
		if v := one(cfg, strings.Replace(without, old, replacement, 1)); v.Reason != want {
			t.Errorf("%s: %v", old, v)
		}
	}
}

func TestConfiguredNames(t *testing.T) {
	t.Parallel()
	cfg := defaults()
	cfg.EventIDField, cfg.AdIDField, cfg.TimeField = "id", "item", "when"
	if v := one(cfg, `{"id":"1","item":"a","when":1764000000000,"ts":"x","ad_id":{}}`); v.Kind != Routed {
		t.Error(v)
	}
}

func TestDecodeAllocatesNothing(t *testing.T) {
	cfg := defaults()
	cfg.DedupeKey = []string{"ip", "user_id"}
	d := newDecoder(&cfg)
	for _, value := range []string{good, event, with("ad000001", `\u0061é`), with(`"event_id"`, `"other"`), with(`"ts":1764000000000`, `"ts":"2025-11-24T16:00:00.5Z"`)} {
		record := []byte(value)
		if n := testing.AllocsPerRun(100, func() {
			if _, ok := d.decode(record, click.Headers{}); !ok {
				t.Fatal(d.fault.verdict())
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", value, n)
		}
	}
}
