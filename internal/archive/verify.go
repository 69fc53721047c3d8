package archive

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/clickagg/clickagg/internal/blob"
)

// Finding is one thing that is wrong with an archive.
type Finding struct {
	What string // the slice or the file
	Text string
	// Gap tells that offsets are missing: they had no record, as producers that use
	// transactions leave behind, or it was lost.
	Gap bool
}

// String is the finding in a line.
func (f Finding) String() string { return f.What + ": " + f.Text }

// Verify reads all that is archived and tells found what is wrong with it: bytes that are not those
// that were written, records that are not as many as the manifest says, offsets that are missing or
// there twice, files without a manifest, and what is no manifest where they lie. Watch is told of each slice that was read. An error means
// that it could not read everything.
func Verify(ctx context.Context, blobs blob.Ranger, found func(Finding), watch func(*Manifest)) error {
	all, strangers, err := List(ctx, blobs)
	if err != nil {
		return err
	}
	for _, name := range strangers {
		found(Finding{What: name, Text: "it is no manifest, and is passed over: move it away"})
	}
	known, unread := map[string]bool{}, map[string]bool{} // files: with a manifest, and, by base, with one that is damaged
	var sheet sheet
	for i, s := range all {
		if i > 0 && all[i-1].Source == s.Source {
			follow(all[i-1], s, found)
		}
		m, err := verify(ctx, blobs, &sheet, s)
		switch {
		case errors.Is(err, ErrDamaged), errors.Is(err, blob.ErrNotFound):
			found(Finding{What: s.String(), Text: err.Error()})
		case err != nil:
			return err
		}
		if m == nil {
			unread[s.fileBase()] = true
			continue
		}
		known[m.File] = true
		if gaps := m.To - m.From - m.Records; gaps > 0 && err == nil {
			found(Finding{What: s.String(), Text: fmt.Sprintf("%d offsets have no record", gaps), Gap: true})
		}
		if m.Hole > 0 {
			found(Finding{What: s.String(), Text: fmt.Sprintf("the %d offsets before were gone from the raw store before they were archived", m.Hole)})
		}
		watch(m)
	}
	return strays(ctx, blobs, func(name string) bool { return known[name] || unread[path.Base(name)] }, found)
}

// follow holds a slice against the one before it. A hole that the manifest knows of is said there.
func follow(before, s Slice, found func(Finding)) {
	switch {
	case s.From < before.To:
		found(Finding{What: s.String(), Text: fmt.Sprintf("offsets from %d to %d are in %v as well", s.From, min(s.To, before.To)-1, before)})
	case s.From > before.To:
		found(Finding{What: s.String(), Text: fmt.Sprintf("no slice has the offsets from %d to %d", before.To, s.From-1)})
	}
}

// verify reads a whole slice.
func verify(ctx context.Context, blobs blob.Ranger, sheet *sheet, s Slice) (*Manifest, error) {
	m, err := load(ctx, blobs, s)
	if err != nil {
		return nil, err
	}
	file, err := blobs.Get(ctx, m.File)
	if err != nil {
		return m, err
	}
	if sum := sha256.Sum256(file); int64(len(file)) != m.Bytes || hex.EncodeToString(sum[:]) != m.SHA256 {
		return m, fmt.Errorf("%w: %s is not what was archived", ErrDamaged, m.File)
	}
	for i := range m.Runs {
		if _, err := sheet.run(bytes.NewReader(file), m, i); err != nil {
			return m, fmt.Errorf("%s: %w", m.File, err)
		}
	}
	return m, nil
}

// strays looks for files that no manifest names.
func strays(ctx context.Context, blobs blob.Store, known func(name string) bool, found func(Finding)) error {
	names, err := blobs.List(ctx, "date=")
	if err != nil {
		return fmt.Errorf("list files: %w", err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, ".parquet") && !known(name) {
			found(Finding{What: name, Text: "no manifest names it: an archive run was interrupted before it was whole; the next one writes it again"})
		}
	}
	return nil
}
