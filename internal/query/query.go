package query

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/clickagg/clickagg/internal/api"
	"github.com/clickagg/clickagg/internal/api/client"
	"github.com/clickagg/clickagg/internal/progress"
)

// ErrUsage: what was asked for makes no sense, whatever the API would say.
var ErrUsage = errors.New("usage")

// The ways to print an answer. What is not said is a table.
const (
	Table = "table"
	CSV   = "csv"
	JSON  = "json"
)

// TopOptions says what Top asks.
type TopOptions struct {
	N      int // 0 leaves it to the API
	Range  client.Range
	Output string // Table, CSV or JSON
	Width  int    // columns a table may take; 0 for any number
	Again  bool   // leaves out the header of CSV, which stands above already
}

// Top prints which ads got the most clicks.
func Top(ctx context.Context, c *client.Client, o TopOptions, w io.Writer) error {
	if err := checkOutput(o.Output, Table, CSV, JSON); err != nil {
		return err
	}
	if o.N < 0 {
		return fmt.Errorf("%w: -n is %d; it must be positive", ErrUsage, o.N)
	}
	a, err := c.Top(ctx, o.N, o.Range)
	if err != nil {
		return blame(err)
	}
	switch o.Output {
	case JSON:
		return printJSON(w, a)
	case CSV:
		rows := [][]string{{"rank", "ad_id", "count"}}
		for i, ad := range a.Ads {
			rows = append(rows, []string{strconv.Itoa(i + 1), ad.AdID, strconv.FormatInt(ad.Count, 10)})
		}
		return printCSV(w, rows, o.Again)
	}
	t := table{columns: []column{{title: "RANK", right: true}, {title: "CLICKS", right: true}, {title: "AD", shrinks: true, middle: true}}}
	for i, ad := range a.Ads {
		t.add(strconv.Itoa(i+1), progress.Group(ad.Count), ad.AdID)
	}
	text := t.render(o.Width)
	if len(a.Ads) == 0 {
		text = "no clicks\n"
	}
	_, err = fmt.Fprintf(w, "%s%s\n", text, describe(&a.Frame))
	return err
}

// Width is how many columns a table on w may take: those of the terminal, or 0
// for any number when w is none.
func Width(w io.Writer) int {
	width, _ := size(w)
	return width
}

// Height is how many lines the terminal w has, 0 when it is none.
func Height(w io.Writer) int {
	_, height := size(w)
	return height
}

func size(w io.Writer) (width, height int) {
	f, ok := w.(*os.File)
	if !ok {
		return 0, 0
	}
	width, height, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0, 0
	}
	return width, height
}

// describe says what an answer covers and what it is worth.
func describe(f *api.Frame) string {
	s := fmt.Sprintf("%s to %s, %s", instant(&f.StartTime), instant(&f.ToTime), progress.Clean(f.Status))
	if f.Status != api.Final {
		s += ": " + completeness(f.CompleteUntil)
	}
	if f.Revision > 1 {
		s += fmt.Sprintf(", corrected (revision %d)", f.Revision)
	}
	if f.Held != nil {
		s += "\n" + held(f.Filter, *f.Held)
	}
	return s
}

// held says when a filter held that did not hold all the time with one meaning.
func held(filter string, stretches []api.Stretch) string {
	s := "the filter " + progress.Clean(filter) + " held"
	if len(stretches) == 0 {
		return s + " at no time of it"
	}
	for i, h := range stretches {
		if i > 0 {
			s += ", and with another meaning"
		}
		s += " from " + instant(&h.StartTime) + " to " + instant(&h.ToTime)
	}
	return s + " only"
}

func completeness(t *time.Time) string {
	if t == nil {
		return "no window is complete yet"
	}
	return "complete until " + instant(t)
}

// flags are the command line's names of the API's parameters.
var flags = map[string]string{
	"start_time": "--from", "to_time": "--to", "from": "--from", "to": "--to", "last": "--last", "n": "-n",
	"filter_identifier": "--filter", "format": "-o", "ad_id": "ad id", "where": "--where", "granularity": "--granularity", "source": "--source",
}

// blame names the flag, where the API blames a parameter.
func blame(err error) error { return blameOn(flags, err) }

// blameOn is [blame] with other names.
func blameOn(flags map[string]string, err error) error {
	r, ok := errors.AsType[*client.Refused](err)
	if !ok || r.Problem.Status != http.StatusBadRequest {
		return err
	}
	if flag := flags[r.Problem.Parameter]; flag != "" {
		return misuse{fmt.Errorf("%s: %w", flag, err)}
	}
	return misuse{err}
}

// misuse is an [ErrUsage] in the API's words.
type misuse struct{ error }

func (misuse) Is(target error) bool { return target == ErrUsage }
func (m misuse) Unwrap() error      { return m.error }

func checkOutput(output string, known ...string) error {
	if output == "" || slices.Contains(known, output) {
		return nil
	}
	return fmt.Errorf("%w: -o %q is not known; there are %s", ErrUsage, output, strings.Join(known, ", "))
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// printCSV prints rows, of which the first is the header.
func printCSV(w io.Writer, rows [][]string, again bool) error {
	if again {
		rows = rows[1:]
	}
	return csv.NewWriter(w).WriteAll(rows)
}

func instant(t *time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

func plural(n int64, noun string) string {
	if n == 1 {
		return noun
	}
	return noun + "s"
}
