package mapper

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/clickagg/clickagg/internal/board"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/stream"
)

// View is what one source last said of itself.
type View struct {
	Source    click.Source
	Next      int64 // next offset to map
	End       int64 // the log's end as last seen
	Watermark int64 // last sent to the shards; click.None when there is none
	Account   click.Account
	Waiting   bool             // it is ahead of a slower source and waits for it
	WaitsFor  stream.Partition // which one
	Opened    int64            // event time before which it knows where ads are spread
	Spread    int              // how many ads are
}

// Metrics are a mapper's figures. They are made from the sources' views when
// asked for, so that counting costs the hot path nothing.
type Metrics struct {
	board    board.Board[View]
	records  *prometheus.Desc
	rejected *prometheus.Desc
	lag      *prometheus.Desc
	mark     *prometheus.Desc
	opened   *prometheus.Desc
	spread   *prometheus.Desc
}

// NewMetrics makes the figures and registers them, unless reg is nil.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	source := func(more ...string) []string { return append([]string{"topic", "partition"}, more...) }
	m := &Metrics{
		records:  prometheus.NewDesc("clickagg_mapper_records_total", "Records read, by what became of them.", source("verdict"), nil),
		rejected: prometheus.NewDesc("clickagg_mapper_rejected_records_total", "Records refused, by reason.", source("reason"), nil),
		lag:      prometheus.NewDesc("clickagg_mapper_lag_records", "Offsets between the log's end and what was mapped.", source(), nil),
		mark:     prometheus.NewDesc("clickagg_mapper_watermark_seconds", "Watermark last sent to the shards, Unix time.", source(), nil),
		opened:   prometheus.NewDesc("clickagg_mapper_opened_seconds", "Event time before which it is settled to which shards clicks go, Unix time.", source(), nil),
		spread:   prometheus.NewDesc("clickagg_mapper_spread_ads", "Ads whose clicks go to several shards.", source(), nil),
	}
	if reg != nil {
		reg.MustRegister(m)
	}
	return m
}

// Sources lists what the sources last said.
func (m *Metrics) Sources() []*View { return m.board.Values() }

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.records, m.rejected, m.lag, m.mark, m.opened, m.spread} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	for _, v := range m.Sources() {
		topic, part := v.Source.Topic, strconv.Itoa(int(v.Source.Partition))
		total := func(d *prometheus.Desc, n int64, label string) {
			ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), topic, part, label)
		}
		total(m.records, v.Account.Routed, "routed")
		total(m.records, v.Account.Late, "late")
		total(m.records, v.Account.Marks, "mark")
		total(m.records, v.Account.RejectedTotal(), "rejected")
		for r, n := range v.Account.Rejected {
			if n > 0 {
				total(m.rejected, n, click.Reason(r).String())
			}
		}
		ch <- prometheus.MustNewConstMetric(m.lag, prometheus.GaugeValue, float64(v.End-v.Next), topic, part)
		ch <- prometheus.MustNewConstMetric(m.opened, prometheus.GaugeValue, float64(v.Opened)/1e3, topic, part)
		ch <- prometheus.MustNewConstMetric(m.spread, prometheus.GaugeValue, float64(v.Spread), topic, part)
		if v.Watermark != click.None {
			ch <- prometheus.MustNewConstMetric(m.mark, prometheus.GaugeValue, float64(v.Watermark)/1e3, topic, part)
		}
	}
}
