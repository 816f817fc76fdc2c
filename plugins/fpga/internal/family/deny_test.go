package family_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/core/sysfs/sysfstest"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/family"
)

// host is a machine with something of everything that is not handed over.
const host = `
/dev/harmless	!chardev
/dev/innocent	-> mem
/dev/mem	!chardev
/sys/class/uio/uio0	-> ../../devices/pci0000:b0/0000:b1:00.0/dfl_dev.6/uio/uio0
/sys/class/uio/uio1	-> ../../devices/pci0000:b0/0000:b1:00.0/dfl_dev.7/uio/uio1
/sys/class/uio/uio2	-> ../../devices/platform/a/uio/uio2
/sys/class/uio/uio3	-> ../../devices/pci0000:b0/0000:b1:00.0/dfl_dev.8/uio/uio3
/sys/devices/pci0000:b0/0000:b1:00.0/dfl_dev.6/type	0x0\n
/sys/devices/pci0000:b0/0000:b1:00.0/dfl_dev.6/uio/uio0/device	-> ../../../dfl_dev.6
/sys/devices/pci0000:b0/0000:b1:00.0/dfl_dev.7/type	0x1\n
/sys/devices/pci0000:b0/0000:b1:00.0/dfl_dev.7/uio/uio1/device	-> ../../../dfl_dev.7
/sys/devices/pci0000:b0/0000:b1:00.0/dfl_dev.8/type	!unreadable
/sys/devices/pci0000:b0/0000:b1:00.0/dfl_dev.8/uio/uio3/device	-> ../../../dfl_dev.8
/sys/devices/platform/a/uio/uio2/device	-> ../../../a
/sys/kernel/iommu_groups/1/devices/0000:b1:00.5	-> ../../../../devices/pci0000:b0/0000:b1:00.5
/sys/kernel/iommu_groups/2/devices/0000:b1:00.5	-> ../../../../devices/pci0000:b0/0000:b1:00.5
/sys/kernel/iommu_groups/2/devices/0000:b1:00.6	-> ../../../../devices/pci0000:b0/0000:b1:00.6
/sys/kernel/iommu_groups/3/devices/0000:b1:00.5	-> ../../../../devices/pci0000:b0/0000:b1:00.5
/sys/kernel/iommu_groups/3/devices/0000:b0:00.0	-> ../../../../devices/pci0000:b0/0000:b0:00.0
/sys/bus/pci/devices/0000:b0:00.0/vendor	0x8086\n
/sys/bus/pci/devices/0000:b0:00.0/device	0x1234\n
/sys/bus/pci/devices/0000:b0:00.0/class	0x060400\n
/sys/bus/pci/devices/0000:b1:00.6/vendor	0x8086\n
/sys/bus/pci/devices/0000:b1:00.6/device	0xbccf\n
/sys/bus/pci/devices/0000:b1:00.6/class	0x120000\n
/sys/bus/pci/devices/0000:9f:00.0	-> ../../../devices/pci0000:9e/0000:9f:00.0
/sys/bus/pci/devices/0000:9f:00.1	-> ../../../devices/pci0000:9e/0000:9f:00.1
/sys/devices/pci0000:9e/0000:9f:00.0/vendor	0x6789\n
/sys/devices/pci0000:9e/0000:9f:00.0/device	0x1d50\n
/sys/devices/pci0000:9e/0000:9f:00.0/resource0	!binary 4096 bytes
/sys/devices/pci0000:9e/0000:9f:00.0/resource4_wc	!binary 4096 bytes
/sys/devices/pci0000:9e/0000:9f:00.0/reset	!unreadable
/sys/devices/pci0000:9e/0000:9f:00.1/vendor	0x1d0f\n
/sys/devices/pci0000:9e/0000:9f:00.1/device	0x9248\n
/sys/devices/pci0000:9e/0000:9f:00.1/resource0	!binary 4096 bytes
/opt/xilinx/xrt/lib	text
`

