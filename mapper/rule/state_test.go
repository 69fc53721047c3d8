package rule

import (
	"math"
	"strings"
	"testing"

	"github.com/clickagg/clickagg/internal/click"
)

func bigState() State {
	s := State{Next: 1 << 62, Seen: math.MaxInt64, LastAppend: math.MaxInt64, Live: math.MaxInt64, Closed: math.MaxInt64}
	s.Account.Skipped = 1 << 62
	for i := range s.Account.Rejected {
		s.Account.Rejected[i] = 1 << 57
	}
	s.Account.Marks, s.Account.Late, s.Account.Routed = 1<<57, 1<<57, 1<<57
	s.Account.Received = s.Account.RejectedTotal() + 3<<57
	return s
}

// TestStateBytes holds the encoding still: positions committed by one version of
// the program are read by the next.
func TestStateBytes(t *testing.T) {
	t.Parallel()
	usual := State{Next: 1000, Seen: stamp, LastAppend: stamp + 1, Live: stamp - 1, Closed: stamp - 2}
	usual.Account = click.Account{Skipped: 3, Received: 20, Marks: 1, Late: 2, Routed: 13}
	usual.Account.Rejected[click.Malformed] = 4
	for text, s := range map[string]State{
		"AgAAAAAAAAAAAAAA": NewState(0),
		"AgMUAQINAgAE6AcBgKC/6dZmAYKgv+nWZgH+n7/p1mYB/J+/6dZm": usual,
	} {
		if got := s.Encode(); got != text {
			t.Errorf("%+v: %q, want %q", s, got, text)
		}
		if got, err := DecodeState(text); err != nil || got != s {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	if text := bigState().Encode(); len(text) > 400 {
		t.Errorf("%d bytes", len(text))
	}
}

func TestDecodeStateRefuses(t *testing.T) {
	t.Parallel()
	broken := func(change func(*State)) string {
		s := State{Next: 5, Seen: 1, LastAppend: 2, Live: 3, Account: click.Account{Received: 5, Routed: 5}}
		change(&s)
		return s.Encode()
	}
	if _, err := DecodeState(broken(func(*State) {})); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"nothing":              "",
		"words":                "hello, world",
		"other version":        "AQAAAAAAAAAAAAAA",
		"cut":                  "AgAAAAAAAAAAAAA",
		"more":                 "AgAAAAAAAAAAAAAAAA",
		"offset out of range":  broken(func(s *State) { s.Next = -1 }),
		"account":              broken(func(s *State) { s.Account.Late = 1 }),
		"append without click": broken(func(s *State) { s.Seen = click.None }),
		"click without append": broken(func(s *State) { s.LastAppend = click.None }),
	} {
		if s, err := DecodeState(text); err == nil || !strings.HasPrefix(err.Error(), "state: ") || s != (State{}) {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
	}
}

func FuzzState(f *testing.F) {
	f.Add(NewState(0).Encode())
	f.Add(bigState().Encode())
	f.Fuzz(func(t *testing.T, text string) {
		s, err := DecodeState(text)
		if err != nil {
			return
		}
		if again, err := DecodeState(s.Encode()); err != nil || again != s {
			t.Errorf("%q: %+v, then %+v, %v", text, s, again, err)
		}
	})
}
