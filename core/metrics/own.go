package metrics

import (
	"errors"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/nomad-devices/nomad-devices/core/fingerprint"
	"github.com/nomad-devices/nomad-devices/core/guard"
)

// own are the plugin's own numbers.
type own struct {
	durations    *prometheus.HistogramVec
	failures     *prometheus.CounterVec
	changes      *prometheus.CounterVec
	reservations *prometheus.CounterVec
	lastScan     prometheus.Gauge
	fixed        []prometheus.Collector
}

// buckets reach from a file that is read to a driver call that hangs, in seconds.
var buckets = []float64{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30}

func newOwn(options Options) *own {
	pending := func(name, help string, which func(running, hung int) int) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: ownPrefix + name, Help: help}, func() float64 {
			return float64(which(options.Calls.Pending()))
		})
	}
	o := &own{
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: ownPrefix + "call_duration_seconds", Buckets: buckets,
			Help: "How long calls took: scan for a look at all devices, discover and read for its parts, measure for the statistics of one device, grant and prepare for one device of a reservation, reserve for a whole one.",
		}, []string{"call"}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: ownPrefix + "call_failures_total", Help: "Calls that failed: with an error, past their deadline (hung), or with a panic.",
		}, []string{"call", "reason"}),
		changes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: ownPrefix + "health_changes_total", Help: "Changes of the health of a device, by what it became.",
		}, append(slices.Clip(deviceLabels), "to")),
		reservations: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: ownPrefix + "reservations_total", Help: "Reservations that tasks asked for, by what they got: granted or refused.",
		}, []string{"outcome"}),
		lastScan: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: ownPrefix + "last_scan_timestamp_seconds", Help: "When all devices were looked at last, in seconds since 1970. 0 before the first time.",
		}),
		fixed: []prometheus.Collector{
			pending("calls_running", "Calls into the driver that have not returned; a wait for its events is one of them.", func(running, _ int) int { return running }),
			pending("calls_hung", "Calls into the driver that have not returned by their deadline.", func(_, hung int) int { return hung }),
		},
	}
	info := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: ownPrefix + "info", Help: "Which plugin this is."}, []string{"plugin", "version"})
	info.WithLabelValues(options.Plugin, options.Version).Set(1)
	o.fixed = append(o.fixed, info)
	// What has not happened yet is 0, not missing: an increase from nothing to 1
	// would be seen by nobody.
	for _, outcome := range []string{granted, refused} {
		o.reservations.WithLabelValues(outcome)
	}
	return o
}

func (o *own) register(r *prometheus.Registry) {
	r.MustRegister(o.durations, o.failures, o.changes, o.reservations, o.lastScan)
	r.MustRegister(o.fixed...)
}

const (
	granted = "granted"
	refused = "refused"
)

// Observe takes what a call came to. It is a [guard.Observer].
func (e *Endpoint) Observe(call string, took time.Duration, err error) {
	e.own.durations.WithLabelValues(call).Observe(took.Seconds())
	if call == "scan" && err == nil {
		e.own.lastScan.SetToCurrentTime()
	}
	if err == nil {
		return
	}
	reason := "error"
	if _, ok := errors.AsType[*guard.PanicError](err); ok {
		reason = "panic"
	} else if errors.Is(err, guard.ErrHung) {
		reason = "hung"
	}
	e.own.failures.WithLabelValues(call, reason).Inc()
}

// Reserved takes what a reservation came to.
func (e *Endpoint) Reserved(took time.Duration, err error) {
	e.own.durations.WithLabelValues("reserve").Observe(took.Seconds())
	outcome := granted
	if err != nil {
		outcome = refused
	}
	e.own.reservations.WithLabelValues(outcome).Inc()
}

// Published takes a new snapshot and the one before it, and counts changes of
// health.
func (e *Endpoint) Published(before, now *fingerprint.Snapshot) {
	known := before.Wholes()
	for id, d := range now.Wholes() {
		was, ok := known[id]
		if !ok {
			for _, to := range []string{"healthy", "unhealthy"} {
				e.own.changes.WithLabelValues(append(labelsOf(d.Whole()), to)...)
			}
			was.Health.Healthy = true // a device that is seen first and is unhealthy has become so
		}
		if was.Health.Healthy == d.Health.Healthy {
			continue
		}
		to := "unhealthy"
		if d.Health.Healthy {
			to = "healthy"
		}
		e.own.changes.WithLabelValues(append(labelsOf(d.Whole()), to)...).Inc()
	}
	for id, d := range known {
		if _, ok := now.Wholes()[id]; !ok {
			labels := labelsOf(d.Whole())
			match := prometheus.Labels{}
			for i, name := range deviceLabels {
				match[name] = labels[i]
			}
			e.own.changes.DeletePartialMatch(match)
		}
	}
}
