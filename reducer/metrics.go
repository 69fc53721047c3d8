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
	held     *prometheus.Desc
	passed   *prometheus.Desc
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
		held:     desc("correction_open", "1 while a correction changes windows, so that answers over its time are provisional."),
		passed:   desc("passed_corrections_total", "Records of corrections that were passed over: of windows that may still change, or said after the correction ended."),
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
	for _, d := range []*prometheus.Desc{m.lag, m.mark, m.windows, m.identity, m.held, m.passed} {
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
		gauge(m.identity, truth(v.Broken != nil))
		gauge(m.held, truth(v.Hold.Number > 0 && !v.Hold.Done))
		ch <- prometheus.MustNewConstMetric(m.passed, prometheus.CounterValue, float64(v.Passed), strconv.Itoa(int(v.Reducer)))
		if v.Watermark != click.None {
			gauge(m.mark, float64(v.Watermark)/1e3)
		}
	}
}

func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
