package blob

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// A blob's file has its name with slash replaced, so that the directory is flat:
// one fsync makes a name durable, and "a" and "a/b" do not clash. Neither of the
// two marks is allowed in a name, so no file can be taken for another's.
const (
	slash  = "+"
	unborn = "~" // begins a file that is still being written; in a tree, after an underscore
)

// syncBytes are written between two syncs of a file.
const syncBytes = 8 << 20

// Dir is a [Store] in a directory of a file system. Several processes may use the
// directory at once, also of several machines if their file system shares locks,
// as NFS does; all of them must be the same user.
type Dir struct {
	path   string
	tree   bool // words of names are directories
	unborn string
	// fill writes a new file's bytes and makes them durable; tests let it fail.
	fill func(f *os.File, data io.Reader) error
}

// OpenDir opens a directory of blobs, making it if it is not there, and removes
// what a crash left half written. What another process writes now is left alone.
func OpenDir(path string) (*Dir, error) { return openDir(path, false) }

// OpenTree is OpenDir of blobs that other programs read: their files lie in directories
// called like the words of their names. A name that begins another one, up to a slash, is refused. What is
// still being written has an underscore first, which readers of tables pass over.
func OpenTree(path string) (*Dir, error) { return openDir(path, true) }

func openDir(path string, tree bool) (*Dir, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("open blobs: %w", err)
	}
	// The directory's own entry must be durable before anything in it can be.
	if err := syncDir(filepath.Dir(path)); err != nil {
		return nil, fmt.Errorf("open blobs: %w", err)
	}
	d := &Dir{path: filepath.Clean(path), tree: tree, unborn: unborn, fill: fillFile}
	if tree {
		d.unborn = "_" + unborn
	}
	if err := d.removeUnborn(); err != nil {
		return nil, fmt.Errorf("open blobs: %w", err)
	}
	return d, nil
}

func (d *Dir) removeUnborn() error {
	entries, err := os.ReadDir(d.path)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), d.unborn) {
			continue
		}
		if err := removeDead(filepath.Join(d.path, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// removeDead removes a half written file whose writer has died: a living one has
// locked it.
func removeDead(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		return nil
	}
	return os.Remove(file)
}

var (
	_ Streamer = (*Dir)(nil)
	_ Ranger   = (*Dir)(nil)
)

// Put implements [Store]. After an error the blob is the old one, unless the
// error is about the directory: then it may be either.
func (d *Dir) Put(ctx context.Context, name string, data []byte) error {
	return d.PutFrom(ctx, name, bytes.NewReader(data))
}

// PutFrom implements [Streamer], as Put does [Store].
func (d *Dir) PutFrom(ctx context.Context, name string, r io.Reader) error {
	file, err := d.file(ctx, name)
	if err != nil {
		return err
	}
	if err := d.replace(file, &limited{r, MaxBytes}); err != nil {
		return fmt.Errorf("put blob %s: %w", name, err)
	}
	return nil
}

// limited is a reader that fails when it reads more than may be kept.
type limited struct {
	r    io.Reader
	left int64
}

// Read implements [io.Reader].
func (l *limited) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	if l.left -= int64(n); l.left < 0 {
		return 0, fmt.Errorf("more than the limit of %d bytes", int64(MaxBytes))
	}
	return n, err
}

// replace writes beside the file and renames: a crash leaves the old bytes or
// the new. The order of the two fsyncs is what makes it so.
func (d *Dir) replace(file string, data io.Reader) error {
	f, err := d.create()
	if err != nil {
		return err
	}
	// Closing ends the lock, and by then nobody must take the file for a dead one's.
	err = d.fill(f, data)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(file), 0o700)
	}
	if err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()), f.Close())
	}
	return errors.Join(f.Close(), d.syncDirs(filepath.Dir(file)))
}

// syncDirs makes the names durable that lead to what is in a directory.
func (d *Dir) syncDirs(dir string) error {
	err := syncDir(dir)
	for err == nil && dir != d.path {
		dir = filepath.Dir(dir)
		err = syncDir(dir)
	}
	return err
}

// create makes a file to be filled, and locks it for as long as it is open. A file
// system without locks cannot tell the dead from the living: then all half written
// files stay.
func (d *Dir) create() (*os.File, error) {
	for {
		f, err := os.CreateTemp(d.path, d.unborn+"*")
		if err != nil {
			return nil, err
		}
		_ = syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
		st, err := f.Stat()
		if err == nil && st.Sys().(*syscall.Stat_t).Nlink > 0 {
			return f, nil
		}
		// Before it was locked, somebody took it for a dead one's and removed it.
		if err := f.Close(); err != nil {
			return nil, err
		}
	}
}

