package letters

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/stream"
)

// ErrUsage: what was asked for cannot be.
var ErrUsage = errors.New("dead letters")

const readWait = time.Second

// Box is a topic with letters. What it remembers of a letter while it reads is where it
// is from, some 60 bytes.
type Box struct {
	Log   stream.Log
	Topic string
}

// place is an origin, small.
type place struct {
	source int // in the order they were met
	offset int64
}

// places tells origins apart.
type places map[click.Source]int

func (p places) of(o Origin) place {
	n, ok := p[o.Source]
	if !ok {
		n = len(p)
		p[o.Source] = n
	}
	return place{n, o.Offset}
}

// Each calls f with the letters that are meant, each once, in the order they lie in,
// until f returns an error, which it returns. A letter's bytes are valid during the call.
func (b *Box) Each(ctx context.Context, f Filter, do func(*Letter) error) error {
	return b.each(ctx, f.match, do)
}

func (b *Box) each(ctx context.Context, meant func(*Letter) bool, do func(*Letter) error) error {
	t, err := b.Log.Topic(ctx, b.Topic)
	if err != nil {
		return fmt.Errorf("letters: %w", err)
	}
	for p := range t.Partitions {
		start, end, err := b.Log.Bounds(ctx, b.Topic, p)
		if err != nil {
			return fmt.Errorf("letters: bounds: %w", err)
		}
		names, settled := places{}, map[place]Settled{}
		// What is dealt with stands behind its letter, so it is looked for first.
		err = b.scan(ctx, p, start, end, func(l *Letter) error {
			if l.Settled.How != "" {
				settled[names.of(l.Origin)] = l.Settled
			}
			return nil
		})
		if err != nil {
			return err
		}
		met := map[place]bool{}
		err = b.scan(ctx, p, start, end, func(l *Letter) error {
			at := names.of(l.Origin)
			if l.Settled.How != "" || met[at] {
				return nil
			}
			met[at], l.partition, l.Settled = true, p, settled[at]
			if !meant(l) {
				return nil
			}
			return do(l)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// scan reads a part of a partition. What is no letter is passed over: anybody may have
// written it, and nothing here depends on it.
func (b *Box) scan(ctx context.Context, partition int32, start, end int64, do func(*Letter) error) error {
	return read(ctx, b.Log, b.Topic, partition, stream.At(start), end, func(r *click.Record) error {
		l, err := parse(r)
		if err != nil {
			return nil
		}
		return do(&l)
	})
}

// read calls do for the records from a place on that lie before an end.
func read(ctx context.Context, log stream.Log, topic string, partition int32, at stream.Place, end int64, do func(*click.Record) error) error {
	if at.Offset >= end {
		return nil
	}
	in, err := log.Open(ctx, topic, partition, at)
	if err != nil {
		return fmt.Errorf("letters: open %s/%d: %w", topic, partition, err)
	}
	defer func() { _ = in.Close() }()
	for next := at.Offset; next < end; {
		b, err := in.Read(ctx, readWait)
		if err != nil {
			return fmt.Errorf("letters: read %s/%d: %w", topic, partition, err)
		}
		for i := range b.Records {
			if r := &b.Records[i]; r.Offset < end {
				if err := do(r); err != nil {
					return err
				}
			}
		}
		next = b.Next
	}
	return nil
}

// errFound ends a search.
var errFound = errors.New("found")

// fetch puts the record's own bytes into a letter that lacks them, if its topic has them.
func (b *Box) fetch(ctx context.Context, l *Letter) error {
	if l.Records > 1 || l.Reason == click.BadBatch.String() {
		return fmt.Errorf("%w: %s stands for %d records, which are in the input only: %s", errAway, l, l.Records, l.Detail)
	}
	at := stream.Place{Offset: l.Offset, Epoch: stream.NoEpoch, Topic: l.ID}
	err := read(ctx, b.Log, l.Topic, l.Partition, at, l.Offset+1, func(r *click.Record) error {
		l.Key, l.Value, l.Headers = r.Key, r.Value, nil
		r.Headers.Each(func(k, v []byte) bool {
			l.Headers = append(l.Headers, click.Header{Key: string(k), Value: v})
			return true
		})
		l.keep()
		return errFound
	})
	if errors.Is(err, errFound) {
		l.Away = false
		return nil
	}
	if err == nil || errors.Is(err, stream.ErrOutOfRange) || errors.Is(err, stream.ErrNoTopic) {
		return fmt.Errorf("%w: %s is not in the input any more", errAway, l)
	}
	return err
}

// errAway: a letter's bytes are nowhere to be had.
var errAway = errors.New("no bytes")

// Show returns the letter with a name, bytes included if they can be had.
func (b *Box) Show(ctx context.Context, name string) (l Letter, err error) {
	err = b.each(ctx, func(l *Letter) bool { return l.String() == name }, func(found *Letter) error {
		l = *found
		l.keep()
		return nil // of two topics with one name the later
	})
	if err != nil {
		return l, err
	}
	if l.Reason == "" {
		return l, fmt.Errorf("%w: there is no letter %s on %s; 'clickagg deadletters list' has their names", ErrUsage, name, b.Topic)
	}
	if l.Away {
		if err := b.fetch(ctx, &l); err != nil && !errors.Is(err, errAway) {
			return l, err
		}
	}
	return l, nil
}

// Drop marks the letters that are meant as dealt with and returns how many.
func (b *Box) Drop(ctx context.Context, f Filter, why string) (n int64, err error) {
	if why == "" {
		return 0, fmt.Errorf("%w: drop: say why, for whoever looks later: --why 'test traffic'", ErrUsage)
	}
	f.Settled = false
	out := marks{box: b}
	err = b.Each(ctx, f, func(l *Letter) error {
		n++
		return out.add(ctx, l, Settled{How: Dropped, Note: why})
	})
	if err == nil {
		err = out.flush(ctx)
	}
	return n, err
}

// together is how many records are appended at once.
const together = 500

// marks are letters that are dealt with, on their way into the box.
type marks struct {
	box  *Box
	wait []stream.Message
}

func (m *marks) add(ctx context.Context, l *Letter, s Settled) error {
	if m.wait = append(m.wait, l.mark(s)); len(m.wait) < together {
		return nil
	}
	return m.flush(ctx)
}

func (m *marks) flush(ctx context.Context) error {
	if len(m.wait) == 0 {
		return nil
	}
	if err := m.box.Log.Append(ctx, m.box.Topic, m.wait); err != nil {
		return fmt.Errorf("letters: write to %s: %w", m.box.Topic, err)
	}
	m.wait = m.wait[:0]
	return nil
}
