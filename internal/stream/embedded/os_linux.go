package embedded

import (
	"errors"
	"os"
	"syscall"
)

// lockFile takes a file for this process until unlockFile or the process's end.
func lockFile(f *os.File) error {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
}

// unlockFile gives a file up and closes it. Closing alone would not do: a program
// that this process is just starting holds a copy of every open file until it runs.
func unlockFile(f *os.File) error {
	return errors.Join(syscall.Flock(int(f.Fd()), syscall.LOCK_UN), f.Close())
}

// syncFile brings a file's bytes to the disk, and of its metadata what is needed
// to read them: half the time of an fsync.
func syncFile(f *os.File) error {
	c, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = c.Control(func(fd uintptr) {
		for failed = syscall.EINTR; errors.Is(failed, syscall.EINTR); {
			failed = syscall.Fdatasync(int(fd))
		}
	})
	return errors.Join(err, failed)
}
