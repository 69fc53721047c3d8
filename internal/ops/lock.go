package ops

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// ErrLocked: another process uses the data directory.
var ErrLocked = errors.New("data directory in use")

// Lock makes a data directory if there is none, with access for its owner only,
// and claims it for this process. The claim ends with unlock or with the process,
// however it ends. It returns ErrLocked, with the owner's pid, when it is taken.
func Lock(dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("data_dir %s: %w", dir, err)
	}
	path := filepath.Join(dir, "LOCK")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("data_dir %s: %w", dir, err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		owner, _ := os.ReadFile(path)
		_ = f.Close()
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("data_dir %s: lock: %w", dir, err)
		}
		return nil, fmt.Errorf("%w: %s is used by the process with pid %s; stop it, or choose another --data-dir",
			ErrLocked, dir, strings.TrimSpace(string(owner)))
	}
	if err := f.Truncate(0); err == nil {
		_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
		if err != nil {
			_ = f.Close()
			return nil, fmt.Errorf("data_dir %s: write LOCK: %w", dir, err)
		}
	}
	return func() {
		// Closing alone would not do: a program that this process is just starting
		// holds a copy of every open file until it runs.
		_ = syscall.Flock(int(f.Fd()), syscall.LOCK_UN)
		_ = f.Close()
	}, nil
}
