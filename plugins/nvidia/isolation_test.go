package nvidia

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/plugins/nvidia/internal/nvml"
	"github.com/nomad-devices/nomad-devices/plugins/nvidia/internal/nvml/nvmltest"
)

// TestEveryErrorOfEveryCall lets each call of one GPU fail in each way, on the
// first look and on later ones. It must cost that GPU at most, and end with the
// cause.
func TestEveryErrorOfEveryCall(t *testing.T) {
	t.Parallel()
	gpus := func() []*nvmltest.GPU { return []*nvmltest.GPU{nvmltest.SplitA100(0), nvmltest.H100(1)} }
	calls := everyCall(t, nvmltest.New(gpus()...))
	returns := []nvml.Return{ // at least one of each class; a mismatch ends the process and is another test
		nvml.ErrUninitialized, nvml.ErrInvalidArgument, nvml.ErrNotSupported, nvml.ErrNoPermission, nvml.ErrNotFound,
		nvml.ErrInsufficientSize, nvml.ErrTimeout, nvml.ErrGPUIsLost, nvml.ErrResetRequired, nvml.ErrNoData, nvml.ErrUnknown, 4711,
	}
	first := newBench(t, nvmltest.New(gpus()...))
	want := first.good()
	for _, c := range calls {
		for _, r := range returns {
			for _, later := range []bool{false, true} {
				t.Run(fmt.Sprintf("%v %d %v", c, r, later), func(t *testing.T) {
					t.Parallel()
					failing := gpus()
					b := newBenchOn(t, nvmltest.New(failing...), first.root)
					if later {
						b.good()
					}
					targets := append(failing[0].Slots, failing[0])
					b.lib.Update(func() {
						for _, g := range targets {
							if g != nil {
								g.Fail(c, r)
							}
						}
					})
					s := b.scan()
					if s.err != nil {
						t.Fatalf("Discover: %v", s.err)
					}
					if diff := cmp.Diff(plain(want.devices[failing[1].UUID]), plain(s.devices[failing[1].UUID])); diff != "" {
						t.Errorf("the other GPU suffered (-want +got):\n%s", diff)
					}
					if later {
						b.accounted(s, failing[0])
					}
					b.lib.Update(func() {
						for _, g := range targets {
							if g != nil {
								g.Fail(c, nvml.Success)
							}
						}
					})
					if r.Class() == nvml.ClassUnsupported {
						return // remembered, as it should be
					}
					var diff string
					for range 2 * len(facts) { // what failed often has its turn later
						if diff = cmp.Diff(want.text(t), b.scan().text(t)); diff == "" {
							return
						}
					}
					t.Errorf("after the error was gone (-want +got):\n%s", diff)
				})
			}
		}
	}
}

// accounted makes sure that each device of a GPU that was known is in the scan,
// by itself, or by an error or a fault of its card.
func (b *bench) accounted(s scan, g *nvmltest.GPU) {
	b.t.Helper()
	address := g.PCI.Address()
	if s.errs[address] != nil {
		return
	}
	if d, ok := s.devices[address+"?"]; ok {
		if len(d.Faults) == 0 {
			b.t.Error("a device without an ID and without a fault")
		}
		return
	}
	for _, m := range g.Slots {
		if m != nil && s.devices[m.UUID].ID == "" && !b.hidden(g) {
			b.t.Errorf("%s vanished without an error; devices %v", m.UUID, s.ids())
		}
	}
}

// hidden reports whether the driver now says that a GPU has no instances, which
// is no error.
func (b *bench) hidden(g *nvmltest.GPU) bool {
	var hidden bool
	b.lib.Update(func() {
		for _, c := range []nvml.Call{nvml.CallMIGDevice, nvml.CallMIGMode} {
			r := g.Errors[c]
			hidden = hidden || r == nvml.ErrNotFound || r == nvml.ErrInvalidArgument || r.Class() == nvml.ClassUnsupported
		}
	})
	return hidden
}

// TestMissingSymbols leaves out each symbol in turn: older drivers lack them.
func TestMissingSymbols(t *testing.T) {
	t.Parallel()
	gpus := func() []*nvmltest.GPU { return []*nvmltest.GPU{nvmltest.SplitA100(0), nvmltest.H100(1)} }
	for _, c := range everyCall(t, nvmltest.New(gpus()...)) {
		t.Run(c.String(), func(t *testing.T) {
			t.Parallel()
			lib := nvmltest.New(gpus()...)
			lib.Missing = map[nvml.Call]bool{c: true}
			b := newBench(t, lib)
			b.scan()
			b.scan()
			if n := lib.Counts()[c]; n > 0 && c != nvml.CallInit {
				t.Errorf("called %d times, and is not there", n)
			}
		})
	}
}

