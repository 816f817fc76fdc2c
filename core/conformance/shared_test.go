package conformance_test

import (
	"net"
	"strings"
	"testing"

	"github.com/nomad-devices/nomad-devices/core/conformance"
)

// TestSharedAndMeasured: with devices that are shared, and with metrics, the
// correct plugin is as right as without.
func TestSharedAndMeasured(t *testing.T) {
	t.Parallel()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	_ = free.Close()
	r, err := newReference(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	options := conformance.Patient(r.options())
	options.Hardware = r
	options.Config["share"] = []map[string]any{{"devices": []any{"ACME-a", "Acme Half"}, "replicas": 3}}
	options.Config["metrics"] = []map[string]any{{"address": address}}
	report := reportOf(t, r.target(), options)
	if !report.Passed() {
		var text strings.Builder
		if err := report.WriteText(&text); err != nil {
			t.Fatal(err)
		}
		t.Error(text.String())
	}
	ran := 0
	for _, result := range report.Results {
		if result.Status == conformance.Passed {
			ran++
		}
	}
	if ran < 60 {
		t.Errorf("%d cases passed; the others were skipped", ran)
	}
}
