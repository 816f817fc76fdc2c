// Package monitoring holds the Grafana dashboard and the alert rules in the
// directory monitoring against what the plugins really serve. It has tests only.
package monitoring
