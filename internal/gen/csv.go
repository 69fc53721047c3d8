package gen

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"
)

// header is the first line of exported counts.
var header = []string{"ad_id", "minute", "count"}

// minuteLayout is how a minute is written, in UTC.
const minuteLayout = "2006-01-02T15:04:05Z"

// WriteCSV writes the counts as `clickagg export counts` does: a header, then
// one line a cell, ordered by minute, then by ad.
func (c *Counts) WriteCSV(w io.Writer) error {
	out := csv.NewWriter(bufio.NewWriterSize(w, 1<<16))
	line := append([]string(nil), header...)
	if err := out.Write(line); err != nil {
		return fmt.Errorf("write counts: %w", err)
	}
	minute, text := int64(0), ""
	for cell := range c.All() {
		if cell.Minute != minute || text == "" {
			minute, text = cell.Minute, time.UnixMilli(cell.Minute).UTC().Format(minuteLayout)
		}
		line[0], line[1], line[2] = cell.Ad, text, strconv.FormatInt(cell.Count, 10)
		if err := out.Write(line); err != nil {
			return fmt.Errorf("write counts: %w", err)
		}
	}
	out.Flush()
	if err := out.Error(); err != nil {
		return fmt.Errorf("write counts: %w", err)
	}
	return nil
}

// ReadCSV reads counts in the form [Counts.WriteCSV] writes, in any order of
// lines. A cell that stands there twice is an error.
func ReadCSV(r io.Reader) (*Counts, error) {
	in := csv.NewReader(r)
	in.ReuseRecord, in.FieldsPerRecord = true, len(header)
	line, err := in.Read()
	if err != nil {
		return nil, fmt.Errorf("read counts: header: %w", err)
	}
	for i, name := range header {
		if line[i] != name {
			return nil, fmt.Errorf("read counts: line 1: column %d is %q, not %q", i+1, line[i], name)
		}
	}
	c := new(Counts)
	for {
		line, err := in.Read()
		if errors.Is(err, io.EOF) {
			return c, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read counts: %w", err)
		}
		number, _ := in.FieldPos(0)
		minute, err := time.Parse(minuteLayout, line[1])
		if err != nil {
			return nil, fmt.Errorf("read counts: line %d: minute %q is not like 2019-11-24T00:00:00Z", number, line[1])
		}
		n, err := strconv.ParseInt(line[2], 10, 64)
		if err != nil || n <= 0 {
			return nil, fmt.Errorf("read counts: line %d: count %q is not a positive number", number, line[2])
		}
		if c.Count(line[0], minute.UnixMilli()) != 0 {
			return nil, fmt.Errorf("read counts: line %d: %s at %s stands there twice", number, line[0], line[1])
		}
		c.Add([]byte(line[0]), minute.UnixMilli(), n)
	}
}
