package fingerprint

import (
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/guard"
)

// ScanForBenchmark lets the tests outside the package scan without the pauses of
// Run.
func ScanForBenchmark(b *testing.B, vendor core.Vendor) {
	b.Helper()
	s := New(vendor, guard.NewGroup(nil), Options{Period: time.Hour, DriverTimeout: time.Minute, Log: hclog.NewNullLogger()})
	b.ReportAllocs()
	for b.Loop() {
		if err := s.scan(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
