package rule

import (
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/clickagg/clickagg/internal/click"
)

// State is what a partition must remember of the log before an offset. It is
// committed beside that offset, so that a restart goes on as if it had not been.
// All but Live is a function of the log and of the rules by which each part of it was
// judged. Times are Unix ms or [click.None].
type State struct {
	Next       int64 // the next offset to read
	Seen       int64 // greatest event time believed; the watermark is Seen − Delay
	LastAppend int64 // greatest append time of a record that was not refused; None exactly when Seen is
	Live       int64 // broker's time since which the topic is known to be live
	// Closed is the end of the newest window that is closed for good: a click of a
	// window that ends at or before it is late. It is Seen − Delay − Lateness at its
	// greatest, by the rules there were: longer ones reopen nothing.
	Closed  int64
	Account click.Account
}

// NewState is the state of a partition of which nothing below next is known.
func NewState(next int64) State {
	return State{Next: next, Seen: click.None, LastAppend: click.None, Live: click.None, Closed: click.None}
}

const stateVersion = 2

// encoding is printable, for it stands in the metadata text of a commit.
var encoding = base64.RawStdEncoding.Strict()

// Encode writes the state as printable text of at most 400 bytes: base64
// without padding of
//
//	byte    version = 2
//	        account, as in sections
//	uvarint Next
//	times   Seen, LastAppend, Live, Closed, as in sections
func (s State) Encode() string {
	b := click.AppendAccount([]byte{stateVersion}, &s.Account)
	b = click.AppendTotal(b, s.Next)
	for _, t := range [...]int64{s.Seen, s.LastAppend, s.Live, s.Closed} {
		b = click.AppendTime(b, t)
	}
	return encoding.EncodeToString(b)
}

var errState = errors.New("not a mapper's position as this program writes it")

// DecodeState reads what [State.Encode] wrote. It refuses any other text, and a
// state that no log leads to.
func DecodeState(text string) (State, error) {
	b, err := encoding.DecodeString(text)
	if err != nil {
		return State{}, fmt.Errorf("state: %w: %w", errState, err)
	}
	if len(b) == 0 || b[0] != stateVersion {
		return State{}, fmt.Errorf("state: %w: not format version %d", errState, stateVersion)
	}
	account, b, err := click.ParseAccount(b[1:])
	if err != nil {
		return State{}, fmt.Errorf("state: %w", err)
	}
	d := click.NewDecoder(b)
	s := State{Next: d.Total(), Seen: d.Time(), LastAppend: d.Time(), Live: d.Time(), Closed: d.Time(), Account: account}
	if err := d.End("state"); err != nil {
		return State{}, err
	}
	if (s.Seen == click.None) != (s.LastAppend == click.None) || !account.Holds() {
		return State{}, fmt.Errorf("state: %w: its parts do not fit", errState)
	}
	return s, nil
}
