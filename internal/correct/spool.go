package correct

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"os"

	"github.com/clickagg/clickagg/internal/click"
)

// recordBytes is about how large a record of a change becomes.
const recordBytes = 256 << 10

// entry is where the records of one window under one filter stand in a spool.
type entry struct {
	start, size int64
	filter      string
	at          int64
	repeats     bool // the list alone is new: the one count is said again as it is
}

// spool keeps what is to be said in a file that has no name, so that it goes with the process.
type spool struct {
	file    *os.File
	end     int64
	entries []entry
	rows    int64
	buf     []byte
	record  []byte
}

// newSpool makes one in a directory, or in the system's for temporary files.
func newSpool(dir string) (*spool, error) {
	f, err := os.CreateTemp(dir, "correction-*")
	if err != nil {
		return nil, fmt.Errorf("make a file for what changes: %w", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("make a file for what changes: %w", err)
	}
	return &spool{file: f}, nil
}

// add keeps the records of a difference: rows, as many to a record as fit, and in the last one the list. Where the
// list alone is new one count is said once more as it is, as only counts tell a writer that the window's hour has changed.
func (s *spool) add(d *Diff) error {
	s.buf = s.buf[:0]
	c := click.Correction{Step: click.Change, Number: 1, From: d.Start, To: d.Start + d.Size, Filter: d.Filter, Revision: d.Revision}
	size := 0
	put := func() {
		s.record = c.Append(s.record[:0])
		s.buf = append(binary.AppendUvarint(s.buf, uint64(len(s.record))), s.record...)
		c.Rows, size = c.Rows[:0], 0
	}
	for i := range d.Changes {
		n := len(d.Changes[i].Ad) + 16
		if size += n; size > recordBytes && len(c.Rows) > 0 {
			put()
			size = n
		}
		c.Rows = append(c.Rows, click.Row{Ad: d.Changes[i].Ad, Count: d.Changes[i].New, Digest: d.Changes[i].NewDigest})
	}
	s.rows += int64(len(d.Changes))
	repeats := len(d.Changes) == 0 && len(d.Top) > 0
	if repeats {
		c.Rows = append(c.Rows, d.Top[0])
		s.rows++
	}
	for i := range d.Top {
		size += len(d.Top[i].Ad) + 8
	}
	if size > recordBytes && len(c.Rows) > 0 {
		put()
	}
	c.Last, c.Clicks, c.Ads, c.Top = true, d.Clicks, d.Ads, d.Top
	put()
	if _, err := s.file.WriteAt(s.buf, s.end); err != nil {
		return fmt.Errorf("keep what changes: %w", err)
	}
	s.entries = append(s.entries, entry{d.Start, d.Size, d.Filter, s.end, repeats})
	s.end += int64(len(s.buf))
	return nil
}

// each calls f with the records of an entry, until the last. A record is valid during the call.
func (s *spool) each(e *entry, f func(*click.Correction) error) error {
	in := bufio.NewReaderSize(io.NewSectionReader(s.file, e.at, s.end-e.at), recordBytes)
	var c click.Correction
	for !c.Last {
		n, err := binary.ReadUvarint(in)
		if err != nil {
			return fmt.Errorf("read what changes: %w", err)
		}
		if s.record = s.record[:0]; uint64(cap(s.record)) < n {
			s.record = make([]byte, n)
		}
		s.record = s.record[:n]
		if _, err := io.ReadFull(in, s.record); err != nil {
			return fmt.Errorf("read what changes: %w", err)
		}
		if err := c.Parse(s.record); err != nil {
			return fmt.Errorf("read what changes: %w", err)
		}
		if err := f(&c); err != nil {
			return err
		}
	}
	return nil
}

func (s *spool) close() error { return s.file.Close() }
