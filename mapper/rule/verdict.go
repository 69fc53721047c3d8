package rule

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/clickagg/clickagg/internal/click"
)

// Kind says what became of a record. The zero Kind is none.
type Kind uint8

// Every record is exactly one of these.
const (
	Routed    Kind = iota + 1 // a valid click, now in the section of its shard
	Late                      // a click whose window its own partition had closed
	Rejected                  // no click; the verdict's Reason says why
	Mark                      // a watermark record, believed
	Tombstone                 // no value and no watermark; means nothing here
	Unopened                  // a click of a minute that is not open: it has not been judged yet
)

var kindNames = [...]string{Routed: "routed", Late: "late", Rejected: "rejected", Mark: "mark", Tombstone: "tombstone", Unopened: "unopened"}

// String is the kind in lower case.
func (k Kind) String() string {
	if k < Routed || k > Unopened {
		return fmt.Sprintf("kind(%d)", uint8(k))
	}
	return kindNames[k]
}

// Verdict is what a partition says of one record.
type Verdict struct {
	Kind   Kind
	Reason click.Reason // of a Rejected record
	// Detail says, of a Rejected record, which field is at fault, at which byte
	// of the value, and what is wrong with it. At most 256 bytes of valid UTF-8.
	Detail string
	// Mask says of a Routed click which filters are true of it: bit i stands for the
	// i-th identifier of the set that holds in the click's minute.
	Mask   uint64
	LateBy int64 // of a Late click: ms by which its window had been closed for good
}

// maxDetail is the longest detail of a verdict.
const maxDetail = 256

// fault is what is wrong with a record.
type fault struct {
	reason click.Reason
	field  string // the field's name, as the record has it; empty for the record itself
	at     int    // byte of the record's value, or nowhere
	text   string
}

// nowhere is the position of a fault that is not in the record's value.
const nowhere = -1

func (f *fault) verdict() Verdict {
	where := ""
	if f.at != nowhere {
		where = fmt.Sprintf("byte %d", f.at)
	}
	if f.field != "" {
		// The name may come from the record: it is cut, and quoted unless plain.
		field := f.field[:min(len(f.field), 40)]
		if q := strconv.QuoteToASCII(field); q != `"`+field+`"` {
			field = q
		}
		if where != "" {
			where = " at " + where
		}
		where = field + where
	}
	if where != "" {
		where += ": "
	}
	return reject(f.reason, where+f.text)
}

func reject(reason click.Reason, detail string) Verdict {
	if len(detail) > maxDetail {
		detail = strings.ToValidUTF8(detail[:maxDetail], "")
	}
	return Verdict{Kind: Rejected, Reason: reason, Detail: detail}
}
