package embedded

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"time"
)

// repair makes the log ready for the engine, which would cut a damaged file and
// go on without a word.
//
// Every record batch of every file must be whole, and each file go on where the
// one before ends: a gap is a loss, which is said, never skipped. Only the end of
// the last file may be torn, by the end of the process or of the machine; it is
// cut after the last whole batch.
//
// A partition that was closed in order has a snapshot that fits its files. For
// any other the engine would hold all of its records in memory while it starts.
// So its snapshot is written here.
func repair(dir string) error {
	root := filepath.Join(dir, "partitions")
	dirs, err := os.ReadDir(root)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := listed(dir, dirs); err != nil {
		return err
	}
	errs := make([]error, len(dirs))
	turn := make(chan struct{}, runtime.GOMAXPROCS(0))
	var work sync.WaitGroup
	for i, d := range dirs {
		if _, _, ok := partitionOf(d.Name()); !ok {
			continue
		}
		work.Go(func() {
			turn <- struct{}{}
			errs[i] = repairPartition(filepath.Join(root, d.Name()))
			<-turn
		})
	}
	work.Wait()
	return errors.Join(errs...)
}

// listed looks whether the engine's list of topics can be read, if there are
// records: without it the engine would begin with no topic and write over them.
func listed(dir string, partitions []os.DirEntry) error {
	b, err := os.ReadFile(filepath.Join(dir, "topics.json"))
	gone := errors.Is(err, os.ErrNotExist)
	switch {
	case gone && !slices.ContainsFunc(partitions, func(d os.DirEntry) bool {
		files, err := segments(filepath.Join(dir, "partitions", d.Name()))
		return err != nil || slices.ContainsFunc(files, func(f segment) bool { return f.size > 0 })
	}):
		return nil
	case gone || err == nil && !json.Valid(b):
		return fmt.Errorf("%w: %s: the list of topics, topics.json, is gone or damaged: %s", ErrDamaged, dir, wayOut)
	}
	return err
}

// snapshot is what the engine keeps beside a partition's files.
type snapshot struct {
	Version   int               `json:"version"`
	End       int64             `json:"high_watermark"`
	StableEnd int64             `json:"last_stable_offset"`
	Start     int64             `json:"log_start_offset"`
	Epoch     int32             `json:"epoch"`
	Created   time.Time         `json:"created_at"`
	Segments  []snapshotSegment `json:"segments"`

	torn   *segment // the last file, if it does not end with a whole batch,
	tornAt int64    // and where the last whole one ends
}

type snapshotSegment struct {
	Base int64 `json:"base_offset"`
	Size int64 `json:"size"`
}

func (s *snapshot) fits(files []segment) bool {
	if len(s.Segments) != len(files) {
		return false
	}
	for i, f := range files {
		if s.Segments[i] != (snapshotSegment{f.base, f.size}) {
			return false
		}
	}
	return true
}

func repairPartition(dir string) error {
	files, err := segments(dir)
	if err != nil {
		return err
	}
	var old snapshot
	path := filepath.Join(dir, "snapshot.json")
	fits := false
	if b, err := os.ReadFile(path); err == nil {
		if json.Unmarshal(b, &old) != nil {
			old = snapshot{}
		}
		fits = old.fits(files)
	}
	s, err := survey(dir, files)
	if err != nil {
		return err
	}
	if s.End < old.End || len(s.Segments) == 0 && s.End > 0 {
		return fmt.Errorf("%w: %s: offsets %d to %d were there and are missing: %s", ErrDamaged, dir, s.End, max(old.End, s.End)-1, wayOut)
	}
	if s.torn != nil {
		if err := cut(dir, *s.torn, s.tornAt); err != nil {
			return err
		}
	}
	if fits || len(s.Segments) == 0 {
		return nil
	}
	s.Start = max(files[0].base, min(old.Start, s.End))
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return writeFile(path, b)
}

// ErrDamaged: records that were acknowledged are not in the broker's files any more.
var ErrDamaged = errors.New("records lost from the broker's files")

const wayOut = "restore the directory from a copy, or move it away to begin without it"

// survey makes the snapshot of a partition from its files.
func survey(dir string, files []segment) (s snapshot, err error) {
	s = snapshot{Version: 1}
	for i, f := range files {
		last := i == len(files)-1
		if i == 0 {
			s.End, s.Created = f.base, f.modified
		}
		if f.base != s.End {
			return s, fmt.Errorf("%w: %s: offsets %d to %d are missing: %s", ErrDamaged, dir, s.End, f.base-1, wayOut)
		}
		end, size, err := walk(dir, f)
		if err != nil {
			return s, err
		}
		if size < f.size {
			if !last {
				return s, fmt.Errorf("%w: %s: the file of offset %d is damaged from offset %d on: %s", ErrDamaged, dir, f.base, end, wayOut)
			}
			s.torn = &f
			s.tornAt = size
		}
		if size > 0 {
			s.Segments = append(s.Segments, snapshotSegment{f.base, size})
		}
		s.End = end
	}
	s.StableEnd = s.End
	return s, nil
}

// walk goes over the record batches of a file and returns the offset after the
// last whole one and the size up to there.
func walk(dir string, f segment) (end, size int64, err error) {
	file, err := os.Open(filepath.Join(dir, f.name()))
	if err != nil {
		return 0, 0, err
	}
	defer file.Close()
	in := bufio.NewReaderSize(file, 256<<10)
	end = f.base
	batch := make([]byte, batchHeader)
	for size+batchHeader <= f.size {
		batch = batch[:batchHeader]
		if _, err := io.ReadFull(in, batch); err != nil {
			return end, size, err
		}
		n := int64(int32(binary.BigEndian.Uint32(batch[batchLength:]))) + batchLength + 4
		base := int64(binary.BigEndian.Uint64(batch))
		if n < batchHeader || n > f.size-size || base != end {
			return end, size, nil
		}
		batch = slices.Grow(batch, int(n)-batchHeader)[:n]
		if _, err := io.ReadFull(in, batch[batchHeader:]); err != nil {
			return end, size, err
		}
		if !whole(batch) {
			return end, size, nil
		}
		size += n
		end = base + int64(int32(binary.BigEndian.Uint32(batch[batchLastDelta:]))) + 1
	}
	return end, size, nil
}

// cut cuts a file's torn end off, and removes a file of nothing else.
func cut(dir string, f segment, size int64) error {
	name := filepath.Join(dir, f.name())
	if size == 0 {
		index := filepath.Join(dir, strconv.FormatInt(f.base, 10)+".idx")
		return errors.Join(os.Remove(name), os.RemoveAll(index))
	}
	file, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(file.Truncate(size), syncFile(file), file.Close())
}

// writeFile replaces a file whole or not at all.
func writeFile(path string, b []byte) error {
	f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o640)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
