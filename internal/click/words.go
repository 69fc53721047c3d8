package click

import (
	"fmt"
	"math"
)

// None stands where a time in Unix milliseconds is not known: a partition that
// never had a click has no watermark.
const None = math.MinInt64

// FilterAll is the filter every click passes.
const FilterAll = "000"

// TopicID names one incarnation of a topic: a topic deleted and made again has
// another one, though its name and its offsets are the same.
type TopicID [16]byte

// Source is one partition of an input topic. Two sources are the same only when
// topic, incarnation and partition are.
type Source struct {
	Topic     string
	ID        TopicID
	Partition int32
}

// String names the source as people know it: topic/partition.
func (s Source) String() string { return fmt.Sprintf("%s/%d", s.Topic, s.Partition) }

// State says what a count is worth.
type State uint8

// The states of a window, and so of its counts and its ranking.
const (
	Provisional State = iota + 1 // the window is open; the count may grow
	Final                        // the shard's watermark has passed the window's end
	Corrected                    // changed after it was final, with a higher revision
)

var stateNames = [...]string{Provisional: "provisional", Final: "final", Corrected: "corrected"}

// String is the state's name on the results topic and in answers.
func (s State) String() string {
	if s < Provisional || s > Corrected {
		return fmt.Sprintf("state(%d)", uint8(s))
	}
	return stateNames[s]
}

// ParseState reads what [State.String] wrote.
func ParseState(name string) (State, error) {
	for s := Provisional; s <= Corrected; s++ {
		if stateNames[s] == name {
			return s, nil
		}
	}
	return 0, fmt.Errorf("unknown state %q", name)
}

// ID is a click's identity within its ad: a 128-bit keyed hash of ad and event id.
type ID struct{ Hi, Lo uint64 }

// Row is one ad and its count. Ad may be a view into a larger buffer.
type Row struct {
	Ad     []byte
	Count  int64
	Digest uint64 // of the clicks, see [Sum]; ranked lists have none
}

// Sum is what the ad has.
func (r *Row) Sum() Sum { return Sum{r.Count, r.Digest} }

// Account says what became of every offset of one source, from the source's
// first offset to the end of a section. All are running totals, so that
// receiving one twice changes nothing.
type Account struct {
	Skipped  int64             // offsets without a record for us: control batches, aborted or compacted records
	Received int64             // records read
	Marks    int64             // of these: watermark records and tombstones, which are not clicks
	Late     int64             // clicks whose window had closed in their own source
	Rejected [ReasonsEnd]int64 // records refused, by [Reason]
	Routed   int64             // clicks handed to the shards
}

// RejectedTotal adds up the rejects of every reason.
func (a *Account) RejectedTotal() int64 {
	var n int64
	for _, c := range a.Rejected {
		n += c
	}
	return n
}

// Holds tells whether the mapper's half of the accounting identity is true:
// received = marks + late + rejected + routed.
func (a *Account) Holds() bool {
	return a.Received == a.Marks+a.Late+a.RejectedTotal()+a.Routed
}

// Tally says what a shard made of the clicks routed to it from one source.
type Tally struct {
	Counted   int64
	Duplicate int64 // the same id again, the same bytes
	Conflict  int64 // the same id again with other bytes: also not counted
	Crowded   int64 // not counted: a configured limit of the shard was reached
	Stale     int64 // not counted: the shard had already let go of the window and its ids
}

// Total adds up the verdicts; over all shards it equals [Account.Routed].
func (t Tally) Total() int64 { return t.Counted + t.Duplicate + t.Conflict + t.Crowded + t.Stale }

// Add adds another shard's or source's tally.
func (t *Tally) Add(o *Tally) {
	t.Counted += o.Counted
	t.Duplicate += o.Duplicate
	t.Conflict += o.Conflict
	t.Crowded += o.Crowded
	t.Stale += o.Stale
}

// Reason is why a record was refused. Its name is stable: it is the label of
// the metric, the field of the dead letter and the heading in the manual.
type Reason uint8

