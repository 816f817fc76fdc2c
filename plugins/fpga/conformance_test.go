package fpga

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/conformance"
	"github.com/nomad-devices/nomad-devices/core/plugin"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/core/sysfs/sysfstest"
)

// TestConformance holds the plugin to Nomad's contract, with cards that fail,
// hang, go and come under it.
func TestConformance(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it takes half a minute")
	}
	hardware := &treeInHand{root: sysfstest.UnpackText(t, node(3, 2))}
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
			"health":         map[string]any{"unhealthy_after": "1", "recover_after": "1"},
		},
		Hardware:   hardware,
		PlainNodes: true,
	})
}

// treeInHand breaks the cards of a tree.
type treeInHand struct {
	root string

	mu      sync.Mutex
	calls   uint64
	faults  map[string]conformance.Fault // by PCI address; "" means all
	release chan struct{}                // closed when nothing hangs any more
	removed map[string]string            // links that were taken away, with their targets
}

var _ conformance.HardwareWithCalls = (*treeInHand)(nil)

// access lets reading the files of a broken card fail or hang.
func (h *treeInHand) access(op, path string) error {
	h.mu.Lock()
	h.calls++
	release := h.release
	var fault conformance.Fault
	for address, f := range h.faults {
		if address != "" && strings.Contains(path, address) || address == "" && (op == "read" || strings.HasPrefix(path, "/sys/class/")) {
			fault = f
		}
	}
	h.mu.Unlock()
	switch {
	case fault == conformance.Fail:
		return syscall.EIO
	case fault == conformance.Hang && op == "read" && strings.Contains(path, "/fpga_region/"): // the driver's, not the kernel's
		<-release
	}
	return nil
}

// Break implements [conformance.Hardware].
func (h *treeInHand) Break(id string, fault conformance.Fault) ([]string, error) {
	_, place, _ := strings.Cut(id, ":")
	address, _, ok := strings.Cut(place, "/")
	if !ok {
		return nil, fmt.Errorf("no card has the device %s", id)
	}
	return []string{id}, h.set(address, fault)
}

// BreakAll implements [conformance.Hardware].
func (h *treeInHand) BreakAll(fault conformance.Fault) error { return h.set("", fault) }

func (h *treeInHand) set(address string, fault conformance.Fault) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch fault {
	case conformance.Remove:
		return h.remove(address)
	case conformance.Fail, conformance.Hang:
		if h.faults == nil {
			h.faults = map[string]conformance.Fault{}
		}
		if h.release == nil {
			h.release = make(chan struct{})
		}
		h.faults[address] = fault
		return nil
	default:
		return errors.ErrUnsupported
	}
}

// remove takes away the links that lead to a card.
func (h *treeInHand) remove(address string) error {
	if h.removed == nil {
		h.removed = map[string]string{}
	}
	for _, pattern := range []string{"sys/class/*/*", "sys/bus/pci/devices/*"} {
		links, err := filepath.Glob(filepath.Join(h.root, pattern))
		if err != nil {
			return err
		}
		for _, link := range links {
			target, err := os.Readlink(link)
			if err != nil || !strings.Contains(target, address) {
				continue
			}
			h.removed[link] = target
			if err := os.Remove(link); err != nil {
				return err
			}
		}
	}
	return nil
}

// Repair implements [conformance.Hardware].
func (h *treeInHand) Repair() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.faults = nil
	if h.release != nil {
		close(h.release)
		h.release = nil
	}
	var errs []error
	for link, target := range h.removed {
		errs = append(errs, os.Symlink(target, link))
	}
	h.removed = nil
	return errors.Join(errs...)
}

// Calls implements [conformance.HardwareWithCalls].
func (h *treeInHand) Calls() (uint64, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.calls, nil
}
