package fpga

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/config"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/core/sysfs/sysfstest"
)

// node returns a machine with a number of DFL cards, each with a board controller
// of 40 sensors, and with functions of other devices.
func node(cards, foreign int) string {
	var b strings.Builder
	w := func(path, value string) { b.WriteString(path + "\t" + value + "\n") }
	function := func(address, dir string, vendor, device int) {
		w("/sys/bus/pci/devices/"+address, "-> ../../.."+strings.TrimPrefix(dir, "/sys"))
		for _, f := range []struct {
			name  string
			value int
		}{{"vendor", vendor}, {"device", device}, {"subsystem_vendor", 0x8086}, {"subsystem_device", 0x1771}, {"class", 0x120000}, {"revision", 1}} {
			w(dir+"/"+f.name, fmt.Sprintf(`0x%04x\n`, f.value))
		}
		w(dir+"/numa_node", `0\n`)
	}
	for i := range foreign {
		address := fmt.Sprintf("0000:%02x:%02x.0", 0x80+i/32, i%32)
		function(address, "/sys/devices/pci0000:80/"+address, 0x8086, 0x1234)
	}
	for i := range cards {
		address := fmt.Sprintf("0000:%02x:00.0", 0x10+i)
		pci := fmt.Sprintf("/sys/devices/pci0000:%02x/0000:%02x:02.0/%s", i, i, address)
		function(address, pci, 0x8086, 0xbcce)
		region := fmt.Sprintf("%s/fpga_region/region%d", pci, 2*i)
		engine, port := fmt.Sprintf("%s/dfl-fme.%d", region, i), fmt.Sprintf("%s/dfl-port.%d", region, i)
		inner := fmt.Sprintf("%s/dfl-fme-region.%d/fpga_region/region%d", engine, i, 2*i+1)
		manager := fmt.Sprintf("%s/dfl-fme-mgr.%d/fpga_manager/fpga%d", engine, i, i)
		sensors := fmt.Sprintf("%s/dfl_dev.3/n6000bmc-hwmon.2.auto/hwmon/hwmon%d", engine, i)
		for class, dir := range map[string]string{
			fmt.Sprintf("fpga_region/region%d", 2*i): region, fmt.Sprintf("fpga_region/region%d", 2*i+1): inner,
			fmt.Sprintf("fpga_manager/fpga%d", i): manager, fmt.Sprintf("hwmon/hwmon%d", i): sensors,
		} {
			w("/sys/class/"+class, "-> ../.."+strings.TrimPrefix(dir, "/sys"))
		}
		w(inner+"/compat_id", `0c1d2e3f4a5b6c7d8e9fa0b1c2d3e4f5\n`)
		w(manager+"/state", `operating\n`)
		w(engine+"/bitstream_id", `0x4020012a5c0ffee\n`)
		w(engine+"/bitstream_metadata", `0x2307182\n`)
		w(engine+"/errors/catfatal_errors", `0x0\n`)
		w(port+"/id", `0\n`)
		w(port+"/afu_id", `11112222333344445555666677778888\n`)
		w(port+"/power_state", `0x0\n`)
		w(sensors+"/name", `n6000bmc_hwmon\n`)
		for n := range 40 {
			w(fmt.Sprintf("%s/temp%d_input", sensors, n), `48000\n`)
			w(fmt.Sprintf("%s/temp%d_label", sensors, n), fmt.Sprintf(`FPGA Temperature #%d\n`, n))
		}
		w(fmt.Sprintf("/dev/dfl-fme.%d", i), "!chardev")
		w(fmt.Sprintf("/dev/dfl-port.%d", i), "!chardev")
	}
	return b.String()
}

// configured returns a configuration with everything turned on that only looks.
func configured() *Config {
	cfg := config.Defaults[Config]()
	cfg.DFL.VFIO, cfg.DFL.UIO, cfg.FPGAManagers = true, true, true
	return cfg
}

// look scans as the core does, card by card.
func look(tb testing.TB, v *Vendor) ([]core.Device, core.Inventory) {
	tb.Helper()
	inventory, err := v.Discover(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	var devices []core.Device
	for _, p := range inventory.Probes {
		found, err := p.Read(tb.Context())
		if err != nil {
			tb.Errorf("%s: %v", p.Key, err)
		}
		devices = append(devices, found...)
	}
	return devices, inventory
}

// accesses counts what is done to a tree.
type accesses struct {
	mu    sync.Mutex
	count map[string]int // by operation and path
	hook  func(op, path string) error
}

func (a *accesses) option() sysfs.Option {
	return sysfs.WithHook(func(op, path string) error {
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.count == nil {
			a.count = map[string]int{}
		}
		a.count[op+" "+path]++
		if a.hook == nil {
			return nil
		}
		return a.hook(op, path)
	})
}

// A scan of a node with eight cards reads each file once, lists each directory
// once, and of a function that is no FPGA at most its vendor.
func TestScanReadsEachFileOnce(t *testing.T) {
	t.Parallel()
	var seen accesses
	v := newVendor(configured(), hclog.NewNullLogger(), sysfs.New(sysfstest.UnpackText(t, node(8, 200)), seen.option()))
	if devices, _ := look(t, v); len(devices) != 8 {
		t.Fatalf("%d devices", len(devices))
	}
	foreign := 0
	for what, n := range seen.count {
		if n > 1 {
			t.Errorf("%d times: %s", n, what)
		}
		if strings.HasPrefix(what, "read /sys/bus/pci/devices/0000:8") {
			foreign++
			if !strings.HasSuffix(what, "/vendor") {
				t.Errorf("of a function that is no FPGA: %s", what)
			}
		}
	}
	if foreign > 200 {
		t.Errorf("%d reads for functions that are no FPGAs", foreign)
	}
}

func BenchmarkScan(b *testing.B) {
	for _, foreign := range []int{0, 200} {
		const cards = 8
		b.Run(fmt.Sprintf("8 cards of %d functions", 8+foreign), func(b *testing.B) {
			root, err := os.MkdirTemp("/dev/shm", "fpga") //nolint:usetesting // a tmpfs, as sysfs nearly is
			if err != nil {
				root = b.TempDir()
			}
			b.Cleanup(func() { _ = os.RemoveAll(root) })
			if err := sysfstest.Write(root, strings.NewReader(node(cards, foreign))); err != nil {
				b.Fatal(err)
			}
			v := newVendor(config.Defaults[Config](), hclog.NewNullLogger(), sysfs.New(root))
			b.ReportAllocs()
			for b.Loop() {
				if devices, _ := look(b, v); len(devices) != cards {
					b.Fatalf("%d devices", len(devices))
				}
			}
		})
	}
}
