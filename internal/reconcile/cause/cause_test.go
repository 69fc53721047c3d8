package cause

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/clickagg/clickagg/internal/click"
)

// of makes clicks with a digest each, named by its number.
func of(c Cause, digests ...uint64) (clicks []Click) {
	for _, d := range digests {
		clicks = append(clicks, Click{c, d, fmt.Sprint("clicks/0/", d)})
	}
	return clicks
}

// total is what clicks come to.
func total(clicks ...[]Click) (s click.Sum) {
	for _, list := range clicks {
		for _, c := range list {
			s.Add(click.Sum{Count: 1, Digest: c.Digest})
		}
	}
	return s
}

// text is what was found, in a line.
func text(parts []Part) string {
	var out []string
	for _, p := range parts {
		out = append(out, strings.TrimSpace(fmt.Sprint(p.Cause, " ", p.Clicks, " ", strings.ReplaceAll(strings.Join(p.Where, " "), "clicks/0/", ""))))
	}
	return strings.Join(out, ", ")
}

func TestExplain(t *testing.T) {
	t.Parallel()
	valid := of(0, 1000, 2001, 4002, 8003)
	late := of(Late, 3, 5)
	repeats, conflicts, ahead := of(Duplicate, 1000, 2001), of(Conflict, 8003), of(Rejected, 77)
	all := slicesOf(valid, late, repeats, conflicts, ahead)
	raw, more := total(valid), total(late)
	for _, c := range []struct {
		name   string
		stored click.Sum
		want   string
	}{
		{"late clicks are not added", raw, "late 2"},
		{"one of them is", total(valid, late[:1]), "late 1"},
		{"a repeat is counted", total(valid, repeats[1:]), "duplicate 1 2001, late 2"},
		{"all repeats are counted", total(valid, repeats, conflicts), "duplicate 2 1000 2001, conflict 1 8003, late 2"},
		{"a conflict, beside late clicks", total(valid, late, conflicts), "conflict 1 8003"},
		{"a click from the future", total(valid, ahead), "rejected 1 77, late 2"},
		{"a count that was raised", click.Sum{Count: raw.Count + 7, Digest: raw.Digest}, "missing_from_raw 5"},
		{"a click of which there is no record", total(valid, of(0, 5_000_000)), "missing_from_raw 1, late 2"},
		{"a count that was lowered", click.Sum{Count: raw.Count - 2, Digest: raw.Digest}, "missing_from_aggregate 2, late 2"},
		{"a click that was lost", total(valid[:2], valid[3:]), "missing_from_aggregate 1 4002, late 2"},
		{"a row that was lost", click.Sum{}, "missing_from_aggregate 4 1000 2001 4002 8003, late 2"},
		{"one click for another", total(valid[:3], of(0, 5_000_000)), "missing_from_raw 1, missing_from_aggregate 1, late 2"},
		{"another digest", click.Sum{Count: raw.Count, Digest: 99}, "missing_from_raw 1, missing_from_aggregate 1, late 2"},
		{"one click less, beside late clicks", total(valid[1:], late), "missing_from_aggregate 1 1000"},
		{"no digest, and as many", click.Sum{Count: raw.Count}, "late 2"},
		{"no digest, and more", click.Sum{Count: raw.Count + 1}, "missing_from_raw 1, late 2"},
	} {
		row := Row{c.stored, raw, more}
		if got := text(Explain(row, all)); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		if row.Holds() {
			t.Errorf("%s: nothing to say", c.name)
		}
	}
	for _, stored := range []click.Sum{total(valid, late), {Count: raw.Count + more.Count}} {
		if !(Row{stored, raw, more}).Holds() {
			t.Errorf("%+v does not hold", stored)
		}
	}
}

// TestLateRepeats: of late clicks, no more can be meant to be there than would be added.
func TestLateRepeats(t *testing.T) {
	t.Parallel()
	valid, late := of(0, 1000), of(Late, 3, 5)
	if got := text(Explain(Row{total(valid, late), total(valid), total(late[:1])}, slicesOf(valid, late))); got != "duplicate 1" {
		t.Error(got)
	}
}

