//go:build !linux

package embedded

import "os"

// lockFile does nothing: a lock that ends with its process is not had everywhere.
func lockFile(*os.File) error { return nil }

// unlockFile closes a file.
func unlockFile(f *os.File) error { return f.Close() }

// syncFile brings a file to the disk.
func syncFile(f *os.File) error { return f.Sync() }
