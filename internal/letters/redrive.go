package letters

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/mapper/rule"
)

// Judge says what would become of a record that was appended to a source now.
type Judge interface {
	Verdict(ctx context.Context, src click.Source, m *stream.Message) (rule.Verdict, error)
}

// Redrive is how letters are sent again.
type Redrive struct {
	Filter
	Topic  string // to send to; empty is the topic each is from
	Edits  []Edit
	File   io.Reader // corrected letters as [List] writes them, one JSON object a line; nil for none
	DryRun bool      // judge and send nothing
	// Own tells whether a topic is one of clickagg's own, whose records no mapper judges.
	Own func(topic string) bool
	Judge
	Fault func(name, text string) // is told why a letter is not sent
	Step  func(Outcome)           // is told how far it is
}

// Outcome is what became of letters.
type Outcome struct {
	Letters int64 `json:"letters"` // that were meant
	Good    int64 `json:"good"`    // sent: clicks that are counted, or were before under their id
	Late    int64 `json:"late"`    // sent, and late again: not counted, but valid clicks of the input now
	Refused int64 `json:"refused"` // not sent: they would be rejected again
	Away    int64 `json:"away"`    // not sent: their bytes are nowhere to be had
}

// Sent is how many were sent, or would be.
func (o *Outcome) Sent() int64 { return o.Good + o.Late }

// Redrive sends the letters that are meant to their topic again, corrected. Only what
// the mapper's rules take is sent. A letter counts as dealt with once that is acknowledged.
func (b *Box) Redrive(ctx context.Context, o Redrive) (out Outcome, err error) {
	if o.Topic != "" && o.Own(o.Topic) {
		return out, fmt.Errorf("%w: redrive: --to-topic %s is one of clickagg's own, where nothing judges what comes", ErrUsage, o.Topic)
	}
	d := &drive{Redrive: o, box: b, marks: marks{box: b}, topics: map[string]stream.Topic{}}
	meant := o.match
	if o.File != nil {
		if d.corrected, err = corrections(o.File); err != nil {
			return out, err
		}
		meant = func(l *Letter) bool { return d.corrected[l.String()] != nil && o.match(l) }
	}
	missing := maps.Clone(d.corrected)
	err = b.each(ctx, meant, func(l *Letter) error {
		d.Letters++
		if err := d.letter(ctx, l); err != nil {
			return err
		}
		delete(missing, l.String())
		if d.Step != nil {
			d.Step(d.Outcome)
		}
		return nil
	})
	if err == nil {
		err = d.send(ctx)
	}
	if err != nil {
		return d.Outcome, err
	}
	for _, name := range slices.Sorted(maps.Keys(missing)) {
		d.Fault(name, "there is no such letter, or it is dealt with already: --again")
		d.Letters++
		d.Away++
	}
	return d.Outcome, nil
}

// drive is one run of Redrive.
type drive struct {
	Redrive
	Outcome
	box       *Box
	corrected map[string][]byte // by the letters' names; nil without a file
	topics    map[string]stream.Topic
	to        string // topic of what waits
	wait      []stream.Message
	marks     marks
}

// letter judges a letter and puts it with those to be sent.
func (d *drive) letter(ctx context.Context, l *Letter) error {
	l.keep()
	fix := d.corrected[l.String()]
	if l.Away && (fix == nil || l.Records > 1) {
		if err := d.box.fetch(ctx, l); errors.Is(err, errAway) {
			d.Away++
			d.Fault(l.String(), err.Error())
			return nil
		} else if err != nil {
			return err
		}
	}
	if fix != nil {
		l.Value = fix
	}
	if l.Reason == refused && !d.Own(l.Topic) {
		d.refuse(l, "refused: only the raw store lacks it; if it is a click, it was judged and counted all the same")
		return nil
	}
	var err error
	if l.Value, err = apply(d.Edits, l.Value); err != nil {
		d.refuse(l, l.Reason+": "+err.Error())
		return nil
	}
	to := d.Topic
	if to == "" {
		to = l.Topic
	}
	t, err := d.topic(ctx, to)
	if err != nil {
		return err
	}
	m := l.again(l.Partition % t.Partitions)
	if !d.Own(to) {
		v, err := d.Verdict(ctx, click.Source{Topic: to, ID: t.ID, Partition: m.Partition}, &m)
		if err != nil {
			return err
		}
		if !d.takes(l, &v) {
			return nil
		}
	} else {
		d.Good++
	}
	if d.DryRun {
		return nil
	}
	if d.to != to || len(d.wait) == together {
		if err := d.send(ctx); err != nil {
			return err
		}
	}
	d.to = to
	d.wait = append(d.wait, m)
	d.marks.wait = append(d.marks.wait, l.mark(Settled{How: Redriven, Note: "to " + to}))
	return nil
}

