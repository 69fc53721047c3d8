package letters

import (
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/clickagg/clickagg/internal/click"
)

// Listing is what a box holds of the letters that are meant.
type Listing struct {
	Records int64   `json:"records"` // that the letters tell of
	Groups  []Group `json:"groups"`
	Late    []Delay `json:"late"`    // of late clicks; empty otherwise
	Letters []Line  `json:"letters"` // the first of them
	LeftOut int64   `json:"left_out"`
}

// Group is the letters of one source that have the same reason.
type Group struct {
	Source  string    `json:"source"`
	Reason  string    `json:"reason"`
	Records int64     `json:"records"`
	First   time.Time `json:"first"` // broker's time
	Last    time.Time `json:"last"`
}

// Delay is the late clicks of one source whose window had been closed for good by about
// as long.
type Delay struct {
	Source string `json:"source"`
	Below  string `json:"below"` // the greatest such time, not reached; "longer" for the last
	Clicks int64  `json:"clicks"`
}

// delays are the greatest times of a histogram.
var delays = []time.Duration{
	time.Second, 10 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, 6 * time.Hour, 24 * time.Hour,
}

// Line is a letter as it is listed, and as a correction of it is read.
type Line struct {
	Letter   string          `json:"letter"`
	Reason   string          `json:"reason"`
	Detail   string          `json:"detail,omitempty"`
	Received time.Time       `json:"received"` // by the broker
	LateMS   *int64          `json:"late_by_ms,omitempty"`
	Records  int64           `json:"records"`
	Redriven string          `json:"redriven_from,omitempty"`
	Settled  string          `json:"settled,omitempty"`
	Note     string          `json:"note,omitempty"`
	Value    json.RawMessage `json:"value,omitempty"` // the object it is, if every program can read it, else text
	ValueHex string          `json:"value_hex,omitempty"`
}

// line describes a letter and keeps none of its bytes.
func (l *Letter) line() Line {
	out := Line{
		Letter: l.String(), Reason: l.Reason, Detail: l.Detail, Received: clock(l.Append), Records: l.Records,
		Redriven: l.Redriven, Settled: l.Settled.How, Note: l.Settled.Note,
	}
	if l.LateBy >= 0 {
		by := l.LateBy
		out.LateMS = &by
	}
	switch {
	case len(l.Value) == 0:
	case !utf8.Valid(l.Value):
		out.ValueHex = hex.EncodeToString(l.Value)
	case json.Valid(l.Value) && l.Value[0] == '{' && !click.LoneSurrogate(l.Value):
		out.Value = slices.Clone(l.Value)
	default:
		out.Value, _ = json.Marshal(string(l.Value)) // text is never refused
	}
	return out
}

func clock(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

// List sums up the letters that are meant and describes the first of them, limit at
// most, or all when it is 0.
func (b *Box) List(ctx context.Context, f Filter, limit int) (*Listing, error) {
	type name struct{ source, reason string }
	type slot struct {
		source string
		bucket int
	}
	out := &Listing{Groups: []Group{}, Late: []Delay{}, Letters: []Line{}}
	groups, late := map[name]*Group{}, map[slot]int64{}
	err := b.Each(ctx, f, func(l *Letter) error {
		out.Records += l.Records
		at := name{l.Source.String(), l.Reason}
		g := groups[at]
		if g == nil {
			g = &Group{Source: at.source, Reason: at.reason, First: clock(l.Append), Last: clock(l.Append)}
			groups[at] = g
		}
		g.Records += l.Records
		if t := clock(l.Append); t.Before(g.First) {
			g.First = t
		} else if t.After(g.Last) {
			g.Last = t
		}
		if l.LateBy >= 0 {
			i, same := slices.BinarySearch(delays, time.Duration(l.LateBy)*time.Millisecond)
			if same {
				i++
			}
			late[slot{at.source, i}]++
		}
		if limit > 0 && len(out.Letters) == limit {
			out.LeftOut++
			return nil
		}
		out.Letters = append(out.Letters, l.line())
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, g := range groups {
		out.Groups = append(out.Groups, *g)
	}
	slices.SortFunc(out.Groups, func(a, b Group) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(b.Records, a.Records), cmp.Compare(a.Reason, b.Reason))
	})
	slots := make([]slot, 0, len(late))
	for s := range late {
		slots = append(slots, s)
	}
	slices.SortFunc(slots, func(a, b slot) int { return cmp.Or(cmp.Compare(a.source, b.source), cmp.Compare(a.bucket, b.bucket)) })
	for _, s := range slots {
		below := "longer"
		if s.bucket < len(delays) {
			below = short(delays[s.bucket])
		}
		out.Late = append(out.Late, Delay{s.source, below, late[s]})
	}
	return out, nil
}
