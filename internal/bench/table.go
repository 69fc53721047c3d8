package bench

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// Table compares contestants by the medians of their runs.
type Table struct {
	Measures []Measure // the columns
	rows     []row
}

// Measure is a column of a [Table].
type Measure struct {
	Name   string // with the unit
	Digits int    // after the decimal point
}

type row struct {
	name string
	runs [][]float64
}

// Add adds a run of a contestant, one value a measure; NaN is not measured. Contestants stand in the
// order in which they first appear; the first is what the others are compared with.
func (t *Table) Add(name string, values ...float64) {
	if len(values) != len(t.Measures) {
		panic(fmt.Sprintf("bench: %d values for %d measures", len(values), len(t.Measures)))
	}
	i := slices.IndexFunc(t.rows, func(r row) bool { return r.name == name })
	if i < 0 {
		i = len(t.rows)
		t.rows = append(t.rows, row{name: name})
	}
	t.rows[i].runs = append(t.rows[i].runs, values)
}

// Print writes the table: of each measure the median over the runs, and how many
// times the first contestant's it is.
func (t *Table) Print(w io.Writer) error {
	var text strings.Builder
	tw := tabwriter.NewWriter(&text, 0, 0, 2, ' ', tabwriter.AlignRight)
	head := "\truns\t"
	for _, m := range t.Measures {
		head += m.Name + "\t\t"
	}
	fmt.Fprintln(tw, head)
	width := 0
	for _, r := range t.rows {
		width = max(width, len([]rune(r.name)))
	}
	for i, r := range t.rows {
		line := fmt.Sprintf("%-*s\t%d\t", width, r.name, len(r.runs))
		for c, m := range t.Measures {
			median := r.median(c)
			line += Number(median, m.Digits) + "\t"
			if first := t.rows[0].median(c); i > 0 && first != 0 && !math.IsNaN(median/first) {
				line += fmt.Sprintf("×%.2f", median/first)
			}
			line += "\t"
		}
		fmt.Fprintln(tw, line)
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	for line := range strings.Lines(text.String()) {
		if _, err := fmt.Fprintln(w, strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}

func (r *row) median(measure int) float64 {
	var values []float64
	for _, run := range r.runs {
		values = append(values, run[measure])
	}
	return Median(values)
}

// Median is the middle value, or the mean of the two in the middle; 0 of nothing.
func Median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(values))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// Number writes a number with commas between the thousands, and NaN as a dash.
func Number(v float64, digits int) string {
	if math.IsNaN(v) {
		return "–"
	}
	text := strconv.FormatFloat(v, 'f', digits, 64)
	sign := ""
	if strings.HasPrefix(text, "-") {
		sign, text = "-", text[1:]
	}
	whole, rest := text, ""
	if dot := strings.IndexByte(text, '.'); dot >= 0 {
		whole, rest = text[:dot], text[dot:]
	}
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	return sign + whole + rest
}