// Get implements [Store].
func (d *Dir) Get(ctx context.Context, name string) ([]byte, error) {
	file, err := d.file(ctx, name)
	if err != nil {
		return nil, err
	}
	data, err := readFile(file)
	if err != nil {
		return nil, fmt.Errorf("get blob %s: %w", name, d.absent(err))
	}
	return data, nil
}

// GetRange implements [Ranger].
func (d *Dir) GetRange(ctx context.Context, name string, at int64, p []byte) error {
	file, err := d.file(ctx, name)
	if err != nil {
		return err
	}
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("get blob %s: %w", name, d.absent(err))
	}
	defer f.Close()
	if n, err := f.ReadAt(p, at); n < len(p) {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return fmt.Errorf("get blob %s: %w", name, err)
	}
	return nil
}

// errDirectory: where a blob's file would be there is something else.
var errDirectory = errors.New("it is not a regular file")

// absent makes ErrNotFound of what says that there is no file. In a tree a directory has
// the name of no blob, and nothing lies below a file.
func (d *Dir) absent(err error) error {
	if errors.Is(err, fs.ErrNotExist) || d.tree && (errors.Is(err, errDirectory) || errors.Is(err, syscall.ENOTDIR)) {
		return ErrNotFound
	}
	return err
}

// readFile reads a file that no one changes: Put replaces it by another.
func readFile(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, errDirectory
	}
	if st.Size() > MaxBytes {
		return nil, fmt.Errorf("%d bytes are over the limit of %d", st.Size(), int64(MaxBytes))
	}
	data := make([]byte, st.Size())
	_, err = io.ReadFull(f, data)
	return data, err
}

// List implements [Store]. Files that are no blobs are passed over.
func (d *Dir) List(ctx context.Context, prefix string) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var names []string
	take := func(name string, e fs.DirEntry) {
		if strings.HasPrefix(name, prefix) && e.Type().IsRegular() && CheckName(name) == nil {
			names = append(names, name)
		}
	}
	if d.tree {
		if err := d.walk(prefix, take); err != nil {
			return nil, fmt.Errorf("list blobs: %w", err)
		}
	} else {
		entries, err := os.ReadDir(d.path)
		if err != nil {
			return nil, fmt.Errorf("list blobs: %w", err)
		}
		for _, e := range entries {
			take(strings.ReplaceAll(e.Name(), slash, "/"), e)
		}
	}
	slices.Sort(names)
	return names, nil
}

// walk visits the files of a tree that can have a prefix.
func (d *Dir) walk(prefix string, visit func(name string, e fs.DirEntry)) error {
	dir := prefix[:max(strings.LastIndexByte(prefix, '/'), 0)]
	if dir != "" && CheckName(dir) != nil {
		return nil
	}
	return filepath.WalkDir(filepath.Join(d.path, filepath.FromSlash(dir)), func(file string, e fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR): // also one that has gone meanwhile
			return nil
		case err != nil || e.IsDir():
			return err
		}
		name, err := filepath.Rel(d.path, file)
		if err == nil {
			visit(filepath.ToSlash(name), e)
		}
		return err
	})
}

// Delete implements [Store]. A crash of the operating system may bring a deleted
// blob back.
func (d *Dir) Delete(ctx context.Context, name string) error {
	file, err := d.file(ctx, name)
	if err != nil {
		return err
	}
	if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("delete blob %s: %w", name, err)
	}
	return nil
}

// file is where a blob lies. It refuses what is no name, and to begin when the
// context has ended.
func (d *Dir) file(ctx context.Context, name string) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if err := CheckName(name); err != nil {
		return "", err
	}
	if d.tree {
		return filepath.Join(d.path, filepath.FromSlash(name)), nil
	}
	return filepath.Join(d.path, strings.ReplaceAll(name, "/", slash)), nil
}

// fillFile writes in pieces, and lets each go to the disk as it is written: all at once
// in the end would hold up whoever else syncs a file meanwhile.
func fillFile(f *os.File, data io.Reader) error {
	buf := make([]byte, 256<<10)
	for unsynced := 0; ; {
		n, err := io.ReadFull(data, buf)
		if _, err := f.Write(buf[:n]); err != nil {
			return err
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return f.Sync()
		case err != nil:
			return err
		}
		if unsynced += n; unsynced >= syncBytes {
			if err := f.Sync(); err != nil {
				return err
			}
			unsynced = 0
		}
	}
}

func syncDir(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
