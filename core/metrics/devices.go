package metrics

import (
	"context"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/fingerprint"
)

// deviceLabels tell a device from all others of a cluster's scrape of one
// plugin.
var deviceLabels = []string{"vendor", "type", "name", "id", "pci"}

func labelsOf(d core.Device) []string {
	return plain(d.Group.Vendor, d.Group.Type, d.Group.Name, d.ID, string(d.PCI))
}

// plain returns the texts without what Prometheus refuses, which would cost the
// whole scrape.
func plain(texts ...string) []string {
	for i, text := range texts {
		texts[i] = strings.ToValidUTF8(text, "")
	}
	return texts
}

var (
	healthyDesc = prometheus.NewDesc(prefix+"healthy", "Whether Nomad may place new work on the device.", deviceLabels, nil)
	reasonDesc  = prometheus.NewDesc(prefix+"health_info", "Why the device is unhealthy, or what an operator should know although it is healthy.", append(slices.Clip(deviceLabels), "reason"), nil)
	offeredDesc = prometheus.NewDesc(prefix+"instances", "As how many instances the device is offered: 1, or the replicas of a shared one.", deviceLabels, nil)
)

// devices collects what is known of the devices at the moment of the scrape. A
// device that is shared is there once, as itself: its parts have no numbers of
// their own, and sums over devices stay true.
type devices struct{ options Options }

// Describe describes nothing: which metrics there are depends on the hardware.
func (devices) Describe(chan<- *prometheus.Desc) {}

// Collect implements [prometheus.Collector].
func (c devices) Collect(out chan<- prometheus.Metric) {
	snapshot := c.options.Snapshot()
	seen := series{kinds: map[string]prometheus.ValueType{}, help: map[string]string{}, taken: map[string]bool{}}
	for _, m := range c.options.Measure(context.Background(), snapshot) {
		d := m.Device.Whole()
		labels := labelsOf(d)
		out <- prometheus.MustNewConstMetric(healthyDesc, prometheus.GaugeValue, truth(m.Device.Health.Healthy), labels...)
		out <- prometheus.MustNewConstMetric(offeredDesc, prometheus.GaugeValue, float64(instances(m.Device)), labels...)
		if reason := m.Device.Health.Reason; reason != "" {
			out <- prometheus.MustNewConstMetric(reasonDesc, prometheus.GaugeValue, 1, append(labels, plain(reason)...)...)
		}
		for _, r := range m.Readings {
			seen.add(out, r, labels)
		}
	}
}

func instances(d fingerprint.Device) int {
	if d.Part != nil {
		return d.Part.Replicas
	}
	return 1
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// series holds what one scrape has shown. All metrics of one name must be of one
// kind with one help text, and no two may have the same labels: what breaks that
// is left out, since it would cost the whole scrape.
type series struct {
	kinds map[string]prometheus.ValueType
	help  map[string]string
	taken map[string]bool
}

// add shows a reading: a number, what it is out of, a truth value as 0 or 1, or
// a text in a label.
func (s series) add(out chan<- prometheus.Metric, r core.Reading, labels []string) {
	if slug(r.Name) == "" {
		return
	}
	switch {
	case r.Value.Numeric():
		kind := prometheus.GaugeValue
		if r.Counter {
			kind = prometheus.CounterValue
		}
		s.show(out, metricName(r, false), r.Description, kind, r.Value.AsFloat()*unitOf(r.Unit).factor, labels)
		if r.Limit.Numeric() {
			s.show(out, metricName(r, true), "Limit of: "+r.Description, prometheus.GaugeValue, r.Limit.AsFloat()*unitOf(r.Unit).factor, labels)
		}
	case r.Value.Kind() == core.KindBool:
		s.show(out, metricName(r, false), r.Description, prometheus.GaugeValue, truth(r.Value.AsBool()), labels)
	default:
		s.show(out, metricName(r, false), r.Description, prometheus.GaugeValue, 1, labels, plain(r.Value.Text())...)
	}
}

func (s series) show(out chan<- prometheus.Metric, name, help string, kind prometheus.ValueType, value float64, labels []string, text ...string) {
	if before, ok := s.kinds[name]; ok && before != kind {
		return
	}
	key := name + "\x00" + strings.Join(labels, "\x00")
	if s.taken[key] {
		return
	}
	s.taken[key], s.kinds[name] = true, kind
	if _, ok := s.help[name]; !ok {
		s.help[name] = strings.ToValidUTF8(help, "")
	}
	names := deviceLabels
	if len(text) > 0 {
		names = append(slices.Clip(names), "value")
		labels = append(slices.Clip(labels), text...)
	}
	m, err := prometheus.NewConstMetric(prometheus.NewDesc(name, s.help[name], names, nil), kind, value, labels...)
	if err != nil {
		return
	}
	out <- m
}
