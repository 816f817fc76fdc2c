package config_test

import (
	"strings"
	"testing"

	"github.com/nomad-devices/nomad-devices/core/config"
)

func TestMetricsAddress(t *testing.T) {
	t.Parallel()
	tests := []struct {
		given, listen string // no listen: it is refused
	}{
		{"127.0.0.1:9500", "127.0.0.1:9500"},
		{":9500", "127.0.0.1:9500"},
		{"localhost:9500", "127.0.0.1:9500"},
		{"0.0.0.0:9500", "0.0.0.0:9500"},
		{"[::1]:9500", "[::1]:9500"},
		{"[::]:9500", "[::]:9500"},
		{given: "9500"},
		{given: "127.0.0.1"},
		{given: "127.0.0.1:0"},
		{given: "127.0.0.1:http"},
		{given: "127.0.0.1:70000"},
		{given: "node1.example:9500"},
	}
	for _, test := range tests {
		cfg := &plain{}
		err := config.Decode(map[string]any{"metrics": map[string]any{"address": test.given}}, cfg)
		if test.listen == "" {
			if err == nil || !strings.Contains(err.Error(), "metrics.address") || !strings.Contains(err.Error(), "127.0.0.1:9500") {
				t.Errorf("%q: error %v", test.given, err)
			}
			continue
		}
		if err != nil || cfg.Metrics.Listen() != test.listen {
			t.Errorf("%q: listens at %q, want %q; error %v", test.given, cfg.Metrics.Listen(), test.listen, err)
		}
	}
	if listen := (config.Metrics{}).Listen(); listen != "" {
		t.Errorf("without an address it listens at %q", listen)
	}
}
