package family

import (
	"fmt"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
)

// VFIODriver is the driver that hands PCI functions to user space
// (Documentation/driver-api/vfio.rst).
const VFIODriver = "vfio-pci"

// VFIONodes returns the device nodes by which a task uses a function that is
// bound to [VFIODriver]: VFIO's own, and that of the function's IOMMU group.
// [Check] refuses a group that holds functions of others. dir is the function's
// directory.
func VFIONodes(host *sysfs.FS, dir string) ([]core.Node, error) {
	group, err := host.LinkName(dir + "/iommu_group")
	if sysfs.IsAbsent(err) {
		return nil, fmt.Errorf("%s has no IOMMU group: turn on the IOMMU in the firmware and on the kernel's command line", dir)
	}
	if err != nil {
		return nil, err
	}
	return []core.Node{
		{Path: "/dev/vfio/vfio", Permissions: "rw"},
		{Path: "/dev/vfio/" + group, Permissions: "rw"},
	}, nil
}
