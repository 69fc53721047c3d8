package correct

import "github.com/prometheus/client_golang/prometheus"

// Metrics are the figures of the corrections that a process works on.
type Metrics struct {
	begun, ended, rows, windows prometheus.Counter
}

// NewMetrics makes the figures and registers them, unless reg is nil.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	m := &Metrics{
		begun:   counter("clickagg_correct_begun_total", "Corrections that this process began or resumed."),
		ended:   counter("clickagg_correct_ended_total", "Corrections that it ended."),
		rows:    counter("clickagg_correct_rows_total", "Counts that they changed."),
		windows: counter("clickagg_correct_windows_total", "Windows that they changed, each filter's apart."),
	}
	if reg != nil {
		reg.MustRegister(m.begun, m.ended, m.rows, m.windows)
	}
	return m
}
