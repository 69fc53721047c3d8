package plot

import (
	"fmt"
	"html"
	"io"
	"math"
	"strconv"
	"strings"
)

// Figure is one picture.
type Figure struct {
	Title  string
	X      string   // what the axis shows, with its unit
	Points []string // its labels, from left to right
	Panels []Panel  // from top to bottom
}

// Panel is one measure over the points. Its axis begins at zero.
type Panel struct {
	Y     string // what is measured, with its unit
	Lines []Line // at most four
}

// Line is a measure of one thing. It has a value for every point of its figure.
type Line struct {
	Name   string
	Values []Value
}

// Value is the middle of some runs, and their range.
type Value struct{ Low, Middle, High float64 }

// Places, in pixels.
const (
	width       = 720
	left        = 76 // of the panels: room for the numbers
	right       = 24
	top         = 34 // room for the title
	panelHeight = 170
	panelGap    = 34 // room for what a panel measures, and its names
	bottom      = 46 // room for the labels and what they are
)

// style gives both schemes their colours. The lines' are legible on white and on black.
const style = `<style>
text{font:12px system-ui,sans-serif;fill:#24292f}.title{font-size:14px;font-weight:600}.grid{stroke:#d0d7de}.axis{stroke:#57606a}
.c0{stroke:#0969da;fill:#0969da}.c1{stroke:#bc4c00;fill:#bc4c00}.c2{stroke:#1a7f37;fill:#1a7f37}.c3{stroke:#8250df;fill:#8250df}
.page{fill:#fff}path{fill:none!important;stroke-width:2}.range{stroke-width:6;opacity:.3}text.c0,text.c1,text.c2,text.c3{stroke:none}
@media(prefers-color-scheme:dark){.page{fill:#0d1117}text{fill:#e6edf3}.grid{stroke:#30363d}.axis{stroke:#8b949e}
.c0{stroke:#58a6ff;fill:#58a6ff}.c1{stroke:#f0883e;fill:#f0883e}.c2{stroke:#3fb950;fill:#3fb950}.c3{stroke:#bc8cff;fill:#bc8cff}}
</style>
`

const lineMost = 4