// takes counts a verdict and tells whether the click is worth sending.
func (d *drive) takes(l *Letter, v *rule.Verdict) bool {
	switch {
	case v.Kind == rule.Rejected:
		d.refuse(l, v.Reason.String()+": "+v.Detail)
		return false
	case v.Kind == rule.Late && l.Reason == late:
		d.refuse(l, "late: still, as its minute is closed for good; it stands in the input as it is")
		return false
	case v.Kind == rule.Late:
		d.Late++
	default:
		d.Good++
	}
	return true
}

func (d *drive) refuse(l *Letter, why string) {
	d.Refused++
	d.Fault(l.String(), why)
}

func (d *drive) topic(ctx context.Context, name string) (stream.Topic, error) {
	if t, ok := d.topics[name]; ok {
		return t, nil
	}
	t, err := d.box.Log.Topic(ctx, name)
	if errors.Is(err, stream.ErrNoTopic) {
		return t, fmt.Errorf("%w: redrive: %w; name another with --to-topic", ErrUsage, err)
	} else if err != nil {
		return t, fmt.Errorf("letters: %w", err)
	}
	d.topics[name] = t
	return t, nil
}

// send sends what waits, and then says so in the box.
func (d *drive) send(ctx context.Context) error {
	if len(d.wait) == 0 {
		return nil
	}
	if err := d.box.Log.Append(ctx, d.to, d.wait); err != nil {
		return fmt.Errorf("letters: send to %s: %w", d.to, err)
	}
	d.wait = d.wait[:0]
	return d.marks.flush(ctx)
}

// again is the letter's record as it is sent once more.
func (l *Letter) again(partition int32) stream.Message {
	headers := slices.DeleteFunc(slices.Clone(l.Headers), func(h click.Header) bool { return slices.Contains(own, h.Key) })
	headers = append(headers, click.Header{Key: click.HeaderRedriven, Value: []byte(l.String())})
	return stream.Message{Partition: partition, Key: l.Key, Value: l.Value, Headers: headers}
}

// corrections reads letters as they are listed, corrected by hand.
func corrections(in io.Reader) (map[string][]byte, error) {
	out := map[string][]byte{}
	d := json.NewDecoder(in)
	for n := 1; ; n++ {
		var c struct {
			Letter   string          `json:"letter"`
			Value    json.RawMessage `json:"value"`
			ValueHex string          `json:"value_hex"`
		}
		if err := d.Decode(&c); err == io.EOF {
			return out, nil
		} else if err != nil {
			return nil, fmt.Errorf("%w: --file: letter %d: %w", ErrUsage, n, err)
		}
		value := []byte(c.Value)
		var text string
		switch {
		case c.Letter == "" || strings.Count(c.Letter, "/") < 2:
			return nil, fmt.Errorf("%w: --file: letter %d: \"letter\" is not topic/partition/offset", ErrUsage, n)
		case c.ValueHex != "":
			var err error
			if value, err = hex.DecodeString(c.ValueHex); err != nil {
				return nil, fmt.Errorf("%w: --file: %s: value_hex: %w", ErrUsage, c.Letter, err)
			}
		case json.Unmarshal(value, &text) == nil && !bytes.Equal(value, []byte("null")):
			value = []byte(text)
		}
		if len(value) == 0 {
			return nil, fmt.Errorf("%w: --file: %s has no \"value\"", ErrUsage, c.Letter)
		}
		out[c.Letter] = value
	}
}
