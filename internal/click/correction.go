package click

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
)

// Step says what a [Correction] does.
type Step uint8

// The steps of a correction, in their order.
const (
	Begin  Step = iota + 1 // the hold begins: until it ends, answers over its time are provisional
	Change                 // counts of one window under one filter
	End                    // the hold ends: all changes are stored
)

// Hold is a stretch of time whose windows a correction changes. It begins before the
// first change and ends after the last, so that nobody takes a part of them for the whole.
type Hold struct {
	Number   int64 // they rise by one; 0 is none
	From, To int64 // Unix ms, whole windows: [From, To)
	Done     bool
}

// AppendText writes the hold as the value of [HeaderHold].
func (h Hold) AppendText(b []byte) []byte {
	state := "open"
	if h.Done {
		state = "done"
	}
	return fmt.Appendf(b, "%d/%d/%d/%s", h.Number, h.From, h.To, state)
}

// ParseHold reads what [Hold.AppendText] wrote. An error wraps [ErrWire].
func ParseHold(text string) (Hold, error) {
	parts := strings.Split(text, "/")
	var n [3]int64
	for i := 0; i < len(n) && len(parts) == 4; i++ {
		n[i], _ = strconv.ParseInt(parts[i], 10, 64)
	}
	h := Hold{Number: n[0], From: n[1], To: n[2], Done: len(parts) == 4 && parts[3] == "done"}
	if h.Number < 1 || h.From >= h.To || string(h.AppendText(nil)) != text {
		return Hold{}, fmt.Errorf("hold %q: %w", text, ErrWire)
	}
	return h, nil
}

// Correction is one record of the partials topic that no shard said: it replaces counts
// of windows that are closed for good, by a replay or a repair. It stands in the partition of
// the windows' reducer; steps that begin and end a hold stand in every one.
//
// A reducer takes changes only between the two, so that a publisher that was frozen and
// comes back when others have finished its work changes nothing. As with partials, what is said is
// a value, and saying it twice is not an event.
//
// Layout:
//
//	byte    version = 200, which no partial has
//	byte    Step
//	uvarint Number
//	varint  From, To
//
// and of a change
//
//	uvarint length + filter, uvarint Revision
//	uvarint number of rows, each uvarint length + ad, uvarint count, 8 bytes digest, big endian
//	byte    Last (0 or 1); if 1: uvarint Clicks, Ads, top rows as above, without digests
type Correction struct {
	Step   Step
	Number int64 // of the hold
	// From and To are the time of the hold or, of a change, its window: Unix ms, [From, To).
	From, To int64

	Filter   string
	Revision int64
	Rows     []Row // new counts, 0 for ads that have no click
	// Last is the last change of the window under the filter: with its ranked list, and the
	// clicks and ads that it has then.
	Last        bool
	Clicks, Ads int64
	Top         []Row
}

const correctionVersion = 200

// IsCorrection tells whether a record of the partials topic is meant as a [Correction].
func IsCorrection(b []byte) bool { return len(b) > 0 && b[0] == correctionVersion }

// Append encodes the correction after b.
func (c *Correction) Append(b []byte) []byte {
	b = append(b, correctionVersion, byte(c.Step))
	b = AppendTotal(b, c.Number)
	b = binary.AppendVarint(binary.AppendVarint(b, c.From), c.To)
	if c.Step != Change {
		return b
	}
	b = AppendTotal(AppendBytes(b, c.Filter), c.Revision)
	b = AppendFlag(AppendRows(b, c.Rows, true), c.Last)
	if c.Last {
		b = AppendRows(AppendTotal(AppendTotal(b, c.Clicks), c.Ads), c.Top, false)
	}
	return b
}

// Parse decodes a correction into c and reuses its slices. Ads stay views into b. An
// error wraps [ErrWire].
func (c *Correction) Parse(b []byte) error {
	d := NewDecoder(b)
	if err := d.Version(correctionVersion, "correction"); err != nil {
		return err
	}
	*c = Correction{Step: Step(d.Byte()), Number: d.Total(), From: d.Int(), To: d.Int(), Filter: c.Filter, Rows: c.Rows[:0], Top: c.Top[:0]}
	if c.Step < Begin || c.Step > End || c.Number == 0 || c.From >= c.To {
		d.Fail()
	}
	if c.Step == Change {
		c.Filter, c.Revision, c.Rows = d.Text(c.Filter), d.Total(), d.Rows(c.Rows, true)
		if c.Last = d.Flag(); c.Last {
			c.Clicks, c.Ads, c.Top = d.Total(), d.Total(), d.Rows(c.Top, false)
		}
	} else {
		c.Filter = ""
	}
	return d.End("correction")
}
