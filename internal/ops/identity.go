package ops

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Files of a data directory that say whose it is.
const (
	identityFile     = "process-id"
	installationFile = "installation"
)

// ErrForeign: the data directory worked for another installation.
var ErrForeign = errors.New("another installation")

// ProcessID returns the name by which the process that uses a data directory is
// known to others, and chooses one at the first time. It stays the same over
// restarts, so that a process which was killed gets back at once what it worked on.
// No two data directories have the same, unless one was copied. The
// caller holds the directory's lock.
func ProcessID(dir string) (string, error) {
	return keep(filepath.Join(dir, identityFile), rand.Text(),
		"remove it, and the process is a new one to others; it must not be a copy of another process's")
}

// Remember notes for which installation a data directory works, at the first time.
// Later it returns ErrForeign when it is another one: the addresses lead to another
// cluster, or the cluster was made anew. The caller holds the directory's lock.
func Remember(dir, installation string) error {
	path := filepath.Join(dir, installationFile)
	known, err := keep(path, installation, "remove it, if you know that the directory belongs to this installation")
	if err != nil {
		return err
	}
	if known != installation {
		return fmt.Errorf("%w: %s worked for installation %s, but kafka.brokers and kafka.topic_prefix lead to %s; "+
			"set them back; after moving this machine to another installation on purpose, begin with a new data_dir", ErrForeign, dir, known, installation)
	}
	return nil
}

// keep returns the word in a file, and puts one there if there is no file. Cure
// says what to do about a file without a word.
func keep(path, word, cure string) (string, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := writeFile(path, word+"\n"); err != nil {
			return "", fmt.Errorf("write %s: %w", path, err)
		}
		return word, nil
	}
	if err != nil {
		return "", fmt.Errorf("data_dir: %w", err)
	}
	kept := strings.TrimSuffix(string(text), "\n")
	if !isWord(kept) {
		return "", fmt.Errorf("%s is damaged: %s", path, cure)
	}
	return kept, nil
}

// isWord tells whether a text can be what keep has written: never so much, and
// nothing but letters, digits and dashes.
func isWord(s string) bool {
	odd := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-'
	}
	return s != "" && len(s) <= 100 && !strings.ContainsFunc(s, odd)
}

// writeFile makes a file durably: after a crash it is there whole or not at all.
func writeFile(path, text string) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