// Write draws the figure. It refuses one without points or panels, one with too many
// lines, and a line that has not one value a point or one that is no number.
func (f *Figure) Write(w io.Writer) error {
	if err := f.check(); err != nil {
		return fmt.Errorf("plot %q: %w", f.Title, err)
	}
	height := top + len(f.Panels)*(panelGap+panelHeight) + bottom
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%[1]d" role="img" aria-label="%[3]s">`+"\n", width, height, html.EscapeString(f.Title))
	b.WriteString(style)
	fmt.Fprintf(&b, `<rect class="page" width="%d" height="%d"/>`+"\n", width, height) // whatever the page's own colour is
	text(&b, left, 22, "start", "title", f.Title)
	for i := range f.Panels {
		f.panel(&b, &f.Panels[i], top+i*(panelGap+panelHeight)+panelGap)
	}
	end := height - bottom
	for i, label := range f.Points {
		text(&b, f.x(i), float64(end)+18, "middle", "", label)
	}
	text(&b, left+f.span()/2, float64(end)+38, "middle", "", f.X)
	b.WriteString("</svg>\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func (f *Figure) check() error {
	if len(f.Points) == 0 || len(f.Panels) == 0 {
		return fmt.Errorf("%d points in %d panels", len(f.Points), len(f.Panels))
	}
	for _, p := range f.Panels {
		if len(p.Lines) == 0 || len(p.Lines) > lineMost {
			return fmt.Errorf("%s: %d lines; there are 1 to %d", p.Y, len(p.Lines), lineMost)
		}
		for _, l := range p.Lines {
			if len(l.Values) != len(f.Points) {
				return fmt.Errorf("%s, %s: %d values for %d points", p.Y, l.Name, len(l.Values), len(f.Points))
			}
			for _, v := range l.Values {
				if !(v.Low >= 0 && v.Low <= v.Middle && v.Middle <= v.High && v.High < math.MaxFloat64) {
					return fmt.Errorf("%s, %s: %v is no range of numbers that are not negative", p.Y, l.Name, v)
				}
			}
		}
	}
	return nil
}

func (f *Figure) span() float64 { return width - left - right }

// x is where a point is.
func (f *Figure) x(i int) float64 {
	return left + f.span()*(float64(i)+0.5)/float64(len(f.Points))
}

// panel draws one panel whose area begins at an ordinate.
func (f *Figure) panel(b *strings.Builder, p *Panel, from int) {
	most := 0.0
	for _, l := range p.Lines {
		for _, v := range l.Values {
			most = max(most, v.High)
		}
	}
	step, steps := ticks(most)
	y := func(v float64) float64 { return float64(from) + panelHeight*(1-v/(step*float64(steps))) }
	text(b, left, float64(from)-10, "start", "", p.Y)
	for i := range steps + 1 {
		v := step * float64(i)
		class := "grid"
		if i == 0 {
			class = "axis"
		}
		fmt.Fprintf(b, `<line class="%s" x1="%d" x2="%d" y1="%s" y2="%[4]s"/>`+"\n", class, left, width-right, number(y(v)))
		text(b, left-8, y(v)+4, "end", "", short(v))
	}
	for i, l := range p.Lines {
		f.line(b, i, &l, y)
		if len(p.Lines) > 1 {
			text(b, float64(width-right-150*(len(p.Lines)-1-i)), float64(from)-10, "end", "c"+strconv.Itoa(i), "● "+l.Name)
		}
	}
}

// line draws the range and the middle of every point, and joins the middles.
func (f *Figure) line(b *strings.Builder, colour int, l *Line, y func(float64) float64) {
	var path strings.Builder
	for i, v := range l.Values {
		fmt.Fprintf(b, `<line class="range c%d" x1="%s" x2="%[2]s" y1="%s" y2="%s"/>`, colour, number(f.x(i)), number(y(v.Low)), number(y(v.High)))
		fmt.Fprintf(b, `<circle class="c%d" cx="%s" cy="%s" r="3"><title>%s: %s</title></circle>`+"\n",
			colour, number(f.x(i)), number(y(v.Middle)), html.EscapeString(l.Name+", "+f.Points[i]), short(v.Middle))
		if i > 0 {
			path.WriteByte('L')
		}
		path.WriteString(number(f.x(i)) + " " + number(y(v.Middle)))
	}
	fmt.Fprintf(b, `<path class="c%d" d="M%s"/>`+"\n", colour, path.String())
}

func text(b *strings.Builder, x, y float64, anchor, class, s string) {
	if class != "" {
		class = ` class="` + class + `"`
	}
	fmt.Fprintf(b, `<text%s x="%s" y="%s" text-anchor="%s">%s</text>`+"\n", class, number(x), number(y), anchor, html.EscapeString(s))
}

// ticks are steps of 1, 2 or 5 times a power of ten, three to seven of them, that
// reach a value or go beyond it.
func ticks(most float64) (step float64, steps int) {
	if most <= 0 {
		return 1, 1
	}
	power := math.Pow(10, math.Floor(math.Log10(most))-1)
	for _, step := range []float64{1, 2, 5, 10, 20, 50} {
		if n := math.Ceil(most/(step*power) - 1e-9); n <= 6 {
			return step * power, max(int(n), 1)
		}
	}
	return most, 1
}

// short writes a number as people say it: 1.2 M, 350 k, 0.25.
func short(v float64) string {
	unit := ""
	switch {
	case v >= 1e6:
		v, unit = v/1e6, " M"
	case v >= 1e3:
		v, unit = v/1e3, " k"
	}
	return strconv.FormatFloat(v, 'g', 3, 64) + unit
}

// number writes a place to a tenth of a pixel.
func number(v float64) string { return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64) }