func TestOldDriver(t *testing.T) {
	t.Parallel()
	lib := nvmltest.New(nvmltest.H100(0))
	lib.Missing = map[nvml.Call]bool{
		nvml.CallMemoryV2: true, nvml.CallFabricV: true, nvml.CallFabric: true, nvml.CallAddressingMode: true,
		nvml.CallCores: true, nvml.CallMemoryBusWidth: true, nvml.CallGSPFirmware: true, nvml.CallUnrepairable: true,
	}
	d := newBench(t, lib).good().only(t)
	for _, a := range []*attribute{attrCores, attrBusWidth, attrGSP, attrAddressing, attrClique} {
		if v, ok := d.Attributes[a.name]; ok {
			t.Errorf("%s = %v, and the driver has no such call", a.name, v)
		}
	}
	if got := d.Attributes["memory"]; got != core.Int(81559, core.MiB) {
		t.Errorf("memory = %v by the older call", got)
	}
}

func TestLostAndBack(t *testing.T) {
	t.Parallel()
	gpu := nvmltest.H100(0)
	b := newBench(t, nvmltest.New(gpu, nvmltest.H100(1)))
	before := b.good().text(t)
	b.lib.Update(func() { gpu.Lost = true })
	for range 3 {
		s := b.scan()
		d, ok := s.devices[gpu.PCI.Address()+"?"]
		if !ok || !slices.Equal(codes(d.Faults), []string{"hard lost"}) {
			t.Fatalf("devices %v, faults %v", s.ids(), codes(d.Faults))
		}
		if !errors.Is(&d.Faults[0], nvml.ErrGPUIsLost) {
			t.Errorf("fault %v does not wrap the cause", d.Faults[0])
		}
	}
	b.lib.Update(func() { gpu.Lost = false })
	if diff := cmp.Diff(before, b.good().text(t)); diff != "" {
		t.Errorf("after it came back (-want +got):\n%s", diff)
	}
}

// TestLostBeforeSeen has a GPU that was never identified.
func TestLostBeforeSeen(t *testing.T) {
	t.Parallel()
	gpu := nvmltest.H100(0)
	gpu.Lost = true
	b := newBench(t, nvmltest.New(gpu))
	s := b.scan()
	if d := s.devices[gpu.PCI.Address()+"?"]; len(d.Faults) != 1 || d.PCI != core.PCIAddress(gpu.PCI.Address()) {
		t.Errorf("devices %v, errors %v", s.devices, s.errs)
	}
	b.remove(gpusPath) // no address is known then
	s = b.scan()
	if err := s.errs["gpu0"]; err == nil || !strings.Contains(err.Error(), "off the bus") {
		t.Errorf("errors %v", s.errs)
	}
}

// TestFactsAfterReset reads everything anew after a bad state: a reset may have
// changed it.
func TestFactsAfterReset(t *testing.T) {
	t.Parallel()
	gpu := nvmltest.H100(0)
	b := newBench(t, nvmltest.New(gpu))
	b.good()
	b.lib.Update(func() { gpu.Lost = true })
	b.scan()
	b.lib.Update(func() { gpu.Lost, gpu.VBIOS = false, "96.00.99.00.01" })
	b.scan()
	if got := b.good().only(t).Attributes["vbios_version"].Text(); got != "96.00.99.00.01" {
		t.Errorf("vbios_version = %s", got)
	}
	// The handle may go on working while only the health says so.
	b.lib.Update(func() { gpu.Fail(nvml.CallFieldValues, nvml.ErrResetRequired) })
	if d := b.scan().only(t); len(d.Faults) != 1 || len(d.Attributes) < 25 {
		t.Errorf("while it needs a reset: %d attributes, faults %v", len(d.Attributes), codes(d.Faults))
	}
	b.lib.Update(func() {
		gpu.Fail(nvml.CallFieldValues, nvml.Success)
		gpu.VBIOS = "96.00.AA.00.01"
	})
	if got := b.good().only(t).Attributes["vbios_version"].Text(); got != "96.00.AA.00.01" {
		t.Errorf("after the reset: vbios_version = %s", got)
	}
}

func TestPermission(t *testing.T) {
	t.Parallel()
	gpu := nvmltest.T4(0)
	b := newBench(t, nvmltest.New(gpu))
	b.lib.Update(func() { gpu.Fail(nvml.CallHandleByPCI, nvml.ErrNoPermission) })
	b.good()
	s := b.good() // notes come with the next look
	if len(s.devices) != 0 || len(s.notes) != 1 || !strings.Contains(s.notes[0].Text, "may not use") {
		t.Errorf("never seen: devices %v, notes %v", s.ids(), s.notes)
	}
	b.lib.Update(func() { gpu.Fail(nvml.CallHandleByPCI, nvml.Success) })
	b.good()
	if s := b.good(); len(s.devices) != 1 || len(s.notes) != 0 {
		t.Errorf("allowed: devices %v, notes %v", s.ids(), s.notes)
	}
	b.lib.Update(func() { gpu.Fail(nvml.CallUUID, nvml.ErrOperatingSystem) })
	if d := b.scan().devices[gpu.PCI.Address()+"?"]; !slices.Equal(codes(d.Faults), []string{"hard no-permission"}) {
		t.Errorf("no longer allowed: %v", codes(d.Faults))
	}
}
