package amd

import (
	"slices"

	"github.com/nomad-devices/nomad-devices/tools/simulate/machine"
)

// faults are what Break knows. A GPU that hangs is not among them: a file answers
// at once.
var faults = []machine.Fault{
	{
		Name: "aer-fatal", Summary: "a fatal error of the PCIe link was counted",
		Needs: "aer.fatal", Set: []string{"aer.fatal=+1"},
	},
	{
		Name: "bad-page", Summary: "a page of the GPU's memory went bad and could not be reserved (F)",
		Needs: "ras.blocks", Set: []string{"ras.pages.failed=+1"},
	},
	{
		Name: "ecc-ce", Summary: "a memory error was corrected",
		Needs: "ras.blocks", Set: []string{"ras.umc.ce=+1"},
	},
	{
		Name: "ecc-ue", Summary: "a memory error could not be corrected",
		Needs: "ras.blocks", Set: []string{"ras.umc.ue=+1"},
	},
	{
		Name: "garbage", Summary: "all that the driver says of the GPU is nonsense",
		Set: []string{"garbage=true"},
	},
	{
		Name: "gone", Summary: "the PCI function is gone, and all that belongs to it",
		Set: []string{"present=false"},
	},
	{
		Name: "hot", Summary: "the GPU is as hot as it may be before the driver turns the machine off",
		Needs: "temperature.emergency", Set: []string{"temperature=$temperature.emergency"},
	},
	{
		Name: "lost", Summary: "the GPU has fallen off the bus: the kernel still shows it, and nothing answers",
		Set: []string{"lost=true"},
	},
	{
		Name: "no-drm", Summary: "the driver has bound the GPU and failed: no DRM devices, no compute",
		Set: []string{"drm=false"},
	},
	{
		Name: "no-kfd", Summary: "compute cannot use the GPU: its KFD nodes are gone",
		Needs: "kfd", Set: []string{"kfd=false"},
	},
	{
		Name: "no-node", Summary: "the render nodes are missing in /dev/dri",
		Set: []string{"node=false"},
	},
	{
		Name: "page-pending", Summary: "a page of the GPU's memory is retired at the next reset (P)",
		Needs: "ras.blocks", Set: []string{"ras.pages.pending=+1"},
	},
	{
		Name: "reset", Summary: "the GPU is in a reset: sensors, counts and modes cannot be read",
		Set: []string{"reset=true", "devcoredump=true"},
	},
	{
		Name: "suspended", Summary: "the GPU sleeps (D3cold): what would wake it cannot be read",
		Needs: "runtime_status", Set: []string{"runtime_status=suspended"},
	},
	{
		Name: "throttled", Summary: "the GPU slows down because it is hot",
		Needs: "gpu_metrics", Set: []string{"clock.graphics=500"},
		Change: []string{
			"throttle.common=0x1000000000", // bit 36: the hot spot
			"throttle.bits=0x40000", "throttle.accumulation=+1000", "throttle.socket_thermal=+900",
		},
	},
	{
		Name: "unbound", Summary: "no driver runs the GPU",
		Set: []string{"driver=none"},
	},
	{
		Name: "unreadable", Summary: "nothing that the driver shows of the GPU can be read",
		Set: []string{"unreadable=true"},
	},
	{
		Name: "vfio", Summary: "the GPU was given to vfio-pci, for a virtual machine",
		Set: []string{"driver=vfio-pci"},
	},
}

// Faults gives what Break knows, by name.
func Faults() []machine.Fault { return slices.Clone(faults) }

// Profiles gives all profiles, by name.
func Profiles() []machine.Profile { return vendor.Profiles() }
