package carry

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
	Refused   int64 // records put aside since the start
	Fault     error // what the store last said while it does not take a batch; nil otherwise
}

// Metrics are a role's figures, made from the partitions' views when asked for.
type Metrics struct {
	board   board.Board[View]
	figures []figure
}

type figure struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(*View) int64
}

// Names are what a role's figures are called.
type Names struct{ Rows, Retries, Refused, Lag string }

// NewMetrics makes a role's figures and registers them, unless reg is nil.
func NewMetrics(reg prometheus.Registerer, names Names) *Metrics {
	m := &Metrics{}
	add := func(name, help string, kind prometheus.ValueType, value func(*View) int64) {
		m.figures = append(m.figures, figure{prometheus.NewDesc(name, help, []string{"topic", "partition"}, nil), kind, value})
	}
	add(names.Rows, "Rows stored.", prometheus.CounterValue, func(v *View) int64 { return v.Rows })
	add(names.Retries, "Batches the store did not take at once.", prometheus.CounterValue, func(v *View) int64 { return v.Retries })
	add(names.Refused, "Records put aside, as they can never be stored.", prometheus.CounterValue, func(v *View) int64 { return v.Refused })
	add(names.Lag, "Records not yet stored.", prometheus.GaugeValue, func(v *View) int64 { return v.End - v.Next })
	if reg != nil {
		reg.MustRegister(m)
	}
	return m
}

// Partitions lists what the partitions last said.
func (m *Metrics) Partitions() []*View { return m.board.Values() }

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, f := range m.figures {
		ch <- f.desc
	}
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	for _, v := range m.Partitions() {
		for _, f := range m.figures {
			ch <- prometheus.MustNewConstMetric(f.desc, f.kind, float64(f.value(v)), v.Topic, strconv.Itoa(int(v.Partition)))
		}
	}
}
