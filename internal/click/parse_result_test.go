package click

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func sample() Result {
	return Result{
		Ad: []byte("ad-17"), Start: 1574553600000, Size: 60_000, Filter: FilterAll,
		Count: 17, Revision: 1, State: Final, Version: 812,
	}
}

func sameResult(a, b Result) bool {
	return bytes.Equal(a.Ad, b.Ad) && a.Start == b.Start && a.Size == b.Size && a.Filter == b.Filter &&
		a.Sum() == b.Sum() && a.Revision == b.Revision && a.State == b.State && a.Version == b.Version
}

func TestParseResultReadsWhatOthersWrite(t *testing.T) {
	t.Parallel()
	const own = `{"ad_id":"ad-17","window_start":"2019-11-24T00:00:00Z","window_ms":60000,"filter":"000","count":17,"revision":1,"state":"final","version":812}`
	for name, text := range map[string]string{
		"own":    own,
		"spaced": strings.ReplaceAll(strings.ReplaceAll(own, ":", " :\t"), ",", " ,\n") + "\n",
		"zone":   strings.ReplaceAll(own, "2019-11-24T00:00:00Z", "2019-11-24T01:00:00.000+01:00"),
		"escape": strings.ReplaceAll(own, "ad-17", `\u0061d-17`),
		"digest": strings.ReplaceAll(own, `"count":17`, `"count":17,"digest":"00000000000000ff"`),
		"order":  `{"version":812,"state":"final","revision":1,"count":17,"filter":"000","window_ms":60000,"window_start":"2019-11-24T00:00:00Z","ad_id":"ad-17"}`,
	} {
		text = strings.ReplaceAll(strings.ReplaceAll(text, "00 :\t00", "00:00"), "00:00 :\t00", "00:00:00")
		got, err := ParseResult([]byte(text))
		want := sample()
		if name == "digest" {
			want.Digest = 255
		}
		if err != nil || !sameResult(got, want) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestParseResultRefuses(t *testing.T) {
	t.Parallel()
	own := sample()
	good := string(own.AppendJSON(nil))
	swap := func(old, now string) string {
		t.Helper()
		if !strings.Contains(good, old) {
			t.Fatalf("%s is not in %s", old, good)
		}
		return strings.Replace(good, old, now, 1)
	}
	for name, text := range map[string]string{
		"nothing":          "",
		"null":             "null",
		"array":            "[]",
		"cut":              good[:len(good)-1],
		"trailing":         good + "{}",
		"missing field":    swap(`,"count":17`, ``),
		"repeated field":   swap(`,"count":17`, `,"count":17,"count":18`),
		"other letters":    swap(`"count"`, `"Count"`),
		"unknown field":    swap(`"count":17`, `"count":17,"clicks":17`),
		"digest of 15":     swap(`"count":17`, `"count":17,"digest":"0000000000000ff"`),
		"digest of 17":     swap(`"count":17`, `"count":17,"digest":"000000000000000ff"`),
		"unknown digest":   swap(`"count":17`, `"count":17,"digest":"0000000000000000"`),
		"capital digest":   swap(`"count":17`, `"count":17,"digest":"00000000000000FF"`),
		"number as digest": swap(`"count":17`, `"count":17,"digest":1000000000000000`),
		"two digests":      swap(`"count":17`, `"digest":"00000000000000ff","count":17,"digest":"00000000000000ff"`),
		"null count":       swap(`17,`, `null,`),
		"text for count":   swap(`"count":17`, `"count":"17"`),
		"fraction":         swap(`"count":17`, `"count":17.5`),
		"negative count":   swap(`"count":17`, `"count":-1`),
		"negative version": swap(`"version":812`, `"version":-1`),
		"no size":          swap(`60000`, `0`),
		"over int64":       swap(`"count":17`, `"count":9223372036854775808`),
		"leading zero":     swap(`"count":17`, `"count":017`),
		"number for ad":    swap(`"ad-17"`, `17`),
		"null ad":          swap(`"ad-17"`, `null`),
		"time":             swap(`2019-11-24T00:00:00Z`, `2019-11-24 00:00:00`),
		"too fine a time":  swap(`00:00:00Z`, `00:00:00.0001Z`),
		"year of 5 digits": swap(`2019-11-24T00:00:00Z`, `9999-12-31T23:59:59-01:00`),
		"state":            swap(`"final"`, `"closed"`),
		"invalid UTF-8":    swap(`ad-17`, "ad-\xff"),
		"high surrogate":   swap(`ad-17`, `ad-\ud83d`),
		"low surrogate":    swap(`ad-17`, `ad-\udc00\ud83d`),
		"control":          swap(`ad-17`, "ad\n17"),
		"nested":           swap(`17,`, `{"a":1},`),
	} {
		if got, err := ParseResult([]byte(text)); !errors.Is(err, ErrWire) || strings.Contains(err.Error(), "%!") {
			t.Errorf("%s: read as %+v, %v", name, got, err)
		}
	}
}

func TestParseResultAllocatesNothing(t *testing.T) {
	r := sample()
	r.Digest = 17
	b := r.AppendJSON(nil)
	if n := testing.AllocsPerRun(100, func() {
		if _, err := ParseResult(b); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzParseResult(f *testing.F) {
	r := sample()
	f.Add(r.AppendJSON(nil))
	f.Add([]byte(`{"ad_id":"\ud83d\ude00\\\"\u0001","window_start":"0000-01-01T00:00:00.001Z","window_ms":1,"filter":"x","count":0,"revision":0,"state":"corrected","version":9223372036854775807}`))
	r.Digest = 1 << 63
	f.Add(r.AppendJSON(nil))
	f.Add([]byte(` { "ad_id" : "" } `))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseResult(b)
		if err != nil {
			if !errors.Is(err, ErrWire) {
				t.Fatalf("not ErrWire: %v", err)
			}
			return
		}
		if !utf8.Valid(r.Ad) {
			t.Fatalf("ad %q", r.Ad)
		}
		again, err := ParseResult(r.AppendJSON(nil))
		if err != nil || !sameResult(r, again) {
			t.Fatalf("%+v became %+v, %v", r, again, err)
		}
	})
}

func FuzzResultRoundTrip(f *testing.F) {
	f.Add("ad-17", int64(1574553600000), int64(60_000), FilterAll, int64(17), uint64(255), int64(1), uint8(1), int64(812))
	f.Add("q\"b\\c\x00\u2028\ufffd\U0001f600", int64(-1), int64(1), "de\n", int64(0), uint64(0), int64(0), uint8(2), int64(1<<62))
	f.Add("", int64(0), int64(1), "", int64(1), uint64(1<<63), int64(1), uint8(0), int64(1))
	earliest := time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
	latest := time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC).UnixMilli()
	f.Fuzz(func(t *testing.T, ad string, start, size int64, filter string, count int64, digest uint64, revision int64, state uint8, version int64) {
		if !utf8.ValidString(ad) || !utf8.ValidString(filter) || start < earliest || start > latest {
			return // RFC 3339 has years of four digits
		}
		want := Result{
			Ad: []byte(ad), Start: start, Size: max(size, 1), Filter: filter, Count: max(count, 0), Digest: digest,
			Revision: max(revision, 0), State: Provisional + State(state%3), Version: max(version, 0),
		}
		got, err := ParseResult(want.AppendJSON(nil))
		if err != nil || !sameResult(got, want) {
			t.Fatalf("%+v became %+v, %v", want, got, err)
		}
	})
}

func BenchmarkParseResult(b *testing.B) {
	r := sample()
	text := r.AppendJSON(nil)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseResult(text); err != nil {
			b.Fatal(err)
		}
	}
}
