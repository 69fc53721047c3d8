package letters

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"

	"github.com/clickagg/clickagg/docs"
	"github.com/clickagg/clickagg/internal/progress"
)

// The forms a list can have.
const (
	Table = "table" // the summary, and the letters without their bytes
	JSON  = "json"  // one document
	Lines = "jsonl" // a letter a line, as a correction is read
	CSV   = "csv"   // a letter a row
)

// Print lists the letters that are meant. A limit of 0 means all of them.
func (b *Box) Print(ctx context.Context, f Filter, form string, limit int, w io.Writer) error {
	switch form {
	case Lines, CSV:
		return b.stream(ctx, f, form, limit, w)
	}
	list, err := b.List(ctx, f, limit)
	if err != nil {
		return err
	}
	if form == JSON {
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return e.Encode(list)
	}
	return list.table(w)
}

// errLimit ends a list at its limit.
var errLimit = errors.New("limit")

// stream writes letters as they are read.
func (b *Box) stream(ctx context.Context, f Filter, form string, limit int, w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	c := csv.NewWriter(w)
	if form == CSV {
		if err := c.Write([]string{"letter", "reason", "detail", "received", "late_by_ms", "records", "settled", "note", "value"}); err != nil {
			return err
		}
	}
	n := 0
	err := b.Each(ctx, f, func(l *Letter) error {
		if n++; limit > 0 && n > limit {
			return errLimit
		}
		line := l.line()
		if form == Lines {
			return e.Encode(&line)
		}
		late := ""
		if line.LateMS != nil {
			late = strconv.FormatInt(*line.LateMS, 10)
		}
		return c.Write([]string{
			line.Letter, line.Reason, line.Detail, line.Received.Format(time.RFC3339Nano), late,
			strconv.FormatInt(line.Records, 10), line.Settled, line.Note, string(l.Value),
		})
	})
	c.Flush()
	if errors.Is(err, errLimit) {
		err = nil
	}
	return errors.Join(err, c.Error())
}

const seconds = "2006-01-02T15:04:05Z"

func (l *Listing) table(w io.Writer) error {
	if len(l.Groups) == 0 {
		_, err := fmt.Fprintln(w, "no letters")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "SOURCE\tREASON\tRECORDS\tFIRST RECEIVED\tLAST RECEIVED")
	for _, g := range l.Groups {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", progress.Clean(g.Source), progress.Clean(g.Reason), progress.Group(g.Records), g.First.Format(seconds), g.Last.Format(seconds))
	}
	if len(l.Late) > 0 {
		fmt.Fprintln(t, "\nSOURCE\tLATE BY LESS THAN\tCLICKS")
		for _, d := range l.Late {
			fmt.Fprintf(t, "%s\t%s\t%s\n", progress.Clean(d.Source), d.Below, progress.Group(d.Clicks))
		}
	}
	fmt.Fprintln(t, "\nLETTER\tREASON\tDETAIL")
	for i := range l.Letters {
		m := &l.Letters[i]
		fmt.Fprintf(t, "%s\t%s\t%s\n", progress.Clean(m.Letter), progress.Clean(m.Reason), progress.Clean(m.about()))
	}
	if l.LeftOut > 0 {
		fmt.Fprintf(t, "… and %s more: --limit\n", progress.Group(l.LeftOut))
	}
	return t.Flush()
}

// about is what a row of the table says of a letter.
func (m *Line) about() string {
	text := m.Detail
	if m.LateMS != nil {
		text = "by " + short(time.Duration(*m.LateMS)*time.Millisecond)
	}
	if m.Redriven != "" {
		text += " (corrected from " + m.Redriven + ")"
	}
	if m.Settled != "" {
		text += " [" + m.Settled + " " + m.Note + "]"
	}
	return text
}

// short writes a duration without what is zero at its end: 5m, not 5m0s.
func short(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// place is where in the value a detail says that the fault is.
var placeOf = regexp.MustCompile(`\bbyte (\d+)`)

// Print writes all that is known of a letter. Bytes that are no text are written in
// hex, and asHex asks for that anyway.
func (l *Letter) Print(w io.Writer, asHex bool) error {
	var b bytes.Buffer
	say := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-10s%s\n", name, progress.Clean(fmt.Sprintf(format, args...)))
	}
	say("letter", "%s", l)
	say("reason", "%s", strings.TrimSuffix(l.Reason+": "+l.Detail, ": "))
	say("received", "%s by the broker", clock(l.Append).Format(time.RFC3339Nano))
	if l.LateBy >= 0 {
		say("late", "its window had been closed for good for %v", time.Duration(l.LateBy)*time.Millisecond)
	}
	if l.Redriven != "" {
		say("redriven", "it is the correction of %s", l.Redriven)
	}
	if l.Settled.How != "" {
		say("settled", "%s at %s: %s", l.Settled.How, clock(l.Settled.At).Format(seconds), l.Settled.Note)
	}
	if len(l.Key) > 0 {
		say("key", "%s", visible(l.Key))
	}
	for _, h := range l.Headers {
		say("header", "%s = %s", h.Key, visible(h.Value))
	}
	switch {
	case l.Away && len(l.Value) == 0:
		say("value", "its bytes are not in the letter, and not in the input any more")
	case l.Value == nil:
		say("value", "none")
	case asHex || !utf8.Valid(l.Value):
		fmt.Fprintf(&b, "value, %d bytes\n%s", len(l.Value), hex.Dump(l.Value))
	default:
		l.text(&b)
	}
	if l.Away && len(l.Value) > 0 {
		say("", "and more, which was cut off")
	}
	if hint, ok := docs.Section(l.Reason); ok {
		fmt.Fprintf(&b, "\n%s\n", hint)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// text writes the value and points at the fault, when that is known and the value is
// short enough for a line.
func (l *Letter) text(b *bytes.Buffer) {
	fmt.Fprintf(b, "value, %d bytes\n", len(l.Value))
	value := progress.Clean(string(l.Value))
	fmt.Fprintf(b, "  %s\n", value)
	at := placeOf.FindStringSubmatch(l.Detail)
	if at == nil {
		return
	}
	n, err := strconv.Atoi(at[1])
	if err != nil || n > len(l.Value) {
		return
	}
	fmt.Fprintf(b, "  %s^ byte %d\n", strings.Repeat(" ", utf8.RuneCount(l.Value[:n])), n)
}

// visible is bytes as text, in hex where they are none.
func visible(b []byte) string {
	if b != nil && utf8.Valid(b) {
		return string(b)
	}
	return "0x" + hex.EncodeToString(b)
}
