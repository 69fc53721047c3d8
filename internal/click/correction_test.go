package click

import (
	"bytes"
	"errors"
	"reflect"
	"testing"
)

func goldenCorrection() Correction {
	return Correction{
		Step: Change, Number: 3, From: goldenMinute, To: goldenMinute + 60_000, Filter: FilterAll, Revision: 2,
		Rows: []Row{{Ad: []byte("ad-1"), Count: 201, Digest: 1<<63 + 5}, {Ad: []byte("ad-9")}}, Last: true, Clicks: 290, Ads: 2,
		Top: []Row{{Ad: []byte("ad-1"), Count: 201}},
	}
}

func corrections() []Correction {
	more := goldenCorrection()
	more.Last, more.Clicks, more.Ads, more.Top = false, 0, 0, []Row{}
	return []Correction{
		goldenCorrection(), more,
		{Step: Begin, Number: 1, From: -60_000, To: 60_000, Rows: []Row{}, Top: []Row{}},
		{Step: End, Number: 1 << 40, From: 0, To: 60_000, Rows: []Row{}, Top: []Row{}},
	}
}

func TestCorrectionRoundTrip(t *testing.T) {
	t.Parallel()
	var c Correction
	for _, want := range corrections() {
		b := want.Append(nil)
		if err := c.Parse(b); err != nil || !reflect.DeepEqual(c, want) {
			t.Errorf("%+v, %v, want %+v", c, err, want)
		}
		if !IsCorrection(b) || new(Partial).Parse(b) == nil {
			t.Error("taken for a partial")
		}
	}
	p := goldenPartial()
	if b := p.Append(nil); IsCorrection(b) || !errors.Is(c.Parse(b), ErrWire) || IsCorrection(nil) {
		t.Error("a partial was taken for a correction")
	}
	for _, bad := range []Correction{{Step: Begin, To: 1}, {Step: Begin, Number: 1}, {Step: 0, Number: 1, To: 1}, {Step: 4, Number: 1, To: 1}} {
		if err := c.Parse(bad.Append(nil)); !errors.Is(err, ErrWire) {
			t.Errorf("%+v was read: %v", bad, err)
		}
	}
}

func TestHoldText(t *testing.T) {
	t.Parallel()
	for _, want := range []Hold{{Number: 1, From: -60_000, To: 60_000}, {Number: 12, To: 1, Done: true}} {
		if got, err := ParseHold(string(want.AppendText(nil))); got != want || err != nil {
			t.Errorf("%+v, %v, want %+v", got, err, want)
		}
	}
	for _, text := range []string{"", "1/0/1", "0/0/1/open", "1/1/1/done", "1/0/1/", "1/0/1/open/", "01/0/1/open", "a/0/1/open"} {
		if got, err := ParseHold(text); !errors.Is(err, ErrWire) {
			t.Errorf("%q was read as %+v", text, got)
		}
	}
}

func FuzzParseCorrection(f *testing.F) {
	for _, c := range corrections() {
		f.Add(c.Append(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var c Correction
		if err := c.Parse(b); err != nil {
			return
		}
		if again := c.Append(nil); !bytes.Equal(again, b) {
			t.Errorf("%x is also written as %x", b, again)
		}
	})
}
