package reread

import (
	"os"
	"slices"
	"sync/atomic"
	"time"
)

// pause is the least time between two looks at the files.
const pause = time.Second

// Value is what was last read from some files. It is safe for concurrent use.
type Value[T any] struct {
	files  []string
	read   func() (T, error)
	failed func(error)
	now    func() time.Time

	last    atomic.Pointer[T]
	next    atomic.Int64 // when the files may be looked at again, Unix ns
	looking atomic.Bool
	// Of the files when they were last read. Whoever is looking owns these.
	seen  []stamp
	fault string // why the last reading failed; empty when it did not
}

// stamp tells one state of a file from another.
type stamp struct {
	changed time.Time
	size    int64
	there   bool
}

// New reads the files for the first time, and fails if that does. From then on failed
// is told why a reading fails, once as long as it is the same and the files are;
// it is called by whoever asked for the value.
func New[T any](read func() (T, error), failed func(error), now func() time.Time, files ...string) (*Value[T], error) {
	v := &Value[T]{files: files, read: read, failed: failed, now: now}
	v.seen = v.stamps() // before the reading: a change meanwhile is seen as one
	first, err := read()
	if err != nil {
		return nil, err
	}
	v.last.Store(&first)
	v.next.Store(now().Add(pause).UnixNano())
	return v, nil
}

// Get is what the files held when they were last looked at, which is not more than
// a second ago unless somebody else is just reading them.
func (v *Value[T]) Get() T {
	if v.now().UnixNano() >= v.next.Load() && v.looking.CompareAndSwap(false, true) {
		v.look()
		v.looking.Store(false)
	}
	return *v.last.Load()
}

func (v *Value[T]) look() {
	defer func() { v.next.Store(v.now().Add(pause).UnixNano()) }()
	found := v.stamps()
	changed := !slices.Equal(found, v.seen)
	if !changed && v.fault == "" { // a fault may end without a change: too many open files, a mount that is away
		return
	}
	v.seen = found
	renewed, err := v.read()
	if err != nil {
		if news := err.Error(); changed || news != v.fault {
			v.fault = news
			v.failed(err)
		}
		return
	}
	v.fault = ""
	v.last.Store(&renewed)
}

func (v *Value[T]) stamps() []stamp {
	all := make([]stamp, len(v.files))
	for i, name := range v.files {
		if info, err := os.Stat(name); err == nil {
			all[i] = stamp{info.ModTime(), info.Size(), true}
		}
	}
	return all
}
