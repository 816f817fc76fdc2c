package main

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/nomad/plugins/shared/hclspec"

	"github.com/nomad-devices/nomad-devices/core/conformance"
)

// values gives the scenario of a machine without what only grows.
func values(t *testing.T, h *hardware) map[string]string {
	t.Helper()
	f, err := h.machine.Scenario()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for key, value := range f.All() {
		if key != "kfd.generation" && !strings.HasPrefix(key, "event.") {
			all[key] = value
		}
	}
	return all
}

// TestHardware breaks and repairs machines as the conformance suite does.
func TestHardware(t *testing.T) {
	t.Parallel()
	amd := filepath.Join(t.TempDir(), "machine")
	mustSimulate(t, "start", "mixed-instinct", "--dir", amd)
	fpga := filepath.Join(t.TempDir(), "machine")
	mustSimulate(t, "start", "mixed-fpga", "--dir", fpga)
	for name, tt := range map[string]struct {
		dir       string
		id        string
		card      []string
		hangs     bool
		counts    bool
		settings  []string
		variable  string
		commonest []conformance.Fault
	}{
		"amd": {
			dir: amd, id: "GPU-58ce4397d10fb26a/cpx2", card: devices("GPU-58ce4397d10fb26a/cpx", 8),
			settings: []string{"host_root", "ras_period"}, variable: "gpu.3.temperature.edge",
			commonest: []conformance.Fault{"unreadable", "gone"},
		},
		"fpga": {
			dir: fpga, id: "dfl:0000:36:00.0/port1", card: []string{"dfl:0000:36:00.0/port0", "dfl:0000:36:00.0/port1"},
			settings: []string{"fpga_managers", "host_root"}, variable: "card.0.sensor.temp1",
			commonest: []conformance.Fault{"unreadable", "gone"},
		},
		"nvidia": {
			dir: simulatedMachine(t, "2xt4"), hangs: true, counts: true,
			settings: []string{"host_root", "nvml_library"}, variable: "gpu.1.power.usage",
			commonest: []conformance.Fault{"hang", "lost", "removed"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, err := openHardware(tt.dir)
			if err != nil {
				t.Fatal(err)
			}
			before := values(t, h)
			if tt.card == nil {
				tt.card = h.cards[0].Devices
				tt.id = tt.card[0]
			}
			for _, fault := range h.Faults() {
				if slices.Contains(tt.commonest, fault) {
					t.Errorf("%s is offered under its own name, too", fault)
				}
			}
			all := append([]conformance.Fault{conformance.Fail, conformance.Hang, conformance.Remove}, h.Faults()...)
			for _, fault := range all {
				card, err := h.Break(tt.id, fault)
				switch {
				case errors.Is(err, errors.ErrUnsupported):
					if fault == conformance.Fail || fault == conformance.Remove || fault == conformance.Hang && tt.hangs {
						t.Errorf("%s: %v", fault, err)
					}
					continue
				case err != nil:
					t.Fatalf("%s: %v", fault, err)
				case fault == conformance.Hang && !tt.hangs:
					t.Errorf("files hang")
				}
				if diff := cmp.Diff(tt.card, card); diff != "" {
					t.Errorf("%s: devices of the card (-want +got):\n%s", fault, diff)
				}
				if err := h.Repair(); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(before, values(t, h)); diff != "" {
					t.Errorf("scenario after %s (-before +after):\n%s", fault, diff)
				}
			}
			for _, fault := range []conformance.Fault{conformance.Fail, conformance.Hang, conformance.Remove} {
				err := h.BreakAll(fault)
				if unsupported := errors.Is(err, errors.ErrUnsupported); unsupported != (fault == conformance.Hang && !tt.hangs) {
					t.Errorf("all: %s: %v", fault, err)
				}
				if err := h.Repair(); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(before, values(t, h)); diff != "" {
					t.Errorf("scenario after all: %s (-before +after):\n%s", fault, diff)
				}
			}
			if _, counts := h.forSuite().(conformance.HardwareWithCalls); counts != tt.counts {
				t.Errorf("it counts calls: %t, want %t", counts, tt.counts)
			}
			if err := h.Vary(1); err != nil {
				t.Fatal(err)
			}
			if after := values(t, h); after[tt.variable] == before[tt.variable] || len(after) < len(before) {
				t.Errorf("%s = %q after Vary", tt.variable, after[tt.variable])
			}
			attributes := map[string]*hclspec.Spec{}
			for _, key := range []string{"host_root", "nvml_library", "ras_period", "fpga_managers", "colour"} {
				attributes[key] = &hclspec.Spec{}
			}
			got := h.settings(&hclspec.Spec{Block: &hclspec.Spec_Object{Object: &hclspec.Object{Attributes: attributes}}})
			var keys []string
			for key := range got {
				keys = append(keys, key)
			}
			slices.Sort(keys)
			if diff := cmp.Diff(tt.settings, keys); diff != "" {
				t.Errorf("settings (-want +got):\n%s", diff)
			}
		})
	}
}

func devices(prefix string, n int) []string {
	var all []string
	for i := range n {
		all = append(all, prefix+string(rune('0'+i)))
	}
	return all
}
