package letters

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/stream"
)

// Origin is where the record stands that a letter is about. It names the letter.
type Origin struct {
	click.Source
	Offset int64
}

// String is topic/partition/offset.
func (o Origin) String() string { return fmt.Sprintf("%s/%d", o.Source, o.Offset) }

// Letter is one record that was not counted, or what is known of several.
type Letter struct {
	Origin
	Reason   string // a heading of the manual
	Detail   string // field and place; may be empty
	Append   int64  // broker's time, Unix ms: of the record, of the letter where that is not known
	LateBy   int64  // of a late click, ms by which its window had been closed for good; else -1
	Records  int64  // how many records it tells of; more than 1 are not kept one by one
	Redriven string // names the letter whose correction this record was; empty for none
	// Away: the record's bytes are not in the letter, or not all; they may be in its topic.
	Away    bool
	Key     []byte
	Value   []byte // nil for a record without one
	Headers []click.Header
	Settled Settled

	partition int32 // of the box
}

// Settled says how a letter was dealt with. The zero Settled is of one that was not.
type Settled struct {
	How  string // Redriven or Dropped; empty for neither
	Note string // where to, or why
	At   int64  // broker's time, Unix ms
}

// How a letter can have been dealt with.
const (
	Redriven = "redriven"
	Dropped  = "dropped"
)

// The reasons of letters that are none of [click.Reason].
const (
	late    = "late"
	refused = "refused" // by the store
	crowded = "crowded" // out of a shard
	stale   = "stale"
)

var errLetter = errors.New("not a letter as this program writes it")

// own are the headers that clickagg adds to a record.
var own = []string{
	click.HeaderReason, click.HeaderDetail, click.HeaderTopic, click.HeaderPartition, click.HeaderOffset, click.HeaderIncarnation,
	click.HeaderAppendTime, click.HeaderBytes, click.HeaderRecords, click.HeaderLateBy, click.HeaderSettled, click.HeaderRedriven,
}

// parse reads a record of a box. It copies nothing. A mark has only an origin and how
// it was settled. What a record brought with it stands before its reason, so whatever it
// calls its headers, it says nothing of the letter but what it is a correction of.
func parse(r *click.Record) (l Letter, err error) {
	l = Letter{Append: r.Append, LateBy: -1, Records: 1, Key: r.Key, Value: r.Value}
	n := map[string]int64{click.HeaderPartition: -1, click.HeaderOffset: -1, click.HeaderAppendTime: r.Append, click.HeaderRecords: 1, click.HeaderLateBy: -1}
	theirs, met := 0, 0 // headers
	r.Headers.Each(func(k, _ []byte) bool {
		if string(k) == click.HeaderReason {
			theirs = met
		}
		met++
		return true
	})
	whole := r.Headers.Each(func(k, v []byte) bool {
		key := string(k)
		if theirs--; theirs >= 0 && key != click.HeaderRedriven {
			l.Headers = append(l.Headers, click.Header{Key: key, Value: v})
			return true
		}
		switch key {
		case click.HeaderReason:
			l.Reason = string(v)
		case click.HeaderDetail:
			l.Detail = string(v)
		case click.HeaderTopic:
			l.Topic = string(v)
		case click.HeaderIncarnation:
			var id []byte
			if id, err = hex.DecodeString(string(v)); err == nil && len(id) == len(l.ID) {
				l.ID = click.TopicID(id)
			}
		case click.HeaderSettled:
			l.Settled.How = string(v)
		case click.HeaderRedriven:
			l.Redriven = string(v)
		case click.HeaderBytes:
			l.Away = true
		case click.HeaderPartition, click.HeaderOffset, click.HeaderAppendTime, click.HeaderRecords, click.HeaderLateBy:
			n[key], err = strconv.ParseInt(string(v), 10, 64)
		default:
			l.Headers = append(l.Headers, click.Header{Key: key, Value: v})
		}
		return err == nil
	})
	l.Partition, l.Offset = int32(n[click.HeaderPartition]), n[click.HeaderOffset]
	l.Append, l.Records, l.LateBy = n[click.HeaderAppendTime], n[click.HeaderRecords], n[click.HeaderLateBy]
	if !whole || err != nil || l.Topic == "" || l.Partition < 0 || l.Offset < 0 || l.Records < 1 || l.Reason == "" && l.Settled.How == "" {
		return l, fmt.Errorf("%w: offset %d", errLetter, r.Offset)
	}
	l.Settled.At, l.Settled.Note = r.Append, l.Detail
	if l.Settled.How == "" {
		l.Settled = Settled{}
	}
	if l.Records > 1 || l.Reason == crowded || l.Reason == stale || l.Reason == click.BadBatch.String() {
		l.Away = true // who refused it had no bytes to add
	}
	return l, nil
}

// keep makes the letter's bytes its own.
func (l *Letter) keep() {
	l.Key, l.Value = bytes.Clone(l.Key), bytes.Clone(l.Value)
	for i := range l.Headers {
		l.Headers[i].Value = bytes.Clone(l.Headers[i].Value)
	}
}

// mark is the record that says how a letter was dealt with.
func (l *Letter) mark(s Settled) stream.Message {
	return stream.Message{
		Partition: l.partition, Key: []byte(l.String()), Headers: []click.Header{
			{Key: click.HeaderSettled, Value: []byte(s.How)},
			{Key: click.HeaderDetail, Value: []byte(s.Note)},
			{Key: click.HeaderTopic, Value: []byte(l.Topic)},
			{Key: click.HeaderPartition, Value: strconv.AppendInt(nil, int64(l.Partition), 10)},
			{Key: click.HeaderOffset, Value: strconv.AppendInt(nil, l.Offset, 10)},
			{Key: click.HeaderIncarnation, Value: hex.AppendEncode(nil, l.ID[:])},
		},
	}
}

// Filter says which letters are meant. The zero Filter means all that are not dealt with.
type Filter struct {
	From, To int64    // broker's time, Unix ms; 0 leaves the end open
	Reasons  []string // one of these; none is any
	Source   string   // topic, topic/partition or topic/partition/offset; empty is any
	Settled  bool     // those that are dealt with as well
}

// Check returns an ErrUsage if no letter can be meant, as by a reason there is not.
func (f *Filter) Check() error {
	known := []string{late, refused, crowded, stale}
	for r := range click.ReasonsEnd {
		known = append(known, r.String())
	}
	for _, r := range f.Reasons {
		if !slices.Contains(known, r) {
			slices.Sort(known)
			return fmt.Errorf("%w: there is no reason %q; there are %s", ErrUsage, r, strings.Join(known, ", "))
		}
	}
	if f.From != 0 && f.To != 0 && f.From >= f.To {
		return fmt.Errorf("%w: --from is not before --to", ErrUsage)
	}
	return nil
}

// match tells whether a letter is meant.
func (f *Filter) match(l *Letter) bool {
	switch {
	case !f.Settled && l.Settled.How != "", f.From != 0 && l.Append < f.From, f.To != 0 && l.Append >= f.To:
		return false
	case len(f.Reasons) > 0 && !slices.Contains(f.Reasons, l.Reason):
		return false
	}
	return f.Source == "" || strings.HasPrefix(l.String()+"/", f.Source+"/")
}
