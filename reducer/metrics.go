package reducer

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/clickagg/clickagg/internal/board"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/reducer/merge"
)

// View is what one reducer last said of itself.
type View struct {
	Reducer int32
	End     int64 // end of its partials log, as last seen
	merge.Status
}

// Metrics are a reducer's figures, made from the reducers' views when asked for.
type Metrics struct {
	board    board.Board[View]
	lag      *prometheus.Desc
	mark     *prometheus.Desc
	windows  *prometheus.Desc
	identity *prometheus.Desc
}

// NewMetrics makes the figures and registers them, unless reg is nil.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("clickagg_reducer_"+name, help, []string{"reducer"}, nil)
	}
	m := &Metrics{
		lag:      desc("lag_records", "Partials not yet merged."),
		mark:     desc("watermark_seconds", "Time before which every window is final, Unix time."),
		windows:  desc("windows", "Windows whose ranked lists are kept."),
		identity: desc("accounting_broken", "1 once received = counted + duplicate + conflict + late + rejected + marks did not hold."),
	}
	if reg != nil {
		reg.MustRegister(m)
	}
	return m
}

// Reducers lists what the reducers last said.
func (m *Metrics) Reducers() []*View { return m.board.Values() }

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.lag, m.mark, m.windows, m.identity} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	for _, v := range m.Reducers() {
		gauge := func(d *prometheus.Desc, n float64) {
			ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, n, strconv.Itoa(int(v.Reducer)))
		}
		gauge(m.lag, float64(v.End-v.Position))
		gauge(m.windows, float64(v.Windows))
		broken := 0.0
		if v.Broken != nil {
			broken = 1
		}
		gauge(m.identity, broken)
		if v.Watermark != click.None {
			gauge(m.mark, float64(v.Watermark)/1e3)
		}
	}
}
