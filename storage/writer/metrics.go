package writer

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/clickagg/clickagg/internal/board"
)

// View is what one partition last said of itself.
type View struct {
	Topic     string
	Partition int32
	Next      int64 // everything before this offset is stored
	End       int64 // end of the log, as last seen
	Rows      int64 // rows stored since the start
	Retries   int64 // times the store did not take a batch
	Fault     error // what the store last said while it does not take a batch; nil otherwise
}

// Metrics are a writer's figures, made from the partitions' views when asked for.
type Metrics struct {
	board   board.Board[View]
	rows    *prometheus.Desc
	retries *prometheus.Desc
	lag     *prometheus.Desc
}

// NewMetrics makes the figures and registers them, unless reg is nil.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("clickagg_writer_"+name, help, []string{"topic", "partition"}, nil)
	}
	m := &Metrics{
		rows:    desc("rows_total", "Rows stored."),
		retries: desc("retries_total", "Batches the store did not take at once."),
		lag:     desc("lag_records", "Records not yet stored."),
	}
	if reg != nil {
		reg.MustRegister(m)
	}
	return m
}

// Partitions lists what the partitions last said.
func (m *Metrics) Partitions() []*View { return m.board.Values() }

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.rows, m.retries, m.lag} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	for _, v := range m.Partitions() {
		send := func(d *prometheus.Desc, t prometheus.ValueType, n int64) {
			ch <- prometheus.MustNewConstMetric(d, t, float64(n), v.Topic, strconv.Itoa(int(v.Partition)))
		}
		send(m.rows, prometheus.CounterValue, v.Rows)
		send(m.retries, prometheus.CounterValue, v.Retries)
		send(m.lag, prometheus.GaugeValue, v.End-v.Next)
	}
}
