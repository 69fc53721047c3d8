package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// kept is a directory that a store lives in, and what it was filled with, so that another run need not fill it again.
type kept struct {
	dir     string
	load    string // what it is to be filled with
	filled  bool   // whether it is, with that
	forGood bool   // whether it stays
}

// keep opens the directory of one store: below that of the command line, or else a new one that goes with the run.
// It refuses one that was filled with something else.
func (o *options) keep(store string) (k kept, err error) {
	if o.dir == "" {
		k.dir, err = os.MkdirTemp("", "clickagg-bench-")
		return k, err
	}
	load, err := json.Marshal(map[string]any{"ads": o.ads, "hours": o.hours, "clicks": o.clicks, "zipf": o.zipf})
	if err != nil {
		return k, err
	}
	k = kept{dir: filepath.Join(o.dir, store), load: string(load), forGood: true}
	switch have, err := os.ReadFile(k.file()); {
	case errors.Is(err, fs.ErrNotExist): // nor may its directory be there: a run that broke off has left it
		return k, errors.Join(os.MkdirAll(o.dir, 0o700), os.Mkdir(k.dir, 0o700))
	case err != nil:
		return k, err
	case string(have) != k.load:
		return k, fmt.Errorf("%s was filled with %s, and not with %s: name another directory", k.dir, have, k.load)
	}
	k.filled = true
	return k, nil
}

func (k *kept) file() string { return filepath.Join(k.dir, "filled.json") }

// done notes that the store is filled.
func (k *kept) done() error {
	if !k.forGood {
		return nil
	}
	return os.WriteFile(k.file(), []byte(k.load), 0o600)
}

func (k *kept) close() error {
	if k.forGood {
		return nil
	}
	return os.RemoveAll(k.dir)
}
