package api

import (
	"cmp"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	running  prometheus.Gauge
	streams  prometheus.Gauge
	panics   prometheus.Counter
	refused  *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "clickagg_api_requests_total", Help: "Requests by route and HTTP status; gone when the client did not wait.",
		}, []string{"route", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "clickagg_api_request_duration_seconds", Help: "Time from a request's headers to the end of its answer.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 16),
		}, []string{"route"}),
		running: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "clickagg_api_running_questions", Help: "Questions that are being answered now.",
		}),
		streams: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "clickagg_api_streams", Help: "Streams that are open now.",
		}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "clickagg_api_panics_total", Help: "Panics while answering; each is a defect, and the log has its stack.",
		}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "clickagg_api_refusals_total", Help: "Requests that were refused, by the word of the problem.",
		}, []string{"problem"}),
	}
	reg.MustRegister(m.requests, m.seconds, m.running, m.streams, m.panics, m.refused)
	return m
}

func (m *metrics) observe(c *call, w *response, took time.Duration) {
	status := strconv.Itoa(cmp.Or(w.status, http.StatusOK))
	if c.Context().Err() != nil {
		status = "gone"
	}
	m.requests.WithLabelValues(c.route.name, status).Inc()
	m.seconds.WithLabelValues(c.route.name).Observe(took.Seconds())
}
