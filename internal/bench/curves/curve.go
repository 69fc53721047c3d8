package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/clickagg/clickagg/internal/bench"
	"github.com/clickagg/clickagg/internal/bench/plot"
)

// curve is one measurement over some points.
type curve struct {
	name   string // of its files
	title  string
	x      string
	points []string
	panels []panel
	// measure makes one run at a point, and returns a value for each line of each
	// panel, in their order.
	measure func(ctx context.Context, point int) ([]float64, error)
}

// panel is what is measured, and of what.
type panel struct {
	y     string
	lines []string
}

// lines are the names of all lines, each with what it measures.
func (c *curve) lines() (names []string) {
	for _, p := range c.panels {
		for _, l := range p.lines {
			names = append(names, p.y+": "+l)
		}
	}
	return names
}

// triesMost is how often a run is tried that ends with an error.
const triesMost = 3

// run measures all points some times over, in turns, so that what else the machine
// does is spread over all of them; and writes the files.
func (c *curve) run(ctx context.Context, rounds int, dir string, log io.Writer) error {
	runs := make([][][]float64, len(c.points)) // by point, round, line
	for round := range rounds {
		for point, label := range c.points {
			values, err := c.once(ctx, point, log)
			if err != nil {
				return fmt.Errorf("%s, %s: %w", c.name, label, err)
			}
			fmt.Fprintf(log, "%s, %s, round %d of %d:", c.name, label, round+1, rounds)
			for i, line := range c.lines() {
				fmt.Fprintf(log, " %s %.4g;", line, values[i])
			}
			fmt.Fprintln(log)
			runs[point] = append(runs[point], values)
		}
	}
	if err := c.write(dir, ".csv", func(w io.Writer) error { return c.table(w, runs) }); err != nil {
		return err
	}
	return c.write(dir, ".svg", c.figure(runs).Write)
}

// once makes one run, again if it failed.
func (c *curve) once(ctx context.Context, point int, log io.Writer) ([]float64, error) {
	for try := 1; ; try++ {
		values, err := c.measure(ctx, point)
		if err == nil && len(values) != len(c.lines()) {
			err = fmt.Errorf("%d values for %d lines", len(values), len(c.lines()))
		}
		if err == nil || try == triesMost || ctx.Err() != nil {
			return values, err
		}
		fmt.Fprintf(log, "%s, %s: tried again: %v\n", c.name, c.points[point], err)
	}
}

func (c *curve) write(dir, ending string, f func(io.Writer) error) error {
	file, err := os.Create(filepath.Join(dir, c.name+ending))
	if err != nil {
		return err
	}
	return errors.Join(f(file), file.Close())
}

// table writes every run.
func (c *curve) table(w io.Writer, runs [][][]float64) error {
	out := csv.NewWriter(w)
	_ = out.Write(append([]string{c.x, "round"}, c.lines()...)) // Error tells
	for point, rounds := range runs {
		for round, values := range rounds {
			row := []string{c.points[point], strconv.Itoa(round + 1)}
			for _, v := range values {
				row = append(row, strconv.FormatFloat(v, 'g', 5, 64))
			}
			_ = out.Write(row)
		}
	}
	out.Flush()
	return out.Error()
}

// figure draws the medians with the range of the runs.
func (c *curve) figure(runs [][][]float64) *plot.Figure {
	f := &plot.Figure{Title: c.title, X: c.x, Points: c.points}
	at := 0
	for _, p := range c.panels {
		drawn := plot.Panel{Y: p.y}
		for _, name := range p.lines {
			line := plot.Line{Name: name}
			for _, rounds := range runs {
				var values []float64
				for _, run := range rounds {
					values = append(values, run[at])
				}
				line.Values = append(line.Values, plot.Value{Low: slices.Min(values), Middle: bench.Median(values), High: slices.Max(values)})
			}
			drawn.Lines = append(drawn.Lines, line)
			at++
		}
		f.Panels = append(f.Panels, drawn)
	}
	return f
}
