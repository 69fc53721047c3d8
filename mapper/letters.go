package mapper

import (
	"context"
	"fmt"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/mapper/rule"
)

// lettersPerReason is how many rejected records of one reason a section keeps one
// by one. One letter tells of all others, or a flood of broken records, which packs
// a thousand to one, would fill the disk with letters.
const lettersPerReason = 1000

// letters collects the records of a section that are not handed on.
type letters struct {
	rejected, late []stream.Message
	piles          [click.ReasonsEnd]pile
}

// pile is the rejected records of one reason in a section.
type pile struct {
	kept        int // one by one
	more        int // only told of
	first, last int64
	appended    int64
}

// take keeps a record that was judged rejected or late. It copies: the record
// is a view that ends with the next read.
func (l *letters) take(s *source, r *click.Record, v *rule.Verdict) {
	switch v.Kind {
	case rule.Rejected:
		if p := &l.piles[v.Reason]; p.kept == lettersPerReason {
			if p.more == 0 {
				p.first = r.Offset
			}
			p.more++
			p.last, p.appended = r.Offset, r.Append
			return
		}
		l.piles[v.Reason].kept++
		l.rejected = append(l.rejected, letter(s, r, v.Reason.String(), v.Detail, s.m.cfg.Rejected))
	case rule.Late:
		m := letter(s, r, "late", "", s.m.cfg.Late)
		m.Headers = append(m.Headers, click.NumberHeader(click.HeaderLateBy, v.LateBy))
		l.late = append(l.late, m)
	}
}

// unreadable lists the origin of what could not be read: one letter for all of it.
func (l *letters) unreadable(s *source, bad *stream.Corrupt) {
	r := click.Record{Offset: bad.Start, Append: s.m.clock.Now().UnixMilli(), Value: []byte{}}
	detail := fmt.Sprintf("offsets %d to %d: %s", bad.Start, bad.End-1, bad.Reason)
	l.several(s, &r, click.BadBatch, bad.End-bad.Start, detail)
}

// several adds one letter that tells of many records.
func (l *letters) several(s *source, first *click.Record, reason click.Reason, records int64, detail string) {
	m := letter(s, first, reason.String(), detail, s.m.cfg.Rejected)
	m.Headers = append(m.Headers, click.NumberHeader(click.HeaderRecords, records))
	l.rejected = append(l.rejected, m)
}

func letter(s *source, r *click.Record, reason, detail string, partitions int32) stream.Message {
	m := stream.Message{Partition: s.name.Partition % partitions}
	m.Key, m.Value, m.Headers = click.Letter(s.name, r, reason, detail)
	return m
}

// tell adds a letter for each pile that was too high to keep, and starts new ones.
func (l *letters) tell(s *source) {
	for reason := range l.piles {
		p := &l.piles[reason]
		if p.more > 0 {
			r := click.Record{Offset: p.first, Append: p.appended, Value: []byte{}}
			detail := fmt.Sprintf("%d more of this reason up to offset %d, not kept one by one: they stand in the input", p.more, p.last)
			l.several(s, &r, click.Reason(reason), int64(p.more), detail)
		}
		*p = pile{}
	}
}

// send keeps the collected records and forgets them.
func (l *letters) send(ctx context.Context, s *source) error {
	l.tell(s)
	m := s.m
	for _, box := range [...]struct {
		topic    string
		messages *[]stream.Message
	}{{m.cfg.Topics.Rejected, &l.rejected}, {m.cfg.Topics.Late, &l.late}} {
		if len(*box.messages) == 0 {
			continue
		}
		if err := m.log.Append(ctx, box.topic, *box.messages); err != nil {
			return fmt.Errorf("write to %s: %w", box.topic, err)
		}
		clear(*box.messages)
		*box.messages = (*box.messages)[:0]
	}
	return nil
}
