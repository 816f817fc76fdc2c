package amd

import (
	"slices"
	"strings"
	"testing"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/uevent"
	"github.com/nomad-devices/nomad-devices/plugins/amd/internal/smi"
)

// heard are the events that were passed on.
type heard []core.Event

func (h *heard) emit(e core.Event) { *h = append(*h, e) }

func (h *heard) take() []core.Event {
	events := *h
	*h = nil
	return events
}

// known returns where the devices of a machine are.
func known(t *testing.T, gpus ...gpu) *whereabouts {
	t.Helper()
	var devices []core.Device
	for _, d := range newBench(t, machine(gpus...)).good().devices {
		devices = append(devices, d)
	}
	return newWhereabouts(append(devices, core.Device{ID: "never read"}))
}

func TestUevents(t *testing.T) {
	t.Parallel()
	w := known(t, server, dpx)
	for _, tt := range []struct {
		subsystem, path string
		vars            map[string]string
		want            bool
	}{
		{"drm", "/devices/pci0000:a0/0000:c1:00.0/drm/card1", nil, true},
		{"pci", "/devices/pci0000:a0/0000:c1:00.0", map[string]string{"PCI_ID": "1002:740F"}, true},
		{"pci", "/devices/pci0000:a0/0000:c5:00.0", map[string]string{"PCI_ID": "8086:1234"}, false},
		{"pci", "/devices/pci0000:a0/0000:c5:00.0", nil, false},
		{"kfd", "/devices/virtual/kfd/kfd", nil, true},
		{"devcoredump", "/devices/virtual/devcoredump/devcd1", nil, true},
		{"module", "/module/amdgpu", nil, true},
		{"module", "/module/amdgpu_other", nil, false},
		{"block", "/devices/x/block/sda", nil, false},
		{"", "", nil, false},
	} {
		var h heard
		got := w.uevent(uevent.Event{Action: "change", Subsystem: tt.subsystem, Path: tt.path, Vars: tt.vars}, h.emit)
		if got != tt.want || len(h) != 0 {
			t.Errorf("%s %s %v: %v, %+v", tt.subsystem, tt.path, tt.vars, got, h)
		}
	}
}

func TestWedged(t *testing.T) {
	t.Parallel()
	w := known(t, server, dpx)
	parts := []string{"GPU-71c0a1d2e3f40502/dpx0", "GPU-71c0a1d2e3f40502/dpx1"}
	tell := func(path, recovery string) []core.Event {
		var h heard
		w.uevent(uevent.Event{Subsystem: "drm", Path: path, Vars: map[string]string{"WEDGED": recovery}}, h.emit)
		return h.take()
	}
	const path = "/devices/pci0000:a1/0000:a1:01.1/0000:25:00.0/drm/card2"
	if got := tell(path, "none"); len(got) != 1 || got[0].Fault != nil || !got[0].Look || !strings.Contains(got[0].Text, "lost their work") || !slices.Equal(got[0].Devices, parts) {
		t.Errorf("after a reset that helped: %+v", got)
	}
	for _, recovery := range []string{"rebind", "bus-reset", "unknown", "rebind,bus-reset", "vendor-specific"} {
		got := tell(path, recovery)
		if len(got) != 1 || got[0].Fault == nil || got[0].Fault.Code != codeWedged || !got[0].Fault.Latched || got[0].Fault.Severity != core.Hard ||
			!strings.Contains(got[0].Fault.Reason, recovery) || !slices.Equal(got[0].Devices, parts) {
			t.Errorf("%s: %+v", recovery, got)
		}
	}
	if got := tell(path, strings.Repeat("\x01é", 100)+strings.Repeat("x", 1000)); len(got) != 1 || len(got[0].Fault.Reason) > 200 {
		t.Errorf("garbage: %+v", got)
	}
	// An event about no device must not mean all of them.
	if got := tell("/devices/pci0000:a1/0000:99:00.0/drm/card7", "rebind"); got != nil {
		t.Errorf("a GPU that is not offered: %+v", got)
	}
}

func TestKFDEvents(t *testing.T) {
	t.Parallel()
	if w := known(t, server, dpx); len(w.byNode) != 0 {
		t.Errorf("it listens to %d nodes, and one of the GPUs can be divided", len(w.byNode))
	}
	w := known(t, server)
	if len(w.byNode) != 1 {
		t.Fatalf("it listens to %d nodes", len(w.byNode))
	}
	var h heard
	node := uint32(1001)
	w.smi(smi.Event{GPU: node, Kind: smi.ResetBegins, Text: "1 cause"}, h.emit)
	if got := h.take(); len(got) != 1 || got[0].Fault == nil || got[0].Fault.Code != codeReset || got[0].Fault.Latched || !got[0].Look {
		t.Errorf("a reset begins: %+v", got)
	}
	w.smi(smi.Event{GPU: node, Kind: smi.ResetEnds}, h.emit)
	w.smi(smi.Event{GPU: node, Kind: smi.MemoryFault, Text: "1a:\x1bpython"}, h.emit)
	got := h.take()
	if len(got) != 2 || got[0].Fault != nil || !got[0].Look || got[1].Fault != nil || strings.Contains(got[1].Text, "\x1b") || !strings.Contains(got[1].Text, "python") {
		t.Errorf("a reset ends, and a fault: %+v", got)
	}
	w.smi(smi.Event{GPU: node, Kind: smi.Throttled}, h.emit)
	w.smi(smi.Event{GPU: 4711, Kind: smi.ResetBegins}, h.emit)
	if got := h.take(); got != nil {
		t.Errorf("throttling, and a GPU that is not known: %+v", got)
	}
}

// TestWatchOfAnotherHost has nothing to hear: events are this kernel's.
func TestWatchOfAnotherHost(t *testing.T) {
	t.Parallel()
	b := newBench(t, machine(server), func(c *Config) { c.KFDEvents = true })
	if err := b.Watch(t.Context(), nil, func(e core.Event) { t.Errorf("%+v", e) }); err != nil {
		t.Error(err)
	}
}
