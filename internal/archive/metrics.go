package archive

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are an archiver's figures.
type Metrics struct {
	records, files, bytes, missing, failures prometheus.Counter
	success                                  prometheus.Gauge
}

// NewMetrics makes them and registers them, unless reg is nil.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	m := &Metrics{
		records:  counter("clickagg_archive_records_total", "Records archived and verified."),
		files:    counter("clickagg_archive_files_total", "Files archived and verified."),
		bytes:    counter("clickagg_archive_bytes_total", "Bytes of these files."),
		missing:  counter("clickagg_archive_missing_offsets_total", "Offsets that were gone from the raw store before they were archived."),
		failures: counter("clickagg_archive_failures_total", "Sources that could not be archived; they are tried again."),
		success: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "clickagg_archive_success_timestamp_seconds", Help: "When all that was old enough was archived last, in Unix seconds.",
		}),
	}
	if reg != nil {
		reg.MustRegister(m.records, m.files, m.bytes, m.missing, m.failures, m.success)
	}
	return m
}

func (m *Metrics) add(done *Manifest) {
	m.records.Add(float64(done.Records))
	m.files.Inc()
	m.bytes.Add(float64(done.Bytes))
	m.missing.Add(float64(done.Hole))
}

func (m *Metrics) pass(failed int, now time.Time) {
	m.failures.Add(float64(failed))
	if failed == 0 {
		m.success.Set(float64(now.Unix()))
	}
}
