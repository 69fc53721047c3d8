package archive

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"unsafe"

	"github.com/parquet-go/parquet-go"

	"github.com/clickagg/clickagg/internal/click"
)

// rows is what a run has.
type rows struct {
	records []click.Record // in the order of offsets
	arena   arena          // their bytes
}

// size is how many bytes of memory it takes.
func (r *rows) size() int64 {
	return int64(cap(r.records))*int64(unsafe.Sizeof(click.Record{})) + int64(cap(r.arena))
}

// sheet reads the runs of files. Its memory is used again.
type sheet struct {
	rows
	body    []byte  // of a run as it lies in the file
	offsets []int64 // by row
	rank    []int32 // by row: its place among the records
	order   []int32 // rows in the order of offsets, where these have many holes
	tally   []int32 // by offset, where they have few: how many rows have a lesser one
}

// arena is memory that many byte strings are copied into.
type arena []byte

// keep copies bytes; absent ones stay absent, and empty ones empty.
func (a *arena) keep(b []byte) []byte {
	if b == nil {
		return nil
	}
	if *a == nil {
		*a = make([]byte, 0, max(len(b), 1<<10))
	}
	from := len(*a)
	*a = append(*a, b...)
	return (*a)[from:len(*a):len(*a)]
}

// part is a piece of a file, at its place.
type part struct {
	at    int64
	bytes []byte
}

// pieces is a file of which some pieces are known.
type pieces []part

// ReadAt implements [io.ReaderAt].
func (f pieces) ReadAt(p []byte, at int64) (int, error) {
	for _, piece := range f {
		if from := at - piece.at; from >= 0 && from+int64(len(p)) <= int64(len(piece.bytes)) {
			return copy(p, piece.bytes[from:]), nil
		}
	}
	return 0, fmt.Errorf("%d bytes from %d on are not in the run: %w", len(p), at, io.ErrUnexpectedEOF)
}

// openTable reads the footer of a file of some bytes.
func openTable(f io.ReaderAt, size int64) (*parquet.File, error) {
	return parquet.OpenFile(f, size, parquet.SkipMagicBytes(true), parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true),
		parquet.ReadBufferSize(64<<10))
}

// read reads one row group in the order of offsets. The records are valid until the next read.
func (s *sheet) read(f *parquet.File, group int) ([]click.Record, error) {
	if group >= len(f.RowGroups()) {
		return nil, fmt.Errorf("it has %d row groups", len(f.RowGroups()))
	}
	g := f.RowGroups()[group]
	n := int(g.NumRows())
	s.records, s.rank = slices.Grow(s.records[:0], n)[:n], slices.Grow(s.rank[:0], n)[:n]
	s.arena, s.offsets = slices.Grow(s.arena[:0], room(f, group)), s.offsets[:0]
	clear(s.records)
	for _, c := range [...]struct {
		name string
		take func(at int, p parquet.Page) error
	}{
		{"offset", numbers(func(_ int, v int64) { s.offsets = append(s.offsets, v) })},
		{"append_time", numbers(func(i int, v int64) { s.records[s.rank[i]].Append = v })},
		{"key", s.bytes(func(i int, v []byte) { s.records[s.rank[i]].Key = v })},
		{"value", s.bytes(func(i int, v []byte) { s.records[s.rank[i]].Value = v })},
		{"headers", s.bytes(func(i int, v []byte) { s.records[s.rank[i]].Headers.Raw = v })},
		{"header_count", s.counts},
	} {
		leaf, ok := f.Schema().Lookup(c.name)
		if !ok {
			return nil, fmt.Errorf("it has no column %s", c.name)
		}
		if err := eachPage(g.ColumnChunks()[leaf.ColumnIndex], n, c.take); err != nil {
			return nil, fmt.Errorf("column %s: %w", c.name, err)
		}
		if c.name == "offset" {
			s.arrange()
		}
	}
	return s.records, nil
}

// room is about how many bytes the records of a row group have. It is at most some more than an archiver puts into one: what a
// damaged footer says must not be taken into memory.
func room(f *parquet.File, group int) int {
	var size int64
	for _, c := range f.Metadata().RowGroups[group].Columns {
		switch path := c.MetaData.PathInSchema; path[len(path)-1] {
		case "key", "value", "headers":
			size += max(c.MetaData.TotalUncompressedSize, 0)
		}
	}
	return int(min(size, int64(2*usual.runBytes)))
}

