package load

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/clickagg/clickagg/internal/click"
)

// source yields the clicks of an input as JSON, each with the line it begins
// on. A *fault is one bad line; any other error ends the input, io.EOF well.
type source interface {
	next() (value []byte, line int64, err error)
}

// jsonLines is an input with one JSON value a line.
type jsonLines struct{ lines *lines }

func (j jsonLines) next() ([]byte, int64, error) {
	for {
		line, err := j.lines.next()
		if err != nil || len(bytes.TrimSpace(line)) > 0 {
			return line, j.lines.number, err
		}
	}
}

// table is an input in CSV (RFC 4180) with a header. Each record becomes one
// JSON object whose members are the columns.
type table struct {
	lines *lines
	keys  [][]byte // `"name":` of each column
	time  int      // the column with the event time, or -1
	cells []byte   // of the record at hand, one after the other
	ends  []int    // where each cell ends
	json  []byte
}

// newTable reads the header. Names maps a member's name to its column's; a
// column that is not named there keeps its own.
func newTable(l *lines, names map[string]string, timeField string) (*table, error) {
	t := &table{lines: l, time: -1}
	if _, err := t.record(); err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	member := make(map[string]string, len(names))
	for _, field := range slices.Sorted(maps.Keys(names)) {
		if other, ok := member[names[field]]; ok {
			return nil, fmt.Errorf("column %q is mapped to both %s and %s", names[field], other, field)
		}
		member[names[field]] = field
	}
	var columns []string
	taken := map[string]bool{}
	for i := range t.ends {
		column := string(t.cell(i))
		columns = append(columns, column)
		name := column
		if field, ok := member[column]; ok {
			name = field
			delete(member, column)
		}
		if name == "" {
			name = fmt.Sprintf("column%d", i+1)
		}
		if taken[name] {
			return nil, fmt.Errorf("header: two columns would be %q; rename one", name)
		}
		taken[name] = true
		if name == timeField {
			t.time = i
		}
		t.keys = append(t.keys, append(click.AppendJSONString(nil, name), ':'))
	}
	for _, column := range slices.Sorted(maps.Keys(member)) {
		return nil, fmt.Errorf("header: there is no column %q to map to %s; the columns are %s",
			column, member[column], strings.Join(columns, ", "))
	}
	return t, nil
}

func (t *table) next() ([]byte, int64, error) {
	line, err := t.record()
	if err != nil {
		return nil, line, err
	}
	if len(t.ends) != len(t.keys) {
		return nil, line, &fault{line, fmt.Sprintf("%d columns where the header has %d", len(t.ends), len(t.keys))}
	}
	t.json = append(t.json[:0], '{')
	for i, key := range t.keys {
		if i > 0 {
			t.json = append(t.json, ',')
		}
		t.json = append(t.json, key...)
		if i == t.time {
			t.json = appendTime(t.json, t.cell(i))
		} else {
			t.json = click.AppendJSONString(t.json, t.cell(i))
		}
	}
	t.json = append(t.json, '}')
	return t.json, line, nil
}

func (t *table) cell(i int) []byte {
	from := 0
	if i > 0 {
		from = t.ends[i-1]
	}
	return t.cells[from:t.ends[i]]
}

// record reads the cells of the next record that is not blank, and says on
// which line it begins.
func (t *table) record() (line int64, err error) {
	t.cells, t.ends = t.cells[:0], t.ends[:0]
	open := false
	for {
		text, err := t.lines.next()
		if !open {
			line = t.lines.number
		}
		switch {
		case open && (err != nil || len(t.cells)+len(text) > lineMax):
			// If it was the end of the input, the next call says so.
			return line, &fault{line, fmt.Sprintf("a quote that opens here is not closed; %d lines are skipped", t.lines.number-line+1)}
		case err != nil:
			return line, err
		case !open && len(bytes.TrimSpace(text)) == 0:
			continue
		}
		if open, err = t.split(text, open); err != nil {
			return line, &fault{line, err.Error()}
		}
		if open {
			continue
		}
		if !utf8.Valid(t.cells) {
			return line, &fault{line, "invalid UTF-8"}
		}
		return line, nil
	}
}

// split appends the cells of a line; open says that it begins, or ends, within
// a quoted cell.
func (t *table) split(line []byte, open bool) (bool, error) {
	for i := 0; ; i++ {
		switch {
		case open || i < len(line) && line[i] == '"':
			if !open {
				i++
			}
			var ok bool
			if i, ok = t.quoted(line, i); !ok {
				return true, nil
			}
			open = false
		default:
			cell := line[i:]
			if end := bytes.IndexByte(cell, ','); end >= 0 {
				cell = cell[:end]
			}
			if bytes.IndexByte(cell, '"') >= 0 {
				return false, fmt.Errorf("column %d: a quote within a cell that is not quoted", len(t.ends)+1)
			}
			t.cells = append(t.cells, cell...)
			i += len(cell)
		}
		t.ends = append(t.ends, len(t.cells))
		if i == len(line) {
			return false, nil
		}
		if line[i] != ',' {
			return false, fmt.Errorf("column %d: text after the closing quote", len(t.ends))
		}
	}
}

// quoted appends what stands from i up to the closing quote and returns the
// place after it, or false when the line ends before.
func (t *table) quoted(line []byte, i int) (int, bool) {
	for {
		end := bytes.IndexByte(line[i:], '"')
		if end < 0 {
			t.cells = append(append(t.cells, line[i:]...), '\n')
			return len(line), false
		}
		t.cells = append(t.cells, line[i:i+end]...)
		i += end + 1
		if i == len(line) || line[i] != '"' {
			return i, true
		}
		t.cells = append(t.cells, '"')
		i++
	}
}

// appendTime writes an event time: digits as a number, whose unit is the
// decoder's to know; else as RFC 3339 text, with a T where databases print a
// space, and Z for UTC.
func appendTime(b, text []byte) []byte {
	text = bytes.TrimSpace(text)
	digits := bytes.TrimPrefix(text, []byte{'-'})
	if len(digits) > 0 && len(digits) < 20 && (digits[0] != '0' || len(digits) == 1) && len(bytes.Trim(digits, "0123456789")) == 0 {
		return append(b, text...)
	}
	const date = len("2006-01-02")
	if len(text) > date && text[date] == ' ' {
		text = slices.Clone(text)
		text[date] = 'T'
		if day, ok := bytes.CutSuffix(text, []byte(" UTC")); ok {
			text = append(day, 'Z')
		}
	}
	return click.AppendJSONString(b, text)
}
