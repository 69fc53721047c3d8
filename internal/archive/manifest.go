package archive

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/clickagg/clickagg/internal/blob"
	"github.com/clickagg/clickagg/internal/click"
)

// ErrDamaged: what lies in the archive is not what was put there.
var ErrDamaged = errors.New("the archive is damaged")

// maxRunBytes is the most that a run can take in a file: more must not be taken into memory.
const maxRunBytes = 1 << 30

// manifestVersion is the format of manifests.
const manifestVersion = 1

// Manifest says what is in a slice's file. Times are Unix ms.
type Manifest struct {
	Version   int    `json:"version"`
	Topic     string `json:"topic"`
	TopicID   string `json:"topic_id"` // of this incarnation of the topic, in hex
	Partition int32  `json:"partition"`
	From      int64  `json:"from"` // offsets; To is not in it
	To        int64  `json:"to"`
	Hole      int64  `json:"hole,omitempty"` // offsets before From that were gone before they could be archived
	Records   int64  `json:"records"`
	Clicks    int64  `json:"clicks"` // records that are clicks; the others have nulls in their columns
	Received  Times  `json:"received"`
	Clicked   *Times `json:"clicked,omitempty"` // without clicks there is none
	File      string `json:"file"`
	Bytes     int64  `json:"bytes"` // of the file
	SHA256    string `json:"sha256"`
	Footer    int64  `json:"footer"` // place in the file where what is not runs begins
	Runs      []Run  `json:"runs"`
}

// Times are the least and the greatest of some times.
type Times struct {
	First int64 `json:"first"`
	Last  int64 `json:"last"`
}

func (t *Times) add(ms int64) { t.First, t.Last = min(t.First, ms), max(t.Last, ms) }

// Run is one row group of a file: offsets in a row.
type Run struct {
	From     int64 `json:"from"` // offsets; To is not in it
	To       int64 `json:"to"`
	Records  int64 `json:"records"`
	Received Times `json:"received"`
	At       int64 `json:"at"` // place in the file
	Bytes    int64 `json:"bytes"`
}

// Slice is what the manifest stands for.
func (m *Manifest) Slice() Slice {
	s := Slice{Source: click.Source{Topic: m.Topic, Partition: m.Partition}, From: m.From, To: m.To}
	_, _ = hex.Decode(s.Source.ID[:], []byte(m.TopicID[:min(len(m.TopicID), 2*len(s.Source.ID))])) // another id is another slice
	return s
}

// check tells whether a manifest can be that of a slice.
func (m *Manifest) check(s Slice) error {
	fault := func(format string, args ...any) error {
		return fmt.Errorf("%w: manifest %s: %s", ErrDamaged, s.manifestName(), fmt.Sprintf(format, args...))
	}
	switch {
	case m.Version != manifestVersion:
		return fmt.Errorf("manifest %s has version %d: a newer clickagg wrote it; read it with that", s.manifestName(), m.Version)
	case m.Slice() != s:
		return fault("it is that of %v", m.Slice())
	case !strings.HasSuffix(m.File, "/"+s.fileBase()):
		return fault("its file is %q", m.File)
	case len(m.Runs) == 0 || m.Runs[0].From != m.From || m.Runs[len(m.Runs)-1].To != m.To:
		return fault("its runs are not its slice")
	case m.Footer <= 0 || m.Footer >= m.Bytes || m.Bytes-m.Footer > maxRunBytes:
		return fault("its footer is at %d of %d bytes", m.Footer, m.Bytes)
	}
	records, received := int64(0), m.Runs[0].Received
	for i, r := range m.Runs {
		if r.To <= r.From || r.At < 0 || r.Bytes <= 0 || r.Bytes > maxRunBytes || r.At > m.Footer-r.Bytes || i > 0 && r.From != m.Runs[i-1].To {
			return fault("run %d is impossible", i)
		}
		records += r.Records
		received.add(r.Received.First)
		received.add(r.Received.Last)
	}
	if records != m.Records || received != m.Received {
		return fault("it has %d records received from %d to %d, its runs %d from %d to %d",
			m.Records, m.Received.First, m.Received.Last, records, received.First, received.Last)
	}
	return nil
}

// load reads the manifest of a slice.
func load(ctx context.Context, blobs blob.Store, s Slice) (*Manifest, error) {
	data, err := blobs.Get(ctx, s.manifestName())
	if err != nil {
		return nil, err
	}
	m := new(Manifest)
	if err := json.Unmarshal(data, m); err != nil {
		return nil, fmt.Errorf("%w: manifest %s: %w", ErrDamaged, s.manifestName(), err)
	}
	return m, m.check(s)
}