// arrange finds out where in the order of offsets each row belongs. The offsets of a run mostly have few holes or
// none: then they are counted, which is many times as fast as sorting them.
func (s *sheet) arrange() {
	n := len(s.offsets)
	if n == 0 {
		return
	}
	least, greatest := slices.Min(s.offsets), slices.Max(s.offsets)
	if span := greatest - least; span < 0 || span >= int64(4*n) {
		s.order = slices.Grow(s.order[:0], n)[:n]
		for i := range s.order {
			s.order[i] = int32(i)
		}
		slices.SortFunc(s.order, func(a, b int32) int { return cmp.Compare(s.offsets[a], s.offsets[b]) })
		for i, row := range s.order {
			s.rank[row] = int32(i)
		}
	} else {
		s.tally = slices.Grow(s.tally[:0], int(span)+1)[:span+1]
		clear(s.tally)
		for _, o := range s.offsets {
			s.tally[o-least]++
		}
		next := int32(0)
		for i, there := range s.tally {
			s.tally[i] = next
			next += there
		}
		for row, o := range s.offsets {
			s.rank[row] = s.tally[o-least]
			s.tally[o-least]++ // for one that is there twice
		}
	}
	for row, o := range s.offsets {
		s.records[s.rank[row]].Offset = o
	}
}

// eachPage calls take for the pages of a column that has n values, with the place of the first value of each.
func eachPage(c parquet.ColumnChunk, n int, take func(at int, p parquet.Page) error) error {
	pages := c.Pages()
	defer func() { _ = pages.Close() }()
	at := 0
	for at < n {
		p, err := pages.ReadPage()
		if err != nil {
			return err
		}
		if p.NumValues() > int64(n-at) {
			parquet.Release(p)
			return fmt.Errorf("more than %d values", n)
		}
		err = take(at, p)
		at += int(p.NumValues())
		parquet.Release(p)
		if err != nil {
			return err
		}
	}
	return nil
}

func numbers(set func(i int, v int64)) func(at int, p parquet.Page) error {
	return func(at int, p parquet.Page) error {
		data := p.Data()
		for i, v := range data.Int64() {
			set(at+i, v)
		}
		return nil
	}
}

// bytes copies the values of a page; those that are absent stay nil.
func (s *sheet) bytes(set func(i int, v []byte)) func(at int, p parquet.Page) error {
	return func(at int, p parquet.Page) error {
		values := p.Data()
		data, offsets := values.ByteArray()
		own := s.arena.keep(data)
		if own == nil { // of a page without bytes
			own = []byte{}
		}
		next := 0
		for i, level := range p.DefinitionLevels() {
			if level == 0 {
				continue
			}
			if next+1 >= len(offsets) || int(offsets[next+1]) > len(own) {
				return io.ErrUnexpectedEOF
			}
			a, b := offsets[next], offsets[next+1]
			set(at+i, own[a:b:b])
			next++
		}
		return nil
	}
}

// counts reads the column of header counts, which is a dictionary.
func (s *sheet) counts(at int, p parquet.Page) error {
	d := p.Dictionary()
	if d == nil {
		return fmt.Errorf("it is no dictionary")
	}
	page := d.Page().Data()
	counts, values := page.Int32(), p.Data()
	for i, k := range values.Int32() {
		s.records[s.rank[at+i]].Headers.Count = int(counts[k])
	}
	return nil
}

// run reads a run of a file and holds it against what the manifest says of it.
func (s *sheet) run(file io.ReaderAt, m *Manifest, n int) (records []click.Record, err error) {
	defer func() {
		if defect := recover(); defect != nil { // pages have checksums, but what describes them has none
			err = fmt.Errorf("%w: run %d: %v", ErrDamaged, n, defect)
		}
	}()
	f, err := openTable(file, m.Bytes)
	if err == nil {
		records, err = s.read(f, n)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: run %d: %w", ErrDamaged, n, err)
	}
	if fault := faultOf(records, &m.Runs[n]); fault != "" {
		return nil, fmt.Errorf("%w: run %d: %s", ErrDamaged, n, fault)
	}
	return records, nil
}

// faultOf says why records are not those of a run, or nothing.
func faultOf(records []click.Record, r *Run) string {
	if int64(len(records)) != r.Records {
		return fmt.Sprintf("it has %d records, the manifest says %d", len(records), r.Records)
	}
	next := r.From
	for i := range records {
		rec := &records[i]
		switch {
		case rec.Offset < next || rec.Offset >= r.To:
			return fmt.Sprintf("offset %d is there twice, or does not belong there", rec.Offset)
		case rec.Append < r.Received.First || rec.Append > r.Received.Last:
			return fmt.Sprintf("offset %d was received at another time than the manifest says", rec.Offset)
		}
		next = rec.Offset + 1
	}
	return ""
}
