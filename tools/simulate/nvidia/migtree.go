package nvidia

import (
	"fmt"
	"strings"
	"sync"

	"github.com/nomad-devices/nomad-devices/tools/simulate/tree"
)

// How the driver numbers its MIG capabilities: config and monitor, and then for
// each GPU the same number of instances, whether they exist or not.
const (
	capConfig       = 1
	capMonitor      = 2
	capFirst        = 3
	gpuInstances    = 15
	computePerGPU   = 8
	capsPerInstance = 1 + computePerGPU
	capsPerGPU      = gpuInstances * capsPerInstance
	// capGPUs is how many GPUs the table has room for, whatever the machine.
	capGPUs = 32
)

func capInstance(minor, gi int) int    { return capFirst + minor*capsPerGPU + gi*capsPerInstance }
func capCompute(minor, gi, ci int) int { return capInstance(minor, gi) + 1 + ci }

// capsTable has all capabilities that there could be, whatever the machine.
var capsTable = sync.OnceValue(func() string {
	var table strings.Builder
	fmt.Fprintf(&table, "config %d\nmonitor %d\n", capConfig, capMonitor)
	for minor := range capGPUs {
		for gi := range gpuInstances {
			fmt.Fprintf(&table, "gpu%d/gi%d/access %d\n", minor, gi, capInstance(minor, gi))
			for ci := range computePerGPU {
				fmt.Fprintf(&table, "gpu%d/gi%d/ci%d/access %d\n", minor, gi, ci, capCompute(minor, gi, ci))
			}
		}
	}
	return table.String()
})

// capsTree is what the driver shows of capabilities without any MIG device.
func capsTree(t *tree.Tree) {
	t.File("/proc/driver/nvidia-caps/mig-minors", capsTable())
	capability(t, "mig/config", capConfig)
	capability(t, "mig/monitor", capMonitor)
}

// migTree is what the driver shows of the MIG devices of a GPU.
func migTree(t *tree.Tree, v view, n, minor int) {
	t.Dir(fmt.Sprintf("/proc/driver/nvidia/capabilities/gpu%d/mig", minor))
	for _, s := range v.slots(n) {
		instance := fmt.Sprintf("gpu%d/mig/gi%d", minor, s.gi)
		capability(t, instance+"/access", capInstance(minor, s.gi))
		capability(t, fmt.Sprintf("%s/ci%d/access", instance, s.ci), capCompute(minor, s.gi, s.ci))
	}
}

func capability(t *tree.Tree, name string, minor int) {
	t.File("/proc/driver/nvidia/capabilities/"+name,
		fmt.Sprintf("DeviceFileMinor: %d\nDeviceFileMode: 292\nDeviceFileModify: 1\n", minor))
	t.Node(fmt.Sprintf("/dev/nvidia-caps/nvidia-cap%d", minor))
}
