package family_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/core/sysfs/sysfstest"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/family"
)

func TestPCIAttributes(t *testing.T) {
	t.Parallel()
	host := sysfs.New(sysfstest.UnpackText(t, `
/sys/bus/pci/devices/0000:b1:00.0	-> ../../../devices/pci0000:b0/0000:b1:00.0
/sys/devices/pci0000:b0/0000:b1:00.0/vendor	0x0086\n
/sys/devices/pci0000:b0/0000:b1:00.0/device	0xbcce\n
/sys/devices/pci0000:b0/0000:b1:00.0/subsystem_vendor	0x8086\n
/sys/devices/pci0000:b0/0000:b1:00.0/subsystem_device	0x1771\n
/sys/devices/pci0000:b0/0000:b1:00.0/numa_node	1\n
/sys/devices/pci0000:b0/0000:b1:00.0/current_link_speed	16.0 GT/s PCIe\n
/sys/devices/pci0000:b0/0000:b1:00.0/current_link_width	8\n
`))
	got := map[string]core.Value{}
	family.NewScan(host, family.NewMemory()).PCIAttributes(got, "0000:b1:00.0")
	want := map[string]core.Value{
		"pci_id": core.String("0086:bcce"), "pci_subsystem": core.String("8086:1771"),
		"pci_vendor": core.String("0x0086"), "pci_device": core.String("0xbcce"), "numa_node": core.String("node1"),
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b core.Value) bool { return a == b })); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if link := family.ReadLink(host, "0000:b1:00.0"); link.Value != core.String("gen4 x8") {
		t.Errorf("link %v", link)
	}
}

// A scan of a host reads each file once, whoever asks, and of a function that is
// no FPGA the vendor alone.
func TestScanReadsOnce(t *testing.T) {
	t.Parallel()
	const dir = "/sys/bus/pci/devices/0000:b1:00.0"
	var faults sysfstest.Faults
	host := sysfs.New(sysfstest.UnpackText(t, dir+"/vendor\t0x8086\n"+dir+"/device\t0xbcce\n"), faults.Option())
	scan := family.NewScan(host, family.NewMemory())
	for range 2 {
		if vendor, err := scan.Vendor("0000:b1:00.0"); vendor != 0x8086 || err != nil {
			t.Errorf("vendor %#x, %v", vendor, err)
		}
	}
	if n := faults.Count(dir + "/device"); n != 0 {
		t.Errorf("the device was read %d times for the vendor", n)
	}
	for range 2 {
		if id, err := scan.PCI("0000:b1:00.0"); id.String() != "8086:bcce" || err != nil {
			t.Errorf("ID %v, %v", id, err)
		}
	}
	if v, d := faults.Count(dir+"/vendor"), faults.Count(dir+"/device"); v != 1 || d != 1 {
		t.Errorf("vendor and device were read %d and %d times", v, d)
	}
}
