package mapper

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/mapper/rule"
)

// maxLetterBytes bounds a kept key and value, of which a longer one's beginning
// is kept, and the original headers, which are left out together when longer.
// Without it a record at the log's size limit could not be put aside.
const maxLetterBytes = 64 << 10

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
		m.Headers = append(m.Headers, number(click.HeaderLateBy, v.LateBy))
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
	m.Headers = append(m.Headers, number(click.HeaderRecords, records))
	l.rejected = append(l.rejected, m)
}

func number(key string, n int64) click.Header {
	return click.Header{Key: key, Value: strconv.AppendInt(nil, n, 10)}
}

func letter(s *source, r *click.Record, reason, detail string, partitions int32) stream.Message {
	var headers []click.Header
	if len(r.Headers.Raw) <= maxLetterBytes {
		r.Headers.Each(func(k, v []byte) bool {
			headers = append(headers, click.Header{Key: string(k), Value: slices.Clone(v)})
			return true
		})
	}
	headers = append(headers,
		click.Header{Key: click.HeaderReason, Value: []byte(reason)},
		click.Header{Key: click.HeaderDetail, Value: []byte(detail)},
		click.Header{Key: click.HeaderTopic, Value: []byte(s.name.Topic)},
		number(click.HeaderPartition, int64(s.name.Partition)),
		number(click.HeaderOffset, r.Offset),
		click.Header{Key: click.HeaderIncarnation, Value: []byte(hex.EncodeToString(s.name.ID[:]))},
		number(click.HeaderAppendTime, r.Append))
	key, value := r.Key, r.Value
	if max(len(key), len(value), len(r.Headers.Raw)) > maxLetterBytes {
		headers = append(headers, number(click.HeaderBytes, int64(len(value))))
		key, value = key[:min(len(key), maxLetterBytes)], value[:min(len(value), maxLetterBytes)]
	}
	return stream.Message{
		Partition: s.name.Partition % partitions,
		Key:       slices.Clone(key), Value: slices.Clone(value), Headers: headers,
	}
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
