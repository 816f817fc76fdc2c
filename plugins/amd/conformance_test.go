package amd

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/conformance"
	"github.com/nomad-devices/nomad-devices/core/plugin"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/core/sysfs/sysfstest"
)

// TestConformance holds the plugin to Nomad's contract, with GPUs that fail, hang, go
// and come under it. Device nodes are the built binary's matter.
func TestConformance(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it takes half a minute")
	}
	hardware := &hands{root: sysfstest.UnpackText(t, machine(server, radeon, dpx))}
	definition := Plugin()
	definition.New = func(cfg *Config, env plugin.Env) core.Vendor {
		return newVendor(cfg, env.Log, sysfs.New(env.Host.Root(), sysfs.WithHook(hardware.access)))
	}
	conformance.Run(t, conformance.InProcess(func() (conformance.Plugin, func()) {
		return plugin.New(definition, hclog.NewNullLogger())
	}), conformance.Options{
		Config: map[string]any{
			"host_root":      hardware.root,
			"driver_timeout": "500ms",
			"stats_timeout":  "200ms",
			"health":         map[string]any{"recover_after": "1"},
		},
		Hardware:   hardware,
		PlainNodes: true,
	})
}

// hands breaks the files of a machine.
type hands struct {
	root     string
	accesses atomic.Uint64

	mu      sync.Mutex
	faults  map[string]conformance.Fault // by a part of the paths
	release chan struct{}                // closed when what hangs may go on
}

var _ conformance.HardwareWithCalls = (*hands)(nil)

// access is put before each access to a file.
func (h *hands) access(_, path string) error {
	h.accesses.Add(1)
	h.mu.Lock()
	var fault conformance.Fault
	for part, f := range h.faults {
		if strings.Contains(path, part) {
			fault = f
		}
	}
	release := h.release
	h.mu.Unlock()
	switch fault {
	case conformance.Fail:
		return syscall.EIO
	case conformance.Remove:
		return syscall.ENOENT
	case conformance.Hang:
		<-release
	}
	return nil
}

// Break implements [conformance.Hardware].
func (h *hands) Break(id string, fault conformance.Fault) ([]string, error) {
	cards := map[string]struct {
		address string
		ids     []string
	}{
		"GPU-9e3779b97f4a7c15": {server.address, []string{"GPU-9e3779b97f4a7c15"}},
		"GPU-1122334455667788": {radeon.address, []string{"GPU-1122334455667788"}},
		"GPU-71c0a1d2e3f40502": {dpx.address, []string{"GPU-71c0a1d2e3f40502/dpx0", "GPU-71c0a1d2e3f40502/dpx1"}},
	}
	gpu, _, _ := strings.Cut(id, "/")
	card, ok := cards[gpu]
	if !ok {
		return nil, fmt.Errorf("no GPU has the device %s", id)
	}
	part := "/sys/bus/pci/devices/" + card.address + "/" // it is gone, or the bus cannot tell what it is
	if fault == conformance.Hang {
		part = card.address + "/gpu_busy_percent" // the driver waits for the hardware
	}
	h.set(part, fault)
	return card.ids, nil
}

// BreakAll implements [conformance.Hardware].
func (h *hands) BreakAll(fault conformance.Fault) error {
	switch fault {
	case conformance.Fail, conformance.Remove:
		h.set("/sys/bus/pci/devices", fault)
		h.set("/sys/class/kfd", fault)
	case conformance.Hang:
		h.set("/sys/", fault)
	default:
		return errors.ErrUnsupported
	}
	return nil
}

func (h *hands) set(part string, fault conformance.Fault) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.faults == nil {
		h.faults, h.release = map[string]conformance.Fault{}, make(chan struct{})
	}
	h.faults[part] = fault
}

// Repair implements [conformance.Hardware].
func (h *hands) Repair() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.faults != nil {
		close(h.release)
	}
	h.faults = nil
	return nil
}

// Calls implements [conformance.HardwareWithCalls].
func (h *hands) Calls() (uint64, error) { return h.accesses.Load(), nil }
