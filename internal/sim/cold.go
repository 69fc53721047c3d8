package sim

import (
	"cmp"
	"context"
	"errors"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/clickagg/clickagg/internal/archive"
	"github.com/clickagg/clickagg/internal/blob"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/recount"
	"github.com/clickagg/clickagg/storage"
	"github.com/clickagg/clickagg/storage/raw"
)

const (
	rawGroup = "raw"
	hour     = int64(3_600_000)
)

// rawStore is the raw store as one process sees it.
type rawStore struct{ p *proc }

var _ storage.RawStore = rawStore{}

// ID implements storage.RawStore.
func (rawStore) ID() string { return "sim raw" }

// Put implements storage.RawStore: what was not stored in full may be there in part.
func (s rawStore) Put(ctx context.Context, source click.Source, records []click.Record) error {
	err := (client{p: s.p}).away(ctx)
	if err != nil {
		records = records[:s.p.w.choose(len(records)+1, "how much of it is stored")]
	}
	kept := s.p.w.raw[source]
	for i := range records {
		at, ok := slices.BinarySearchFunc(kept, records[i].Offset, byOffset)
		if !ok {
			kept = slices.Insert(kept, at, s.p.w.log.topics[source.Topic].partitions[source.Partition][records[i].Offset])
		}
	}
	s.p.w.raw[source] = kept
	return err
}

func byOffset(r click.Record, offset int64) int { return cmp.Compare(r.Offset, offset) }

// Read implements storage.RawStore.
func (s rawStore) Read(ctx context.Context, source click.Source, from, to int64, f func(*click.Record) error) error {
	if err := (client{p: s.p}).away(ctx); err != nil {
		return err
	}
	for _, r := range slices.Clone(s.p.w.raw[source]) {
		if r.Offset >= from && r.Offset < to {
			if err := f(&r); err != nil {
				return err
			}
		}
	}
	return nil
}

// Sources implements storage.RawStore.
func (s rawStore) Sources(ctx context.Context) ([]click.Source, error) {
	if err := (client{p: s.p}).away(ctx); err != nil {
		return nil, err
	}
	return slices.SortedFunc(maps.Keys(s.p.w.raw), func(a, b click.Source) int { return cmp.Compare(a.Partition, b.Partition) }), nil
}

// cold is the archive's storage as one process sees it. It keeps what it says it keeps.
type cold struct{ p *proc }

var _ blob.Ranger = cold{}

// Put implements blob.Store.
func (c cold) Put(ctx context.Context, name string, data []byte) error {
	err := (client{p: c.p}).away(ctx)
	if err == nil || c.p.w.choose(2, "and yet it keeps it") == 1 {
		c.p.w.cold[name] = slices.Clone(data)
	}
	c.p.pass()
	return err
}

// Get implements blob.Store.
func (c cold) Get(ctx context.Context, name string) ([]byte, error) {
	if err := (client{p: c.p}).away(ctx); err != nil {
		return nil, err
	}
	data, ok := c.p.w.cold[name]
	if !ok {
		return nil, blob.ErrNotFound
	}
	return slices.Clone(data), nil
}

// GetRange implements blob.Ranger.
func (c cold) GetRange(ctx context.Context, name string, at int64, p []byte) error {
	data, err := c.Get(ctx, name)
	if err != nil {
		return err
	}
	if at+int64(len(p)) > int64(len(data)) {
		return io.ErrUnexpectedEOF
	}
	copy(p, data[at:])
	return nil
}

// List implements blob.Store.
func (c cold) List(ctx context.Context, prefix string) (names []string, err error) {
	if err := (client{p: c.p}).away(ctx); err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(c.p.w.cold)) {
		if strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	return names, nil
}

// Delete implements blob.Store.
func (c cold) Delete(ctx context.Context, name string) error {
	if err := (client{p: c.p}).away(ctx); err != nil {
		return err
	}
	delete(c.p.w.cold, name)
	return nil
}

// keep fills the raw store from one source.
func (w *world) keep(ctx context.Context, p *proc, source int32) error {
	k := raw.New(w.mutant.log(handle{p}, w), rawStore{p}, raw.Config{Group: rawGroup, CommitInterval: second}, clock{p}, raw.NewMetrics(nil), zap.NewNop())
	return k.Source(ctx, input, source)
}

// archive moves what is old enough to the archive, and lets the raw store go of it, again and again.
func (w *world) archive(ctx context.Context, p *proc) error {
	a := archive.New(rawStore{p}, cold{p}, archive.Config{Rule: w.judge(w.cfg.rules)}, clock{p}, archive.NewMetrics(nil), zap.NewNop())
	s := archive.Service{Archiver: a, Log: handle{p}, Group: rawGroup, Skew: 2 * second}
	for ctx.Err() == nil {
		if err := (clock{p}).Sleep(ctx, time.Duration(1+w.choose(20_000, "until archiving goes on"))*time.Millisecond); err != nil {
			return nil
		}
		err := s.Pass(ctx, func(*archive.Manifest) { w.slices++ })
		if err == nil {
			err = w.expire(ctx, p)
		}
		if err != nil && !errors.Is(err, storage.ErrUnavailable) && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

// expire lets the raw store go of what is archived, when nobody can still be reading who has not seen
// that it is: in an installation a day must lie between.
func (w *world) expire(ctx context.Context, p *proc) error {
	until, _, err := archive.Archived(ctx, cold{p})
	for s, offset := range until {
		if w.mutant == expiresEarly {
			offset += 3
		}
		w.later(400_000, func() {
			at, _ := slices.BinarySearchFunc(w.raw[s], offset, byOffset)
			w.raw[s] = slices.Delete(slices.Clone(w.raw[s]), 0, at)
		})
	}
	return err
}

// kept is what a process reads clicks from: raw store and archive.
func (w *world) kept(p *proc, log recount.Input) recount.Input {
	return &recount.Kept{Raw: rawStore{p}, Log: log, Archived: func(ctx context.Context) (*archive.Reader, func() error, error) {
		r, err := archive.NewReader(ctx, cold{p})
		return r, func() error { return nil }, err
	}}
}

// checkKept holds what was kept of the clicks against the log: all of it, to the byte, and each record once.
func (w *world) checkKept() error {
	return w.alone(func(ctx context.Context, p *proc) error {
		in := w.kept(p, (clicks{p}).log())
		sources, err := in.Sources(ctx)
		if err != nil {
			return err
		}
		for _, s := range sources {
			all := w.log.topics[input].partitions[s.Partition]
			n := 0
			err := in.Read(ctx, s, 0, math.MaxInt64, func(r *click.Record) error {
				if n == len(all) || r.Offset != all[n].Offset || r.Append != all[n].Append || string(r.Value) != string(all[n].Value) {
					return w.failure("P5: after %d records of source %d, what is kept goes on with offset %d", n, s.Partition, r.Offset)
				}
				n++
				return nil
			})
			if err != nil || n < len(all) {
				return errors.Join(err, w.failure("P5: of %d records of source %d only %d are kept", len(all), s.Partition, n))
			}
		}
		return nil
	})
}

// alone runs something as a process of its own, while all others stand still.
func (w *world) alone(f func(ctx context.Context, p *proc) error) error {
	p := w.spawn(&role{name: "looks on"}, f)
	defer p.kill()
	for !p.done {
		w.now = max(w.now, p.until)
		p.next()
	}
	return p.err
}
