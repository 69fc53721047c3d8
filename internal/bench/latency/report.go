package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// report is what a run found. Times are in milliseconds.
type report struct {
	Setup   string  `json:"setup"`
	Rate    float64 `json:"rate"`         // clicks a second, asked for
	Ads     int     `json:"ads"`          // of the load
	Zipf    float64 `json:"zipf"`         // exponent of their popularity
	Window  string  `json:"window_size"`  // as configured for the run
	Delay   string  `json:"delay"`        // watermark.delay
	Reached float64 `json:"rate_reached"` // acknowledged a second, without the probes
	Behind  float64 `json:"behind_ms"`    // the longest from when a slot of the load was due until it was acknowledged

	Provisional quantiles `json:"provisional"`
	Final       quantiles `json:"final"`
	Windows     int       `json:"windows"` // that closed while it was measured
	Unseen      int       `json:"unseen"`  // probes that never showed; one is a failure

	Asked     float64 `json:"asked_every_ms"` // time between two questions for one probe: p99
	Processes []used  `json:"processes"`
	Total     int64   `json:"acknowledged"`
	Beside    *beside `json:"beside,omitempty"`
	Accounts  string  `json:"accounts"`
}

// used is what a process used while it was measured.
type used struct {
	Name   string  `json:"name"`
	Cores  float64 `json:"cores"` // CPU time by time
	PeakMB int64   `json:"peak_mb"`
}

type quantiles struct {
	N   int     `json:"n"`
	P50 float64 `json:"p50_ms"`
	P90 float64 `json:"p90_ms"`
	P99 float64 `json:"p99_ms"`
	Max float64 `json:"max_ms"`
}

// quantiles are the quantiles of a sample: a share q of it is not greater.
func (s sample) quantiles() (r quantiles) {
	if r.N = len(s); r.N == 0 {
		return r
	}
	slices.Sort(s)
	at := func(q float64) float64 { return ms(s[min(int(q*float64(r.N)), r.N-1)]) }
	r.P50, r.P90, r.P99, r.Max = at(.5), at(.9), at(.99), ms(s[r.N-1])
	return r
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// take takes the probes' figures.
func (r *report) take(p *prober) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, q := range p.open {
		if q.count {
			r.Unseen++
		}
	}
	provisional, final := &r.Provisional, &r.Final
	if r.Beside != nil {
		provisional, final = &r.Beside.Provisional, &r.Beside.Final
	}
	*provisional, *final, r.Asked = p.provisional.quantiles(), p.final.quantiles(), p.asks.quantiles().P99
	r.Windows = r.Final.N / perFinal
	slices.SortFunc(r.Processes, func(a, b used) int { return strings.Compare(a.Name, b.Name) })
	if len(p.faults) > 0 {
		return errors.Join(p.faults[:min(len(p.faults), 5)]...)
	}
	return nil
}

func (r *report) print(w io.Writer, output string) error {
	if output == "json" {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(r)
	}
	fmt.Fprintf(w, "%s; %s clicks/s asked for, %s reached, %s ads (Zipf %g), windows of %s, delay %s\n", r.Setup,
		num(int64(r.Rate)), num(int64(r.Reached)), num(int64(r.Ads)), r.Zipf, r.Window, r.Delay)
	fmt.Fprintf(w, "a slot of the load was acknowledged at most %.0f ms after it was due; each probe was asked for every %.0f ms (p99)\n\n", r.Behind, r.Asked)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "visible in the API, ms after\tprobes\tp50\tp90\tp99\tmax\t")
	row := func(name string, q quantiles) {
		fmt.Fprintf(t, "%s\t%d\t%.0f\t%.0f\t%.0f\t%.0f\t\n", name, q.N, q.P50, q.P90, q.P99, q.Max)
	}
	row("provisional: the click was acknowledged", r.Provisional)
	row(fmt.Sprintf("final: the watermark passed the end (%d windows)", r.Windows), r.Final)
	if b := r.Beside; b != nil {
		row("provisional, beside the work on the past", b.Provisional)
		row("final, beside it", b.Final)
	}
	fmt.Fprintln(t, "\t\t\t\t\t\t")
	fmt.Fprintln(t, "process\tcores\tpeak MB\t\t\t\t")
	for _, p := range r.Processes {
		fmt.Fprintf(t, "%s\t%.2f\t%d\t\t\t\t\n", p.Name, p.Cores, p.PeakMB)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if b := r.Beside; b != nil {
		fmt.Fprintf(w, "\nbeside it: %d replays of an hour, which changed %s counts, and %d reconciliations, over %s records; %s records archived %d times\n",
			b.Replays, num(b.Changed), b.Reconciled, num(b.Scanned), num(oldRecords), b.Archived)
	}
	fmt.Fprintf(w, "\n%s\n", r.Accounts)
	if r.Unseen > 0 {
		return fmt.Errorf("%d probes never showed", r.Unseen)
	}
	return nil
}
