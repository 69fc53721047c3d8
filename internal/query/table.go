package query

import (
	"iter"
	"slices"
	"strings"

	"github.com/rivo/uniseg"

	"github.com/clickagg/clickagg/internal/progress"
)

// column is one column of a table.
type column struct {
	title   string
	right   bool // numbers stand right
	drops   bool // is left out when the table is too wide, the last such column first
	shrinks bool // gives way when that is not enough; at most one column does
	middle  bool // is cut in the middle of its texts, which differ at their ends
}

// table is text in columns, two spaces apart. Cells come from anywhere: what a
// terminal would obey is replaced.
type table struct {
	columns []column
	rows    [][]string
}

// shrinkMin is what a column that gives way keeps.
const shrinkMin = 8

func (t *table) add(cells ...string) {
	for i, c := range cells {
		cells[i] = progress.Clean(c)
	}
	t.rows = append(t.rows, cells)
}

// render draws the table no wider than width, as far as its columns allow; 0
// allows any width. A column that is empty throughout is left out.
func (t *table) render(width int) string {
	sizes := make([]int, len(t.columns))
	total := -2
	for i, c := range t.columns {
		for _, row := range t.rows {
			sizes[i] = max(sizes[i], uniseg.StringWidth(row[i]))
		}
		if sizes[i] > 0 {
			sizes[i] = max(sizes[i], len(c.title))
			total += sizes[i] + 2
		}
	}
	if width > 0 && total > width {
		t.squeeze(sizes, total-width)
	}
	titles := make([]string, len(t.columns))
	for i, c := range t.columns {
		titles[i] = c.title
	}
	var b strings.Builder
	t.line(&b, sizes, titles)
	for _, row := range t.rows {
		t.line(&b, sizes, row)
	}
	return b.String()
}

// squeeze takes what is over from the columns that can give.
func (t *table) squeeze(sizes []int, over int) {
	for i, c := range slices.Backward(t.columns) {
		if c.drops && over > 0 && sizes[i] > 0 {
			over -= sizes[i] + 2
			sizes[i] = 0
		}
	}
	for i, c := range t.columns {
		if c.shrinks && over > 0 && sizes[i] > shrinkMin {
			sizes[i] = max(sizes[i]-over, shrinkMin)
		}
	}
}

func (t *table) line(b *strings.Builder, sizes []int, cells []string) {
	var line strings.Builder
	for i, cell := range cells {
		if sizes[i] == 0 {
			continue
		}
		cell = shorten(cell, sizes[i], t.columns[i].middle)
		gap := strings.Repeat(" ", sizes[i]-uniseg.StringWidth(cell))
		if t.columns[i].right {
			line.WriteString(gap + cell + "  ")
		} else {
			line.WriteString(cell + gap + "  ")
		}
	}
	b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
}

// shorten cuts text to a width in columns, at its end or in its middle, and shows that
// it did.
func shorten(s string, width int, middle bool) string {
	if uniseg.StringWidth(s) <= width {
		return s
	}
	var letters []string // as people see them
	for state := -1; s != ""; {
		var letter string
		letter, s, _, state = uniseg.FirstGraphemeClusterInString(s, state)
		letters = append(letters, letter)
	}
	behind := 0
	if middle {
		behind = (width - 1) / 2
	}
	head := letters[:fitting(slices.Values(letters), width-1-behind)]
	tail := letters[len(letters)-fitting(backward(letters), behind):]
	return strings.Join(head, "") + "…" + strings.Join(tail, "")
}

// fitting is how many of the letters fit into a width.
func fitting(letters iter.Seq[string], width int) (n int) {
	for l := range letters {
		if width -= uniseg.StringWidth(l); width < 0 {
			break
		}
		n++
	}
	return n
}

func backward(letters []string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, l := range slices.Backward(letters) {
			if !yield(l) {
				return
			}
		}
	}
}
