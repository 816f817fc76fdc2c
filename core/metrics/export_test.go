package metrics

import "net/http"

// Handler is what Run serves.
func (e *Endpoint) Handler() http.Handler { return e.handler() }

// MetricName is metricName.
var MetricName = metricName