func slicesOf(lists ...[]Click) (all []Click) {
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

// TestInvented: a row of which the records know nothing.
func TestInvented(t *testing.T) {
	t.Parallel()
	if got := text(Explain(Row{Stored: click.Sum{Count: 3, Digest: 8}}, nil)); got != "missing_from_raw 3" {
		t.Error(got)
	}
}

// TestMany: of many clicks, only all of a cause are tried; what cannot be named is said to
// be missing, and its size is right.
func TestMany(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(1, 2))
	var repeats []Click
	for range 10_000 {
		repeats = append(repeats, of(Duplicate, rnd.Uint64())...)
	}
	valid := of(0, 1, 2)
	if got := Explain(Row{Stored: total(valid, repeats), Raw: total(valid)}, slicesOf(valid, repeats)); len(got) != 1 ||
		got[0].Cause != Duplicate || got[0].Clicks != 10_000 || len(got[0].Where) != whereMost {
		t.Error(text(got))
	}
	if got := text(Explain(Row{Stored: total(valid, repeats[1:]), Raw: total(valid)}, slicesOf(valid, repeats))); got != "missing_from_raw 9999" {
		t.Error(got)
	}
}

// TestManyLate: of many late clicks, those were added that came before a repair, and of the last few some; repeats beside them change nothing.
func TestManyLate(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(5, 6))
	some := func(c Cause, n int) (clicks []Click) {
		for range n {
			clicks = append(clicks, of(c, rnd.Uint64())...)
		}
		return clicks
	}
	valid, late, repeats := some(0, 3), some(Late, 40), some(Duplicate, 40)
	row := func(stored ...[]Click) Row {
		return Row{Stored: total(append(stored, valid)...), Raw: total(valid), Late: total(late)}
	}
	few := slicesOf(late[:20], late[23:24], late[25:28])
	for _, c := range []struct {
		stored Row
		want   string
	}{
		{row(late[:25]), "late 15"},
		{row(late[:1]), "late 39"},
		{row(late[:39]), "late 1"},
		{row(few), "late 16"},
		{row(few, repeats), "duplicate 40, late 16"},
		{row(late[10:35]), "missing_from_aggregate 15"},
	} {
		parts := Explain(c.stored, slicesOf(valid, repeats, late))
		for i := range parts {
			parts[i].Where = nil
		}
		if got := text(parts); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
}

// TestAnyChoice: whichever few clicks are stored beside the valid ones, they are found.
func TestAnyChoice(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 50 {
		var valid, others, stored []Click
		for range rnd.IntN(5) {
			valid = append(valid, of(0, rnd.Uint64())...)
		}
		want := map[Cause]int64{}
		for range rnd.IntN(pickMost) {
			c := of(Duplicate+Cause(rnd.IntN(3)), rnd.Uint64())
			others = append(others, c...)
			if rnd.IntN(2) == 0 {
				stored = append(stored, c...)
				want[c[0].Cause]++
			}
		}
		for _, p := range Explain(Row{Stored: total(valid, stored), Raw: total(valid)}, slicesOf(valid, others)) {
			if want[p.Cause] -= p.Clicks; want[p.Cause] == 0 {
				delete(want, p.Cause)
			}
		}
		if len(want) > 0 {
			t.Fatalf("left: %v", want)
		}
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, c := range All() {
		if c.String() == "" || seen[c.String()] {
			t.Errorf("cause %d is called %q", c, c)
		}
		seen[c.String()] = true
		if c.Explained() != (c == Late || c == Superseded) {
			t.Errorf("%s is explained: %v", c, c.Explained())
		}
	}
	for _, c := range All() {
		var read Part
		b, err := json.Marshal(Part{Cause: c})
		if err = errors.Join(err, json.Unmarshal(b, &read)); err != nil || read.Cause != c {
			t.Errorf("%s is read as %v, %v", b, read.Cause, err)
		}
	}
	for _, wrong := range []string{`{"cause":""}`, `{"cause":"none"}`} {
		if err := json.Unmarshal([]byte(wrong), &Part{}); err == nil {
			t.Error(wrong)
		}
	}
	b, err := json.Marshal(Part{Cause: MissingRaw, Clicks: 1})
	if err != nil || string(b) != `{"cause":"missing_from_raw","clicks":1}` || Cause(0).String() != "none" || ends.String() != "none" {
		t.Errorf("%s %v", b, err)
	}
}
