package progress

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/schollz/progressbar/v3"
)

// plainInterval is the least time between two plain lines, barInterval between
// two pictures of the bar.
const (
	plainInterval = 5 * time.Second
	barInterval   = 100 * time.Millisecond
)

// Bar is one run's progress. It is used by one goroutine.
type Bar struct {
	w     io.Writer
	unit  string
	total int64
	bar   *progressbar.ProgressBar // nil where there is no terminal
	start time.Time
	shown time.Time
	done  int64
	count int64
}

// Start begins to show progress on w; a nil w shows nothing. Total is the value
// of done that means all, 0 or less when that is not known; unit is what is
// counted, in the plural.
func Start(w io.Writer, isTerminal bool, total int64, unit string) *Bar {
	if w == nil {
		w, isTerminal = io.Discard, false
	}
	now := time.Now()
	b := &Bar{w: w, unit: unit, total: max(total, 0), start: now, shown: now}
	if isTerminal {
		all := b.total
		if all == 0 {
			all = -1 // the library's word for unknown
		}
		b.bar = progressbar.NewOptions64(all,
			progressbar.OptionSetWriter(w), progressbar.OptionSetWidth(30), progressbar.OptionThrottle(0),
			progressbar.OptionSetPredictTime(true), progressbar.OptionUseANSICodes(true), progressbar.OptionClearOnFinish(),
			progressbar.OptionShowDescriptionAtLineEnd(),
			progressbar.OptionSetSpinnerChangeInterval(0)) // 0: no goroutine that turns the spinner
		b.bar.StartWithoutRender()
	}
	return b
}

// Set says how far the run is: done of the total, and how many units that is.
// Both only grow.
func (b *Bar) Set(done, count int64) {
	b.done, b.count = done, count
	now := time.Now()
	interval := plainInterval
	if b.bar != nil {
		interval = barInterval
	}
	if now.Sub(b.shown) < interval {
		return
	}
	b.shown = now
	if b.bar != nil {
		// The library ends the bar at its total, which is for Finish to do.
		if limit := b.total - 1; b.total > 0 && done > limit {
			done = limit
		}
		_ = b.bar.Set64(done) // a terminal that cannot be written to is no reason to stop
		b.bar.Describe(b.rate(now))
		return
	}
	line := b.rate(now)
	if b.total > 0 && done > 0 {
		left := time.Duration(float64(now.Sub(b.start)) * float64(max(b.total-done, 0)) / float64(done))
		line += fmt.Sprintf(", %d%%, %v left", min(100*done/b.total, 100), left.Round(time.Second))
	}
	fmt.Fprintln(b.w, line)
}

// rate is how many units there were, and how many a second.
func (b *Bar) rate(now time.Time) string {
	text := Group(b.count) + " " + b.unit
	if elapsed := now.Sub(b.start); elapsed > 0 {
		text += fmt.Sprintf(", %s/s", Group(int64(float64(b.count)/elapsed.Seconds())))
	}
	return text
}

// Println writes a line without disturbing the bar. Control characters are replaced.
func (b *Bar) Println(text string) {
	if b.bar != nil {
		_ = b.bar.Clear()
	}
	fmt.Fprintln(b.w, Clean(text))
}

// Finish takes the bar away and writes one last line with the totals.
func (b *Bar) Finish() {
	if b.bar != nil {
		_ = b.bar.Clear()
		_ = b.bar.Exit()
	}
	now := time.Now()
	fmt.Fprintf(b.w, "%s in %v\n", b.rate(now), now.Sub(b.start).Round(10*time.Millisecond))
}

// Clean makes text safe for a terminal: what is not printable, and what is not
// UTF-8, becomes U+FFFD.
func Clean(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, text)
}

// Group writes a number with a comma between each three digits.
func Group(n int64) string {
	s := strconv.FormatInt(n, 10)
	first := 0
	if n < 0 {
		first = 1
	}
	for i := len(s) - 3; i > first; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
