package embedded

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"go.uber.org/zap"
)

// durable keeps one promise: nothing leaves the broker before it is on the disk,
// neither the acknowledgement of a record or a position nor the record itself.
// So no reader acts on what a crash may take back.
//
// The engine could sync by itself, but does so twice a batch, file by file,
// while all else waits. Here the answers wait, all of them for one round, and a
// round syncs its files side by side.
type durable struct {
	dir  string
	end  func(place) (int64, error) // of what the engine has written, -1 for nothing
	full func(topic string) int64   // size from which on a file is full
	log  *zap.Logger

	mu     sync.Mutex
	synced map[place]int64 // offsets before it are on the disk
	life   int             // counts what made synced void
	next   *round          // the one to come, nil when nobody waits
	failed error           // for good: what a failed sync left on the disk is not known

	wake  chan struct{}
	files map[place]*tail // of the goroutine that syncs
}

// place is a partition, or the groups' positions when it names no topic.
type place struct {
	topic     string
	partition int32
}

var positions = place{}

// round is one sync of the places that answers wait for.
type round struct {
	places map[place]struct{}
	done   chan struct{}
	err    error
}

func newDurable(dir string, end func(place) (int64, error), full func(string) int64, log *zap.Logger) *durable {
	return &durable{
		dir: dir, end: end, full: full, log: log,
		synced: make(map[place]int64), wake: make(chan struct{}, 1), files: make(map[place]*tail),
	}
}

// forget makes a fresh start after a topic was deleted: another of its name
// begins at offset 0.
func (d *durable) forget() {
	d.mu.Lock()
	clear(d.synced)
	d.life++
	d.mu.Unlock()
}

// need is a record an answer is about.
type need struct {
	place
	offset int64
}

// wait returns when what an answer is about is on the disk.
func (d *durable) wait(needs []need) error {
	d.mu.Lock()
	if d.failed != nil {
		defer d.mu.Unlock()
		return d.failed
	}
	var r *round
	for _, n := range needs {
		if end, ok := d.synced[n.place]; ok && n.offset < end {
			continue
		}
		if r == nil {
			if d.next == nil {
				d.next = &round{places: make(map[place]struct{}), done: make(chan struct{})}
			}
			r = d.next
		}
		r.places[n.place] = struct{}{}
	}
	d.mu.Unlock()
	if r == nil {
		return nil
	}
	select {
	case d.wake <- struct{}{}:
	default:
	}
	<-r.done
	return r.err
}

// run makes rounds until ctx ends.
func (d *durable) run(ctx context.Context) {
	for {
		select {
		case <-d.wake:
			d.round(d.sync)
		case <-ctx.Done():
			d.round(func(*round) error { return fmt.Errorf("the broker is closed: %w", net.ErrClosed) })
			for _, t := range d.files {
				t.close()
			}
			return
		}
	}
}

func (d *durable) round(sync func(*round) error) {
	d.mu.Lock()
	r := d.next
	d.next = nil
	d.mu.Unlock()
	if r == nil {
		r = &round{done: make(chan struct{})}
	}
	if r.err = sync(r); r.err != nil {
		if !errors.Is(r.err, net.ErrClosed) {
			d.log.Error("cannot bring records to the disk and acknowledges nothing more: check the disk, then start again", zap.Error(r.err))
		}
		d.mu.Lock()
		d.failed = r.err
		d.mu.Unlock()
	}
	close(r.done)
}

// sync brings the places of a round to the disk.
func (d *durable) sync(r *round) error {
	type result struct {
		end int64
		err error
	}
	d.mu.Lock()
	life := d.life
	d.mu.Unlock()
	results := make(map[place]*result, len(r.places))
	var work sync.WaitGroup
	defer work.Wait()
	for p := range r.places {
		out := &result{end: math.MinInt64}
		if p != positions {
			end, err := d.end(p) // before the sync: all of it is in the file by now
			if err != nil {
				return err
			}
			if end < 0 {
				continue // the topic was deleted
			}
			out.end = end
		}
		t := d.files[p]
		if t == nil {
			t = d.newTail(p)
			d.files[p] = t
		}
		results[p] = out
		work.Go(func() { out.err = t.sync() })
	}
	work.Wait()
	var err error
	d.mu.Lock()
	for p, out := range results {
		if d.life == life {
			d.synced[p] = out.end
		}
		err = errors.Join(err, out.err)
	}
	d.mu.Unlock()
	return err
}

func (d *durable) newTail(p place) *tail {
	if p == positions {
		return &tail{dir: d.dir, only: "groups.log"}
	}
	return &tail{dir: partitionDir(d.dir, p.topic, p.partition), full: d.full(p.topic)}
}

// tail is the file at the end of a place.
type tail struct {
	dir  string
	only string // the file's name, if it never is another
	full int64  // size from which on the engine goes on to another file

	file *os.File
	base int64
}

// sync brings what was written since the last sync to the disk.
func (t *tail) sync() error {
	if t.file != nil {
		if err := syncFile(t.file); err != nil {
			return fmt.Errorf("sync %s: %w", t.file.Name(), err)
		}
		if last, err := t.last(); last || err != nil {
			return err
		}
	}
	files, err := t.later()
	if err != nil {
		return err
	}
	for _, s := range files {
		t.close()
		name := s.name()
		if t.only != "" {
			name = t.only
		}
		f, err := os.OpenFile(filepath.Join(t.dir, name), os.O_RDWR, 0)
		if errors.Is(err, os.ErrNotExist) {
			continue // deleted since
		}
		if err != nil {
			return err
		}
		t.file, t.base = f, s.base
		if err := syncFile(f); err != nil {
			return fmt.Errorf("sync %s: %w", f.Name(), err)
		}
	}
	return syncDir(t.dir)
}

// last tells whether the open file still is the last one.
func (t *tail) last() (bool, error) {
	open, err := t.file.Stat()
	if err != nil {
		return false, err
	}
	named, err := os.Stat(t.file.Name())
	if err != nil || !os.SameFile(open, named) { // deleted, or written anew
		t.close()
		t.base = -1
		return false, nil
	}
	return t.only != "" || open.Size() < t.full, nil
}

// later lists the files after the open one; all, when none is open: an earlier
// process may have left them unsynced.
func (t *tail) later() ([]segment, error) {
	if t.only != "" {
		return []segment{{}}, nil
	}
	files, err := segments(t.dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if t.file != nil {
		files = slices.DeleteFunc(files, func(s segment) bool { return s.base <= t.base })
	}
	return files, err
}

func (t *tail) close() {
	if t.file != nil {
		t.file.Close()
		t.file = nil
	}
}

// syncDir brings the names in a directory to the disk.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// syncAll brings the whole log to the disk.
func syncAll(dir string) error {
	dirs, err := os.ReadDir(filepath.Join(dir, "partitions"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	for _, d := range dirs {
		t := tail{dir: filepath.Join(dir, "partitions", d.Name())}
		err = errors.Join(err, t.sync())
		t.close()
	}
	return err
}