func TestCheckNodes(t *testing.T) {
	t.Parallel()
	fs := sysfs.New(sysfstest.UnpackText(t, host))
	own := []core.PCIAddress{"0000:b1:00.5"}
	for node, says := range map[string]string{ // "" is allowed
		"/dev/dfl-port.0": "", "/dev/intel-fpga-port.1": "", "/dev/dri/renderD128": "", "/dev/vfio/vfio": "",
		"/dev/xfpga/dma.qdma.u25857.0": "", "/dev/harmless": "", "/dev/uio1": "", "/dev/uio2": "", "/dev/uio7": "",
		"/dev/vfio/1": "", "/dev/vfio/3": "",
		"/dev/dfl-fme.0": "program the card", "/dev/intel-fpga-fme.12": "program the card", "/dev/fpga0": "program the FPGA",
		"/dev/fpga_image_load0": "flash", "/dev/ifpga_sec0": "flash", "/dev/mtd0": "flash", "/dev/mtd0ro": "flash", "/dev/avmmi-bmc.3.auto": "flash",
		"/dev/xclmgmt25856": "flash and reset it", "/dev/xfpga/icap.m25856.0": "JTAG", "/dev/xfpga/xvc_pri.m25856.0": "JTAG",
		"/dev/ami1": "flash", "/dev/ami0": "all cards", "/dev/ami-bdf-c1:00.0": "flash",
		"/dev/ptp2": "clock", "/dev/mem": "memory", "/dev/kmem": "memory", "/dev/innocent": "memory", "/dev/../dev/mem": "memory",
		"/dev/uio0": "management engine", "/dev/uio3": "cannot be read",
		"/dev/vfio/2": "0000:b1:00.6", "/dev/vfio/9": "cannot be read", "/etc/shadow": "below /dev", "/dev": "below /dev",
	} {
		err := family.Check(fs, family.Grant{Own: own, Grant: core.Grant{Nodes: []core.Node{{Path: node, Permissions: "rw"}}}})
		switch {
		case says == "" && err != nil:
			t.Errorf("%s: %v", node, err)
		case says != "" && (!errors.Is(err, family.ErrDenied) || !strings.Contains(err.Error(), says)):
			t.Errorf("%s: error %v, want one that says %q", node, err, says)
		}
	}
}

// What the configuration names may be handed over, but not everything.
func TestCheckExceptions(t *testing.T) {
	t.Parallel()
	fs := sysfs.New(t.TempDir())
	for node, allowed := range map[string]bool{
		"/dev/dfl-fme.0": true, "/dev/ami1": true, "/dev/fpga0": false,
		"/dev/ami0": false, "/dev/mem": false, "/dev/xclmgmt1": false, "/dev/mtd0": false,
	} {
		err := family.Check(fs, family.Grant{
			Grant:      core.Grant{Nodes: []core.Node{{Path: node, Permissions: "rw"}}},
			Exceptions: []string{node},
		})
		if allowed != (err == nil) {
			t.Errorf("%s: %v", node, err)
		}
		if err := family.Check(fs, family.Grant{Grant: core.Grant{Nodes: []core.Node{{Path: node}}}, Exceptions: []string{"/dev/other"}}); err == nil {
			t.Errorf("%s: the exception of another node lets it pass", node)
		}
	}
}

func TestCheckMounts(t *testing.T) {
	t.Parallel()
	fs := sysfs.New(sysfstest.UnpackText(t, host))
	const app, mgmt = "/sys/bus/pci/devices/0000:9f:00.0/", "/sys/bus/pci/devices/0000:9f:00.1/"
	for _, test := range []struct {
		path     string
		writable bool
		says     string
	}{
		{"/opt/xilinx/xrt", false, ""},
		{"/opt/xilinx/xrt", true, ""},
		{"/sys/class/uio", false, ""},
		{app + "resource0", true, ""},
		{app + "resource4_wc", true, ""},
		{app + "reset", true, "resets"},
		{app, true, "resets"},
		{"/sys", true, "resets"},
		{mgmt + "resource0", true, "management function"},
		{"/dev/mem", false, "as nodes"},
		{"/dev/innocent", true, "as nodes"},
		{"/sys/devices/platform/a/resource0", true, "no PCI function"},
		{"/sys/devices/pci0000:00/0000:00:01.0/resource0", true, "cannot be read"},
	} {
		err := family.Check(fs, family.Grant{Grant: core.Grant{Mounts: []core.Mount{{HostPath: test.path, TaskPath: test.path, Writable: test.writable}}}})
		switch {
		case test.says == "" && err != nil:
			t.Errorf("%s: %v", test.path, err)
		case test.says != "" && (!errors.Is(err, family.ErrDenied) || !strings.Contains(err.Error(), test.says)):
			t.Errorf("%s: error %v, want one that says %q", test.path, err, test.says)
		}
	}
}
