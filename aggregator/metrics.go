package aggregator

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/clickagg/clickagg/aggregator/window"
	"github.com/clickagg/clickagg/internal/board"
	"github.com/clickagg/clickagg/internal/click"
)

// View is what one shard last said of itself.
type View struct {
	Shard int32
	End   int64 // end of its shuffle log, as last seen
	// Spread and Merged are how many spreads of hot ads this process began and ended.
	Spread, Merged int64
	window.Status
}

// Metrics are an aggregator's figures, made from the shards' views when asked for.
type Metrics struct {
	board   board.Board[View]
	clicks  *prometheus.Desc
	lag     *prometheus.Desc
	mark    *prometheus.Desc
	windows *prometheus.Desc
	ids     *prometheus.Desc
	bytes   *prometheus.Desc
	hot     *prometheus.Desc
}

// NewMetrics makes the figures and registers them, unless reg is nil.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("clickagg_aggregator_"+name, help, append([]string{"shard"}, labels...), nil)
	}
	m := &Metrics{
		clicks:  desc("clicks_total", "Clicks routed to the shard, by verdict.", "verdict"),
		lag:     desc("lag_records", "Shuffle records not yet folded."),
		mark:    desc("watermark_seconds", "The shard's watermark, Unix time."),
		windows: desc("windows", "Windows whose counts are kept."),
		ids:     desc("ids", "Event ids remembered."),
		bytes:   desc("state_bytes", "Memory of the shard's tables."),
		hot:     desc("hot_decisions_total", "Hot ads that were decided to be spread over shards, or merged back.", "decision"),
	}
	if reg != nil {
		reg.MustRegister(m)
	}
	return m
}

// Shards lists what the shards last said.
func (m *Metrics) Shards() []*View { return m.board.Values() }

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.clicks, m.lag, m.mark, m.windows, m.ids, m.bytes, m.hot} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	for _, v := range m.Shards() {
		shard := strconv.Itoa(int(v.Shard))
		gauge := func(d *prometheus.Desc, n float64) {
			ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, n, shard)
		}
		var t click.Tally
		for i := range v.Sources {
			t.Add(&v.Sources[i].Tally)
		}
		for verdict, n := range map[string]int64{
			"counted": t.Counted, "duplicate": t.Duplicate, "conflict": t.Conflict, "crowded": t.Crowded, "stale": t.Stale,
		} {
			ch <- prometheus.MustNewConstMetric(m.clicks, prometheus.CounterValue, float64(n), shard, verdict)
		}
		for decision, n := range map[string]int64{"spread": v.Spread, "merge": v.Merged} {
			ch <- prometheus.MustNewConstMetric(m.hot, prometheus.CounterValue, float64(n), shard, decision)
		}
		gauge(m.lag, float64(v.End-v.Position))
		gauge(m.windows, float64(v.Windows))
		gauge(m.ids, float64(v.IDs))
		gauge(m.bytes, float64(v.Bytes))
		if v.Watermark != click.None {
			gauge(m.mark, float64(v.Watermark)/1e3)
		}
	}
}
