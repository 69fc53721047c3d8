package query

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/clickagg/clickagg/internal/api"
	"github.com/clickagg/clickagg/internal/api/client"
	"github.com/clickagg/clickagg/internal/progress"
)

// ExportOptions says what Export asks and where it goes.
type ExportOptions struct {
	From, To string // in the API's notation; empty reaches as far as what is stored
	Filter   string
	Output   string        // CSV (also when empty) or JSON, one object per line
	File     string        // where to write; empty or - for the writer that is passed in
	Progress *progress.Bar // shows how far it is; nil shows nothing
}

// Export writes every count of a range, by minute, then by ad. A file appears
// under its name only when it is whole; what another writer got before an error
// is not whole.
func Export(ctx context.Context, c *client.Client, o ExportOptions, w io.Writer) error {
	if err := checkOutput(o.Output, CSV, JSON); err != nil {
		return err
	}
	bar := o.Progress
	if bar == nil {
		bar = progress.Start(nil, false, 0, "rows")
	}
	e, err := c.Export(ctx, client.ExportRange{From: o.From, To: o.To, Format: o.Output, Filter: o.Filter})
	if err != nil {
		return blame(err)
	}
	defer e.Close()
	rows := &counted{r: e, bar: bar, header: o.Output != JSON}
	if o.File == "" || o.File == "-" {
		_, err = io.Copy(w, rows)
	} else {
		err = writeFile(o.File, rows)
	}
	if err != nil {
		return err
	}
	rows.show()
	bar.Finish()
	if e.Status != api.Final {
		until := &e.CompleteUntil
		if until.IsZero() {
			until = nil
		}
		bar.Println("provisional: " + completeness(until))
	}
	return nil
}

// counted counts the rows that are read through it.
type counted struct {
	r            io.Reader
	bar          *progress.Bar
	header       bool // the first line is no row
	bytes, lines int64
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.bytes += int64(n)
	c.lines += int64(bytes.Count(b[:n], []byte("\n"))) // ids have no line ends
	c.show()
	return n, err
}

func (c *counted) show() {
	rows := c.lines
	if c.header && rows > 0 {
		rows--
	}
	c.bar.Set(c.bytes, rows)
}

// writeFile writes beside the file and renames, so that a half one is never
// taken for a whole one. What is no regular file (a pipe, a device, a link) is
// written as it is.
func writeFile(name string, r io.Reader) error {
	at := name
	if info, err := os.Lstat(name); errors.Is(err, os.ErrNotExist) || err == nil && info.Mode().IsRegular() {
		at = name + ".part"
	}
	f, err := os.Create(at)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	if at == name {
		return errors.Join(err, f.Close())
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(at, name)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", name, err), os.Remove(at))
	}
	return nil
}
