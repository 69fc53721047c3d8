package embedded

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/zap"
)

// Open opens the store in a directory and makes it if there is none. It fails
// when another process has it open, when it was written in a format this
// program does not know, and when its files are damaged or incomplete.
func Open(dir string, opts Options) (*Store, error) {
	s, err := open(dir, opts.withDefaults())
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", dir, damaged(err))
	}
	return s, nil
}

func open(dir string, opts Options) (_ *Store, err error) {
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	lock, err := pebble.LockDirectory(dir, vfs.Default)
	if errors.Is(err, fs.ErrPermission) {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("in use by another process (stop that one, or choose another data_dir): %w", err)
	}
	s := &Store{dir: dir, reserve: opts.ReserveBytes, lock: lock}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.abandon())
		}
	}()
	if err := whole(dir); err != nil {
		return nil, err
	}
	if s.db, err = pebble.Open(dir, engine(opts, lock)); err != nil {
		return nil, err
	}
	if err := s.settle(); err != nil {
		return nil, err
	}
	if err := s.claim(opts.Owner); err != nil {
		return nil, err
	}
	return s, nil
}

// abandon undoes a half-done open.
func (s *Store) abandon() error {
	var err error
	if s.db != nil {
		err = s.db.Close()
	}
	return errors.Join(err, s.lock.Close())
}

// whole refuses a directory with rows but without the engine's list of files:
// the engine would take it for a new one and begin with nothing.
func whole(dir string) error {
	desc, err := pebble.Peek(dir, vfs.Default)
	if err != nil {
		return err
	}
	if desc.Exists {
		return nil
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(files, func(f os.DirEntry) bool {
		ext := filepath.Ext(f.Name())
		return ext == ".sst" || ext == ".log"
	}) {
		return fmt.Errorf("%w: there are rows, but the list of files is missing", pebble.ErrCorruption)
	}
	return nil
}

// settle looks whether the store is ours, and marks a new one as such.
func (s *Store) settle() error {
	format, err := s.get(kindFormat)
	if err != nil {
		return err
	}
	switch {
	case string(format) == formatVersion:
	case string(format) == undigestedVersion:
		// From now on it has rows that the program before this cannot read.
		if err := s.db.Set([]byte{kindFormat}, []byte(formatVersion), pebble.Sync); err != nil {
			return err
		}
	case format != nil:
		return fmt.Errorf("written in format %q, this program reads %q: use the version of clickagg that wrote it", format, formatVersion)
	default:
		empty, err := s.empty()
		if err != nil {
			return err
		}
		if !empty {
			return errors.New("not a store of clickagg")
		}
		return s.create()
	}
	id, err := s.get(kindID)
	if err != nil {
		return err
	}
	if s.id = string(id); s.id == "" {
		return errors.New("it has lost its name: damaged")
	}
	size, err := s.get(kindSize)
	if err != nil {
		return err
	}
	if len(size) == 8 {
		s.size.Store(int64(binary.BigEndian.Uint64(size)))
	}
	return nil
}

// create marks a new store as ours and names it.
func (s *Store) create() error {
	var name [16]byte
	if _, err := rand.Read(name[:]); err != nil {
		return err
	}
	s.id = hex.EncodeToString(name[:])
	b := s.db.NewBatch()
	defer func() { _ = b.Close() }()
	if err := errors.Join(b.Set([]byte{kindFormat}, []byte(formatVersion), nil), b.Set([]byte{kindID}, []byte(s.id), nil)); err != nil {
		return err
	}
	return b.Commit(pebble.Sync)
}

// claim makes the store the owner's, or refuses when it is another's.
func (s *Store) claim(owner string) error {
	have, err := s.get(kindOwner)
	if err != nil || owner == "" || string(have) == owner {
		return err
	}
	if have != nil {
		return fmt.Errorf("it holds the results of another installation (%s, this one is %s), whose clicks are not here: "+
			"bring back the broker's directory that belongs to it, or move the store away and have it filled again", have, owner)
	}
	return s.db.Set([]byte{kindOwner}, []byte(owner), pebble.Sync)
}

func (s *Store) get(kind byte) ([]byte, error) {
	v, c, err := s.db.Get([]byte{kind})
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return slices.Clone(v), c.Close()
}

func (s *Store) empty() (bool, error) {
	it, err := s.db.NewIter(nil)
	if err != nil {
		return false, err
	}
	some := it.First()
	return !some, it.Close()
}

// tables of rows not yet in files: one is filled while the other is written.
const tables = 2

// engine is how the engine is set up. The format of its files is named, so that
// a new version of the engine does not change it by itself; it is one that tells
// damage within the log from the end of the log.
func engine(opts Options, lock *pebble.Lock) *pebble.Options {
	logger := opts.Logger.Named("store").Sugar()
	o := &pebble.Options{
		// Given by name, because the engine's own choice watches how slow the disk
		// is and leaves that watch behind when opening fails.
		FS:                 vfs.Default,
		FormatMajorVersion: pebble.FormatValueSeparation,
		Lock:               lock,
		Merger:             merger,
		// The engine takes the tables' memory out of the cache's.
		CacheSize:                   opts.CacheBytes + tables*int64(opts.MemTableBytes),
		MemTableSize:                opts.MemTableBytes,
		MemTableStopWritesThreshold: tables,
		MaxOpenFiles:                256,
		Logger:                      log{logger},
		EventListener: &pebble.EventListener{
			BackgroundError: func(err error) { logger.Warnw("background work of the store will be tried again", zap.Error(err)) },
			DataCorruption:  func(d pebble.DataCorruptionInfo) { logger.Errorw("the store is damaged", "damage", d.String()) },
		},
	}
	for i := range o.Levels {
		// An ad without a click in a window costs no read of the disk.
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	return o
}

// log passes on what the engine says of itself.
type log struct{ *zap.SugaredLogger }

// Infof implements pebble.Logger. The engine tells of every file it writes.
func (l log) Infof(format string, args ...any) { l.Debugf(format, args...) }

// Fatalf implements pebble.Logger. It must not return: what is on disk is not
// known any more, and writing on could lose what was acknowledged.
func (l log) Fatalf(format string, args ...any) {
	panic(fmt.Sprintf("storage/embedded: cannot go on after a failed write; start again: "+format, args...))
}

// damaged says what to do about files that cannot be read.
func damaged(err error) error {
	if err == nil || !pebble.IsCorruptionError(err) && !errors.Is(err, errRow) {
		return err
	}
	return fmt.Errorf("damaged, restore the directory from a backup: %w", err)
}
