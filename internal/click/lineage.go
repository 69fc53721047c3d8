package click

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
)

// Lineage says what the counts of a window are made of, at the moment at which
// it became final or was corrected: up to where every log had been read. It
// is a record of the rankings topic, told from a ranking by [HeaderLineage]; its
// value is JSON, its key the window's start in RFC 3339 and "/lineage". A window
// belongs to one reducer, so the greatest version wins, as with results.
type Lineage struct {
	Start             int64 // of the window, Unix ms
	Size              int64 // ms
	State             State // Final or Corrected
	Version           int64 // that of the results and rankings that were said with it: the partials offset + 1
	Reducer, Reducers int32 // the one that said so, and how many there are
	// Correction is the number of the hold of the replay or repair that set the counts, and 0
	// when clicks did as they came. The rest is then that of the moment at which it did.
	Correction int64
	// Shards holds, for each shard in order, its offset in the shuffle topic before
	// which everything it counted is in.
	Shards  []int64
	Sources []Origin // in the order of topic, incarnation and partition
}

// Origin is one source's part in a [Lineage].
type Origin struct {
	Source Source
	// Heard is the offset before which every shard had everything; what belongs to the
	// window is counted.
	Heard int64
	// Settled is the last offset at which all shards were when they spoke, at or below
	// Heard. Account and Tally are those up to there, so that they add up:
	// the mapper's routed clicks are the shards' verdicts. 0 before there was one.
	Settled int64
	Account Account
	Tally   Tally // of all shards together
}

// Valid tells whether it is one that a reducer can have written.
func (l *Lineage) Valid() bool {
	least := min(l.Size-1, l.Version, l.Correction, int64(l.Reducer), int64(l.Reducers-l.Reducer-1))
	for _, position := range l.Shards {
		least = min(least, position)
	}
	for i := range l.Sources {
		o := &l.Sources[i]
		a, t := &o.Account, &o.Tally
		least = min(least, int64(o.Source.Partition), o.Heard, o.Settled, a.Skipped, a.Received, a.Marks, a.Late, a.Routed,
			t.Counted, t.Duplicate, t.Conflict, t.Crowded, t.Stale, slices.Min(a.Rejected[:]))
	}
	return least >= 0 && (l.State == Final || l.State == Corrected)
}

// Holds tells whether every record of the source up to Settled has one verdict.
func (o *Origin) Holds() bool { return o.Account.Holds() && o.Account.Routed == o.Tally.Total() }

// The JSON of a lineage. Every field is always there, but for a correction that there is not.
type lineageJSON struct {
	Start    string       `json:"window_start"`
	Size     int64        `json:"window_ms"`
	State    string       `json:"state"`
	Version  int64        `json:"version"`
	Reducer  int32        `json:"reducer"`
	Reducers int32        `json:"reducers"`
	Corrects int64        `json:"correction,omitempty"`
	Shards   []int64      `json:"shards"`
	Sources  []originJSON `json:"sources"`
}

type originJSON struct {
	Topic     string           `json:"topic"`
	ID        string           `json:"topic_id"` // hex
	Partition int32            `json:"partition"`
	Heard     int64            `json:"heard"`
	Settled   int64            `json:"settled"`
	Skipped   int64            `json:"skipped"`
	Received  int64            `json:"received"`
	Marks     int64            `json:"marks"`
	Late      int64            `json:"late"`
	Rejected  map[string]int64 `json:"rejected"` // by reason, those that occurred
	Routed    int64            `json:"routed"`
	Counted   int64            `json:"counted"`
	Duplicate int64            `json:"duplicate"`
	Conflict  int64            `json:"conflict"`
	Crowded   int64            `json:"crowded"`
	Stale     int64            `json:"stale"`
}

// AppendJSON encodes the lineage as the value of its record. Equal ones are equal bytes.
func (l *Lineage) AppendJSON(b []byte) []byte {
	j := lineageJSON{
		Start: string(AppendStart(nil, l.Start)), Size: l.Size, State: l.State.String(), Version: l.Version,
		Reducer: l.Reducer, Reducers: l.Reducers, Corrects: l.Correction, Shards: l.Shards, Sources: make([]originJSON, len(l.Sources)),
	}
	if j.Shards == nil {
		j.Shards = []int64{}
	}
	for i := range l.Sources {
		j.Sources[i] = l.Sources[i].json()
	}
	text, err := json.Marshal(&j)
	if err != nil {
		panic("click: a lineage cannot be encoded: " + err.Error()) // numbers and texts always can
	}
	return append(b, text...)
}

func (o *Origin) json() originJSON {
	a, t := &o.Account, &o.Tally
	j := originJSON{
		Topic: o.Source.Topic, ID: hex.EncodeToString(o.Source.ID[:]), Partition: o.Source.Partition,
		Heard: o.Heard, Settled: o.Settled,
		Skipped: a.Skipped, Received: a.Received, Marks: a.Marks, Late: a.Late, Rejected: map[string]int64{}, Routed: a.Routed,
		Counted: t.Counted, Duplicate: t.Duplicate, Conflict: t.Conflict, Crowded: t.Crowded, Stale: t.Stale,
	}
	for r, n := range a.Rejected {
		if n != 0 {
			j.Rejected[Reason(r).String()] = n
		}
	}
	return j
}

// ParseLineage decodes what [Lineage.AppendJSON] wrote, and nothing else: another
// spacing, order or field is refused, so that one lineage has one encoding. Errors
// wrap [ErrWire].
func ParseLineage(b []byte) (Lineage, error) {
	var j lineageJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return Lineage{}, fmt.Errorf("lineage: %w: %w", ErrWire, err)
	}
	start, state, err := startAndState(j.Start, j.State)
	if err != nil {
		return Lineage{}, fmt.Errorf("lineage: %w", err)
	}
	l := Lineage{
		Start: start, Size: j.Size, State: state, Version: j.Version, Reducer: j.Reducer, Reducers: j.Reducers,
		Correction: j.Corrects, Shards: j.Shards, Sources: make([]Origin, len(j.Sources)),
	}
	ok := true
	for i := range j.Sources {
		ok = l.Sources[i].read(&j.Sources[i]) && ok
	}
	if !ok || !l.Valid() || !bytes.Equal(l.AppendJSON(nil), b) {
		return Lineage{}, fmt.Errorf("lineage: %w: not as it is written", ErrWire)
	}
	return l, nil
}

// read takes an origin over and tells whether its incarnation could be read.
func (o *Origin) read(j *originJSON) bool {
	*o = Origin{
		Source: Source{Topic: j.Topic, Partition: j.Partition}, Heard: j.Heard, Settled: j.Settled,
		Account: Account{Skipped: j.Skipped, Received: j.Received, Marks: j.Marks, Late: j.Late, Routed: j.Routed},
		Tally:   Tally{Counted: j.Counted, Duplicate: j.Duplicate, Conflict: j.Conflict, Crowded: j.Crowded, Stale: j.Stale},
	}
	for r := range o.Account.Rejected {
		o.Account.Rejected[r] = j.Rejected[Reason(r).String()]
	}
	id, err := hex.DecodeString(j.ID)
	return err == nil && copy(o.Source.ID[:], id) == len(id)
}
