package api

import (
	"bufio"
	"encoding/csv"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/clickagg/clickagg/internal/answer"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/storage"
)

// Headers of an export. They speak of the whole range.
const (
	HeaderStatus        = "Clickagg-Status"         // Final or Provisional
	HeaderCompleteUntil = "Clickagg-Complete-Until" // RFC 3339; absent when not known
)

// exportBuffer is how much is collected before it is written. Until then a
// failing store can still be answered with a problem.
const exportBuffer = 64 << 10

// export streams every count of a range, by window, then by ad.
func (s *Server) export(w http.ResponseWriter, c *call) error {
	filter, err := s.filter(c)
	if err != nil {
		return err
	}
	format, err := c.params.format(c.Header.Values("Accept"))
	if err != nil {
		return err
	}
	from, to, err := s.exportSpan(c, filter.id)
	if err != nil {
		return err
	}
	frame, err := s.answers.Frame(c.Context(), from, to)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set(HeaderStatus, statusOf(frame))
	if t := Time(frame.CompleteUntil); t != nil {
		h.Set(HeaderCompleteUntil, t.Format(time.RFC3339Nano))
	}
	h.Set("Content-Type", format.mediaType)
	if c.Method == http.MethodHead {
		return nil
	}
	err = s.writeRows(w, c, format, filter.id, frame)
	if err != nil {
		for _, name := range []string{HeaderStatus, HeaderCompleteUntil} {
			h.Del(name)
		}
	}
	return err
}

func (s *Server) writeRows(w http.ResponseWriter, c *call, f *format, filter string, frame answer.Frame) error {
	out := &patient{w: w, control: http.NewResponseController(w)}
	buf := bufio.NewWriterSize(out, exportBuffer)
	rows := f.rows(buf)
	if err := s.answers.Scan(c.Context(), filter, frame, rows.add); err != nil {
		return err
	}
	if err := rows.end(); err != nil {
		return err
	}
	confirmed := frame
	if err := s.answers.Confirm(c.Context(), &confirmed); err != nil {
		return err
	}
	if confirmed.Held() != frame.Held() { // what was called final may be neither as it was nor as it will be
		return interrupted.about("", "a correction of the range began while it was exported; ask again")
	}
	if err := buf.Flush(); err != nil {
		return err
	}
	return out.extend() // for what net/http writes after the last row
}

// exportSpan reads from and to; what is not given reaches as far as what is stored.
func (s *Server) exportSpan(c *call, filter string) (from, to int64, err error) {
	now, window := s.now(), s.answers.Window().Milliseconds()
	first, end, ok, err := s.answers.Stored(c.Context(), filter)
	if err != nil {
		return 0, 0, err
	}
	if !ok { // the newest window stands for the nothing there is
		first, end = now.UnixMilli()-window, now.UnixMilli()
	}
	fromText, fromGiven := c.params.one("from")
	toText, toGiven := c.params.one("to")
	if fromGiven {
		if first, err = parseTime("from", fromText, now); err != nil {
			return 0, 0, err
		}
	}
	if toGiven {
		if end, err = parseTime("to", toText, now); err != nil {
			return 0, 0, err
		}
	}
	switch {
	case fromGiven && toGiven:
		return first, end, checkEnds("from", first, "to", end, now)
	case fromGiven:
		end = max(end, first+window)
	case toGiven:
		first = min(first, end-window)
	}
	return first, end, nil
}

// patient gives each write as long as the server gives a whole answer.
type patient struct {
	w       io.Writer
	control *http.ResponseController
}

func (p *patient) Write(b []byte) (int, error) {
	if err := p.extend(); err != nil {
		return 0, err
	}
	return p.w.Write(b)
}

func (p *patient) extend() error { return p.control.SetWriteDeadline(time.Now().Add(writeTimeout)) }

// format is one way to write counts.
type format struct {
	mediaType string
	rows      func(*bufio.Writer) rows
}

// rows writes counts one by one.
type rows interface {
	add(*storage.Cell) error
	end() error
}

var (
	asCSV  = &format{mediaCSV + "; charset=utf-8; header=present", newCSVRows}
	asJSON = &format{mediaJSONLines, func(w *bufio.Writer) rows { return &jsonRows{w: w} }}
)

// format chooses by the parameter, else by what the client says it accepts.
func (p params) format(accept []string) (*format, error) {
	if f, ok := p.one("format"); ok {
		switch f {
		case "csv":
			return asCSV, nil
		case "json":
			return asJSON, nil
		}
		return nil, badFormat.about("format", "format is %s; there are csv and json (one object per line)", quote(f))
	}
	for _, a := range strings.Split(strings.Join(accept, ","), ",") {
		media, _, _ := strings.Cut(a, ";")
		switch strings.ToLower(strings.TrimSpace(media)) {
		case "text/csv":
			return asCSV, nil
		case "application/x-ndjson", "application/jsonl", "application/json":
			return asJSON, nil
		}
	}
	return asCSV, nil
}

// minutes writes the starts of windows; rows of one window follow each other.
type minutes struct {
	start int64
	text  string
}

func (m *minutes) of(start int64) string {
	if m.text == "" || m.start != start {
		m.start, m.text = start, string(click.AppendStart(nil, start))
	}
	return m.text
}

type csvRows struct {
	w      *csv.Writer
	minute minutes
	record [3]string
}

func newCSVRows(w *bufio.Writer) rows {
	c := &csvRows{w: csv.NewWriter(w), record: [3]string{"ad_id", "minute", "count"}}
	_ = c.w.Write(c.record[:]) // into an empty buffer; the writer keeps its first error
	return c
}

func (c *csvRows) add(cell *storage.Cell) error {
	c.record = [3]string{string(cell.Ad), c.minute.of(cell.Start), strconv.FormatInt(cell.Count, 10)}
	return c.w.Write(c.record[:])
}

func (c *csvRows) end() error {
	c.w.Flush()
	return c.w.Error()
}

type jsonRows struct {
	w      *bufio.Writer
	minute minutes
	line   []byte
}

func (j *jsonRows) add(cell *storage.Cell) error {
	b := append(j.line[:0], `{"ad_id":`...)
	b = click.AppendJSONString(b, cell.Ad)
	b = append(b, `,"minute":"`...)
	b = append(b, j.minute.of(cell.Start)...)
	b = append(b, `","count":`...)
	b = strconv.AppendInt(b, cell.Count, 10)
	j.line = append(b, "}\n"...)
	_, err := j.w.Write(j.line)
	return err
}

func (j *jsonRows) end() error { return nil }