// The reasons, in the order of their wire numbers, which never change.
const (
	Empty         Reason = iota // no value where a click was expected
	Malformed                   // not one JSON object
	DuplicateKey                // the same key twice, also when only its case differs
	BadText                     // invalid UTF-8, a lone surrogate, or a control character in an id
	MissingField                // event id, ad id or time is absent, null or empty
	BadType                     // a value of another type than the field has
	TooLong                     // an id or field over its limit
	TooLarge                    // the record is over its limit
	TooDeep                     // nested deeper than allowed
	BadTime                     // the event time cannot be read, or lies outside 2000–2100
	Ahead                       // event time too far ahead of the broker's append time
	BadCloudEvent               // a CloudEvent without what CloudEvents 1.0 demands
	BadMark                     // a watermark record whose header cannot be read
	UntrustedMark               // a watermark record on a topic that is not trusted for it
	DecoderPanic                // a defect of ours: the decoder failed on this record
	BadBatch                    // the broker's batch is damaged, or unpacks beyond the limit; its records cannot be told apart
	ReasonsEnd                  // one past the last reason
)

var reasonNames = [ReasonsEnd]string{
	"empty", "malformed", "duplicate_key", "bad_text", "missing_field", "bad_type", "too_long", "too_large",
	"too_deep", "bad_time", "ahead", "bad_cloudevent", "bad_watermark", "untrusted_watermark", "decoder_panic",
	"bad_batch",
}

// String is the reason's stable name.
func (r Reason) String() string {
	if r >= ReasonsEnd {
		return fmt.Sprintf("reason(%d)", uint8(r))
	}
	return reasonNames[r]
}

// Topics are the names of clickagg's own topics.
type Topics struct {
	Shuffle, Partials, Results, Rankings, Rejected, Late, Control, Status string
}

// TopicsOf derives the names from the configured prefix, "clickagg" by default.
func TopicsOf(prefix string) Topics {
	return Topics{
		Shuffle: prefix + ".shuffle", Partials: prefix + ".partials", Results: prefix + ".results",
		Rankings: prefix + ".rankings", Rejected: prefix + ".rejected", Late: prefix + ".late", Control: prefix + ".control",
		Status: prefix + ".status",
	}
}

// Names of the record headers clickagg writes and reads.
const (
	// HeaderWatermark marks a record without a value as a watermark record. Its
	// value is a Unix time in milliseconds, in decimal digits: no click with an
	// earlier event time follows in this partition.
	HeaderWatermark = "clickagg-watermark"
	// HeaderReducer names, on a mark of the results topic, which reducer of how
	// many says so: "1/4".
	HeaderReducer = "clickagg-reducer"
	// HeaderClosed stands on a mark of the results topic once it is known: the Unix time
	// in ms before which no window changes any more, as far as this reducer says.
	HeaderClosed = "clickagg-closed"
	// HeaderHold stands on a mark of the results topic with which a correction begins or
	// ends: a [Hold], as "3/1574553600000/1574553660000/open" or "…/done".
	HeaderHold = "clickagg-hold"
	// HeaderLineage tells, on the rankings topic, a [Lineage] from a [Ranking]. Its
	// value is that of [HeaderReducer].
	HeaderLineage = "clickagg-lineage"
)

// Headers of a record on the rejected and late topics. Its key, value and other
// headers are the original's, untouched; a record whose bytes are not at hand any
// more (refused by a shard) has none, and is found in the input by its origin.
const (
	HeaderReason      = "clickagg-reason"      // a [Reason], "late", "crowded" or "stale"
	HeaderDetail      = "clickagg-detail"      // field and place
	HeaderTopic       = "clickagg-topic"       // origin: topic
	HeaderPartition   = "clickagg-partition"   // origin: partition
	HeaderOffset      = "clickagg-offset"      // origin: offset
	HeaderIncarnation = "clickagg-topic-id"    // origin: the topic's id in hex
	HeaderAppendTime  = "clickagg-append-time" // the broker's, Unix ms
	HeaderBytes       = "clickagg-bytes"       // full length of the value, when something was cut
	HeaderRecords     = "clickagg-records"     // how many records the letter tells of, when it tells of several and has no bytes
	HeaderLateBy      = "clickagg-late-by"     // of a late click: ms by which its window had been closed for good
	// HeaderSettled marks a record without a value as no letter: it says of the letter
	// whose origin it has that it is dealt with. Its value is "redriven" or "dropped",
	// and HeaderDetail has where to or why.
	HeaderSettled = "clickagg-settled"
	// HeaderRedriven names, on a record that was sent again, the letter it is from:
	// "topic/partition/offset".
	HeaderRedriven = "clickagg-redriven"
)
