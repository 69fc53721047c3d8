package assign

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
)

var whole = Claim{
	Topics: []string{"clicks.de", "clicks.fr"}, Generation: 7,
	Owned: []Partition{{"clicks.de", 0}, {"clicks.de", 17}, {"clicks.fr", 3}},
}

func TestClaimOnTheWire(t *testing.T) {
	t.Parallel()
	for _, c := range []Claim{whole, {Generation: -1}, {Topics: []string{"t"}}} {
		got, err := DecodeClaim(c.Append(nil))
		if err != nil || !reflect.DeepEqual(got, c) {
			t.Errorf("%+v became %+v, %v", c, got, err)
		}
	}
	mixed := whole
	mixed.Owned = []Partition{whole.Owned[2], whole.Owned[0], whole.Owned[1], whole.Owned[0]}
	mixed.Topics = []string{"clicks.fr", "clicks.de", "clicks.fr"}
	if !slices.Equal(mixed.Append(nil), whole.Append(nil)) {
		t.Error("the order is on the wire")
	}
	// As Kafka's own clients write a subscription of version 2.
	want := "\x00\x02" + "\x00\x00\x00\x01\x00\x01t" + "\xff\xff\xff\xff" + "\x00\x00\x00\x01\x00\x01t\x00\x00\x00\x01\x00\x00\x00\x05" + "\x00\x00\x00\x09"
	c := Claim{Topics: []string{"t"}, Generation: 9, Owned: []Partition{{"t", 5}}}
	if got := string(c.Append(nil)); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestShareOnTheWire(t *testing.T) {
	t.Parallel()
	for _, share := range [][]Partition{nil, whole.Owned} {
		got, err := DecodeShare(AppendShare(nil, share))
		if err != nil || !slices.Equal(got, share) {
			t.Errorf("%v became %v, %v", share, got, err)
		}
	}
	want := "\x00\x00" + "\x00\x00\x00\x01\x00\x01t\x00\x00\x00\x01\x00\x00\x00\x05" + "\xff\xff\xff\xff"
	if got := string(AppendShare(nil, []Partition{{"t", 5}})); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestMalformed(t *testing.T) {
	t.Parallel()
	for name, b := range map[string]string{
		"nothing":           "",
		"cut":               string(whole.Append(nil)[:20]),
		"more behind":       string(whole.Append(nil)) + "\x00",
		"topics not sorted": "\x00\x02\x00\x00\x00\x02\x00\x01u\x00\x01t\xff\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00\x00",
		"user's data":       "\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
		"a huge count":      "\x00\x02\x7f\xff\xff\xff",
		"a negative number": "\x00\x02\x00\x00\x00\x00\xff\xff\xff\xff\x00\x00\x00\x01\x00\x01t\x00\x00\x00\x01\xff\xff\xff\xff\x00\x00\x00\x00",
		"a long name":       string((&Claim{Topics: []string{strings.Repeat("t", 250)}}).Append(nil)),
		"a topic twice":     "\x00\x02\x00\x00\x00\x00\xff\xff\xff\xff\x00\x00\x00\x02\x00\x01t\x00\x00\x00\x00\x00\x01t\x00\x00\x00\x00\x00\x00\x00\x00",
	} {
		if _, err := DecodeClaim([]byte(b)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := DecodeClaim([]byte("\x00\x03")); err == nil || !strings.Contains(err.Error(), "version 3") {
		t.Errorf("version 3: %v", err)
	}
	if _, err := DecodeShare(append(AppendShare(nil, whole.Owned), 0)); !errors.Is(err, ErrMalformed) {
		t.Errorf("a share with more behind: %v", err)
	}
	if _, err := DecodeShare([]byte("\x00\x01")); err == nil || !strings.Contains(err.Error(), "version 1") {
		t.Errorf("version 1: %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(whole.Append(nil))
	f.Add(AppendShare(nil, whole.Owned))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := DecodeClaim(b); err == nil && !slices.Equal(c.Append(nil), b) {
			t.Errorf("%q came back as %q", b, c.Append(nil))
		}
		if share, err := DecodeShare(b); err == nil && !slices.Equal(AppendShare(nil, share), b) {
			t.Errorf("%q came back as %q", b, AppendShare(nil, share))
		}
	})
}
