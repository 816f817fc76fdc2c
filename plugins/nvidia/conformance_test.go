package nvidia

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/conformance"
	"github.com/nomad-devices/nomad-devices/core/plugin"
	"github.com/nomad-devices/nomad-devices/plugins/nvidia/internal/nvml"
	"github.com/nomad-devices/nomad-devices/plugins/nvidia/internal/nvml/nvmltest"
)

// TestConformance holds the plugin to Nomad's contract, with GPUs that fail,
// hang, go and come under it. Device nodes and the real library are the built
// binary's matter.
func TestConformance(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it takes half a minute")
	}
	gpus := []*nvmltest.GPU{nvmltest.H100(0), nvmltest.H100(1), nvmltest.SplitA100(3)}
	hardware := &driverInHand{lib: nvmltest.New(gpus...), gpus: gpus}
	root := newBench(t, hardware.lib).root
	definition := Plugin()
	definition.New = func(cfg *Config, env plugin.Env) core.Vendor {
		return newVendor(cfg, env.Log, env.Host, hardware.lib)
	}
	conformance.Run(t, conformance.InProcess(func() (conformance.Plugin, func()) {
		return plugin.New(definition, hclog.NewNullLogger())
	}), conformance.Options{
		Config: map[string]any{
			"host_root":      root,
			"driver_timeout": "500ms",
			"stats_timeout":  "200ms",
			"health":         map[string]any{"recover_after": "1"},
		},
		Hardware: hardware,
	})
}

// driverInHand breaks the driver that is made of values.
type driverInHand struct {
	lib     *nvmltest.Library
	gpus    []*nvmltest.GPU
	release []func()
}

var _ conformance.HardwareWithCalls = (*driverInHand)(nil)

// Break implements [conformance.Hardware].
func (d *driverInHand) Break(id string, fault conformance.Fault) ([]string, error) {
	for n, gpu := range d.gpus {
		ids := []string{gpu.UUID}
		if gpu.MIG {
			ids = nil
			for _, part := range gpu.Slots {
				if part != nil {
					ids = append(ids, part.UUID)
				}
			}
		}
		if slices.Contains(ids, id) {
			return ids, d.breakGPU(n, fault)
		}
	}
	return nil, fmt.Errorf("no GPU has the device %s", id)
}

func (d *driverInHand) breakGPU(n int, fault conformance.Fault) error {
	switch fault {
	case conformance.Fail:
		d.lib.Update(func() { d.gpus[n].Lost = true })
	case conformance.Hang:
		d.release = append(d.release, d.gpus[n].Hang(d.lib))
	case conformance.Remove:
		d.lib.Update(func() { d.lib.GPUs = slices.Delete(slices.Clone(d.gpus), n, n+1) })
	default:
		return errors.ErrUnsupported
	}
	return nil
}

// BreakAll implements [conformance.Hardware].
func (d *driverInHand) BreakAll(fault conformance.Fault) error {
	switch fault {
	case conformance.Fail:
		d.lib.Update(func() { d.lib.Errors = map[nvml.Call]nvml.Return{nvml.CallDeviceCount: nvml.ErrUnknown} })
	case conformance.Hang:
		for _, gpu := range d.gpus {
			d.release = append(d.release, gpu.Hang(d.lib))
		}
	case conformance.Remove:
		d.lib.Update(func() { d.lib.InitErr = nvml.ErrLibraryNotFound })
	default:
		return errors.ErrUnsupported
	}
	return nil
}

// Repair implements [conformance.Hardware].
func (d *driverInHand) Repair() error {
	for _, release := range d.release {
		release()
	}
	d.release = nil
	d.lib.Update(func() {
		d.lib.GPUs, d.lib.Errors, d.lib.InitErr = d.gpus, nil, nil
		for _, gpu := range d.gpus {
			gpu.Lost = false
		}
	})
	return nil
}

// Calls implements [conformance.HardwareWithCalls].
func (d *driverInHand) Calls() (uint64, error) { return uint64(d.lib.Total()), nil }
