package reconcile

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/clickagg/clickagg/internal/reconcile/cause"
)

// Metrics are the figures of the runs by schedule. Those of the last run stand until the next.
type Metrics struct {
	runs        *prometheus.CounterVec
	differences *prometheus.GaugeVec
	clicks      *prometheus.GaugeVec
	last        prometheus.Gauge
	exact       prometheus.Gauge
}

// How a run can end, as the label outcome says it.
const (
	outcomeClean  = "clean"
	outcomeWrong  = "wrong"
	outcomeUnsure = "unsure" // nothing wrong was found, and not everything is known
	outcomeEmpty  = "empty"  // no window of the range was closed for good
	outcomeFailed = "failed"
)

// NewMetrics makes the figures and registers them, unless reg is nil.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		runs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "clickagg_reconcile_runs_total", Help: "Comparisons with the clicks themselves, by outcome.",
		}, []string{"outcome"}),
		differences: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "clickagg_reconcile_differences", Help: "Differences that the last run found, by cause.",
		}, []string{"cause"}),
		clicks: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "clickagg_reconcile_clicks", Help: "Clicks in the differences that the last run found, by cause.",
		}, []string{"cause"}),
		last: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "clickagg_reconcile_last_run_timestamp_seconds", Help: "When the last run that did not fail ended.",
		}),
		exact: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "clickagg_reconcile_exact_until_timestamp_seconds", Help: "Event time until which the last run that knew everything found nothing wrong.",
		}),
	}
	for _, o := range []string{outcomeClean, outcomeWrong, outcomeUnsure, outcomeEmpty, outcomeFailed} {
		m.runs.WithLabelValues(o) // from 0 on, so that the first is an increase
	}
	if reg != nil {
		reg.MustRegister(m.runs, m.differences, m.clicks, m.last, m.exact)
	}
	return m
}

// ran notes a run that did not fail. What it found takes the place of what the last one did, or more is beside it. One that found
// nothing to compare says nothing of that.
func (m *Metrics) ran(now time.Time, r *Report, more bool) {
	m.runs.WithLabelValues(r.outcome()).Inc()
	m.last.Set(float64(now.UnixMilli()) / 1000)
	if r.outcome() == outcomeEmpty {
		return
	}
	put := prometheus.Gauge.Set
	if more {
		put = prometheus.Gauge.Add
	}
	for _, c := range cause.All() {
		size := r.Causes[c]
		put(m.differences.WithLabelValues(c.String()), float64(size.Differences))
		put(m.clicks.WithLabelValues(c.String()), float64(size.Clicks))
	}
	if r.Exact() {
		m.exact.Set(float64(r.ExactUntil) / 1000)
	}
}

// forget takes back what the last run found: another process's next one tells.
func (m *Metrics) forget() {
	m.differences.Reset()
	m.clicks.Reset()
}

// outcome is a report in a word.
func (r *Report) outcome() string {
	switch {
	case r.From == r.To:
		return outcomeEmpty
	case r.Unexplained > 0:
		return outcomeWrong
	case !r.Exact():
		return outcomeUnsure
	}
	return outcomeClean
}
