package archive

import (
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/clickagg/clickagg/internal/click"
)

// SliceRecords is the most records of a slice.
const SliceRecords = 1 << 20

// bounds decide where slices end, and the runs in them: other numbers make other names of what is
// archived from then on.
type bounds struct {
	sliceRecords int64
	sliceBytes   int // of its records, give or take one
	runRecords   int // the same of a run
	runBytes     int
}

var usual = bounds{sliceRecords: SliceRecords, sliceBytes: 128 << 20, runRecords: 1 << 16, runBytes: 16 << 20}

// hour is what a slice's records are gathered by, in ms.
const hour = int64(time.Hour / time.Millisecond)

// longestTopic is the longest name of a topic whose records can be archived: it stands in names of blobs.
const longestTopic = 120

// Slice is some offsets of one source, all records of which are in one file.
type Slice struct {
	Source   click.Source
	From, To int64 // offsets; To is not in it
}

// String names a slice as people know it.
func (s Slice) String() string { return fmt.Sprintf("%v offsets %d to %d", s.Source, s.From, s.To-1) }

// manifests is where manifests lie. Who reads the files passes over what begins with an underscore.
const manifests = "_manifests/"

// sourceName names a source: topics may have dots, the rest has none.
func sourceName(s click.Source) string {
	return fmt.Sprintf("%s.%s.%d", s.Topic, hex.EncodeToString(s.ID[:]), s.Partition)
}

func (s Slice) offsets() string { return fmt.Sprintf("%019d-%019d", s.From, s.To) }

// manifestName is where the slice's manifest lies.
func (s Slice) manifestName() string {
	return manifests + sourceName(s.Source) + "/" + s.offsets() + ".json"
}

// fileName is where its file lies, if its records were appended in the hour of a time (Unix ms).
func (s Slice) fileName(at int64) string {
	return time.UnixMilli(at).UTC().Format("date=2006-01-02/hour=15/") + s.fileBase()
}

func (s Slice) fileBase() string { return sourceName(s.Source) + "." + s.offsets() + ".parquet" }

var errName = errors.New("archive: it is not the name of a manifest")

// parseManifestName reads what manifestName wrote.
func parseManifestName(name string) (s Slice, err error) {
	name, ok := strings.CutPrefix(name, manifests)
	source, offsets, two := strings.Cut(name, "/")
	if !ok || !two {
		return s, errName
	}
	if s.Source, err = parseSource(source); err != nil {
		return s, err
	}
	offsets, ok = strings.CutSuffix(offsets, ".json")
	from, to, two := strings.Cut(offsets, "-")
	s.From, err = strconv.ParseInt(from, 10, 64)
	var more error
	s.To, more = strconv.ParseInt(to, 10, 64)
	if !ok || !two || cmp.Or(err, more) != nil || s.From < 0 || s.To <= s.From || s.offsets() != offsets {
		return s, errName
	}
	return s, nil
}

// sourceOf is the source among whose manifests a blob lies.
func sourceOf(name string) (click.Source, bool) {
	source, _, inside := strings.Cut(strings.TrimPrefix(name, manifests), "/")
	s, err := parseSource(source)
	return s, inside && err == nil
}

func parseSource(name string) (s click.Source, err error) {
	rest, partition, ok := cutLast(name)
	topic, id, two := cutLast(rest)
	p, err := strconv.ParseInt(partition, 10, 32)
	n, more := hex.Decode(s.ID[:], []byte(id[:min(len(id), 2*len(s.ID))]))
	s.Topic, s.Partition = topic, int32(p)
	if !ok || !two || cmp.Or(err, more) != nil || n != len(s.ID) || sourceName(s) != name {
		return s, errName
	}
	return s, nil
}

// cutLast cuts a name at its last dot.
func cutLast(name string) (before, after string, ok bool) {
	i := strings.LastIndexByte(name, '.')
	if i < 0 {
		return "", "", false
	}
	return name[:i], name[i+1:], true
}

func compareSources(a, b click.Source) int {
	return cmp.Or(strings.Compare(a.Topic, b.Topic), slices.Compare(a.ID[:], b.ID[:]), cmp.Compare(a.Partition, b.Partition))
}

// hourOf is the number of the hour that a time is in.
func hourOf(ms int64) int64 {
	h := ms / hour
	if ms%hour < 0 {
		h--
	}
	return h
}

// size is what a record counts in bytes.
func size(r *click.Record) int {
	const beside = 32 // its numbers
	return len(r.Key) + len(r.Value) + len(r.Headers.Raw) + beside
}
