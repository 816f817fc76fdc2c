package amd

import (
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/config"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/core/sysfs/sysfstest"
)

// accesses counts what is done to a machine.
type accesses struct {
	mu    sync.Mutex
	count map[string]int // by operation and path
}

func (a *accesses) option() sysfs.Option {
	return sysfs.WithHook(func(op, path string) error {
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.count == nil {
			a.count = map[string]int{}
		}
		a.count[op+" "+path]++
		return nil
	})
}

// take returns what was done since the last take.
func (a *accesses) take() (count map[string]int, total int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	count, a.count = a.count, nil
	for _, n := range count {
		total += n
	}
	return count, total
}

// node64 is a node with eight GPUs, each divided into eight, and with other PCI
// functions beside them.
func node64() string {
	g := cpx
	all := eight(g)
	var b strings.Builder
	b.WriteString(machine(all...))
	for i := range 200 {
		fmt.Fprintf(&b, "/sys/bus/pci/devices/0001:%02x:%02x.0/vendor\t0x8086\\n\n", i/32, i%32)
	}
	return b.String()
}

// look scans and returns the devices.
func look(tb testing.TB, v *Vendor) []core.Device {
	tb.Helper()
	inventory, err := v.Discover(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	var devices []core.Device
	for _, p := range inventory.Probes {
		found, err := p.Read(tb.Context())
		if err != nil {
			tb.Error(err)
		}
		devices = append(devices, found...)
	}
	return devices
}

func measure(tb testing.TB, v *Vendor, devices []core.Device) {
	tb.Helper()
	for _, d := range devices {
		if _, err := v.Measure(tb.Context(), d); err != nil {
			tb.Error(err)
		}
	}
}

// TestAccesses bounds what a scan and a cycle of statistics cost, in accesses to
// files. A scan with the error counters adds one for each block of each GPU.
func TestAccesses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		machine string
		devices int
		// scan and statistics are the most accesses for each; foreign is the number of
		// functions that are no GPUs.
		scan, statistics, foreign int
	}{
		{"8 GPUs, each divided into 8", node64(), 64, 8*(34+8*6) + 20, 8 * 20, 208},
		{"8 whole GPUs", machine(eight(spx)...), 8, 8*40 + 10, 8 * 30, 8},
		{"a Radeon", machine(radeon), 1, 66, 32, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var a accesses
			v := newVendor(config.Defaults[Config](), hclog.NewNullLogger(), sysfs.New(sysfstest.UnpackText(t, tt.machine), a.option()))
			devices := look(t, v)
			if len(devices) != tt.devices {
				t.Fatalf("%d devices", len(devices))
			}
			_, first := a.take()
			look(t, v)
			count, later := a.take()
			if later > tt.scan+tt.foreign {
				t.Errorf("a scan makes %d accesses, want at most %d", later, tt.scan+tt.foreign)
			}
			for what, n := range count {
				if n > 1 && !strings.HasSuffix(what, "/generation_id") {
					t.Errorf("a scan does %s %d times", what, n)
				}
			}
			measure(t, v, devices)
			_, statistics := a.take()
			if statistics > tt.statistics {
				t.Errorf("a cycle of statistics makes %d accesses, want at most %d", statistics, tt.statistics)
			}
			t.Logf("accesses: the first scan %d, a later one %d, statistics %d", first, later, statistics)
		})
	}
}

// TestNeverTouched has the files that must not be read: one that the kernel sleeps a
// second for, some that reach into the hardware, some that change it.
func TestNeverTouched(t *testing.T) {
	t.Parallel()
	for name, tsv := range machines(t) {
		var a accesses
		v := newVendor(config.Defaults[Config](), hclog.NewNullLogger(), sysfs.New(sysfstest.UnpackText(t, tsv), a.option()))
		for range 2 {
			devices := look(t, v)
			measure(t, v, devices)
			for _, d := range devices {
				_, _ = v.Grant(t.Context(), d)
			}
		}
		count, _ := a.take()
		for what := range count {
			op, file, _ := strings.Cut(what, " ")
			base := path.Base(file)
			switch op {
			case "read", "readdir", "readlink", "stat", "lstat", "resolve":
			default:
				t.Errorf("%s: %s", name, what)
			}
			if op == "read" && strings.HasPrefix(file, "/dev") || strings.HasPrefix(file, "/sys/kernel/debug") {
				t.Errorf("%s: %s", name, what)
			}
			for _, never := range []string{"pcie_bw", "config", "rom", "resource", "reg_state", "pp_table", "psp_vbflash", "mem_info_preempt"} {
				if strings.HasPrefix(base, never) {
					t.Errorf("%s: %s", name, what)
				}
			}
		}
	}
}

// TestNothingIsWritten holds the package to reading by the core's sysfs, which cannot
// write.
func TestNothingIsWritten(t *testing.T) {
	t.Parallel()
	sources, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	looked := 0
	for _, source := range sources {
		if strings.HasSuffix(source, "_test.go") {
			continue
		}
		looked++
		file, err := parser.ParseFile(token.NewFileSet(), source, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, imported := range file.Imports {
			if p := strings.Trim(imported.Path.Value, `"`); p == "os" || strings.HasPrefix(p, "golang.org/x/sys") {
				t.Errorf("%s imports %s", source, p)
			}
		}
	}
	if looked < 10 {
		t.Errorf("only %d sources", looked)
	}
}

// onMemory unpacks a machine where reading costs about what it does in sysfs.
func onMemory(b *testing.B, tsv string) string {
	b.Helper()
	root, err := os.MkdirTemp("/dev/shm", "amd") //nolint:usetesting // b.TempDir is on a disk
	if err != nil {
		root = b.TempDir()
	}
	b.Cleanup(func() { _ = os.RemoveAll(root) })
	if err := sysfstest.Write(root, strings.NewReader(tsv)); err != nil {
		b.Fatal(err)
	}
	return root
}

// BenchmarkScan scans a node with eight GPUs and 64 partitions, card by card. The core
// reads the cards side by side.
func BenchmarkScan(b *testing.B) {
	var a accesses
	v := newVendor(config.Defaults[Config](), hclog.NewNullLogger(), sysfs.New(onMemory(b, node64()), a.option()))
	look(b, v)
	a.take()
	b.ReportAllocs()
	scans := 0
	for b.Loop() {
		if devices := look(b, v); len(devices) != 64 {
			b.Fatalf("%d devices", len(devices))
		}
		scans++
	}
	_, total := a.take()
	b.ReportMetric(float64(total)/float64(scans), "accesses/op")
}

// BenchmarkStatistics reads the statistics of the same node.
func BenchmarkStatistics(b *testing.B) {
	var a accesses
	v := newVendor(config.Defaults[Config](), hclog.NewNullLogger(), sysfs.New(onMemory(b, node64()), a.option()))
	devices := look(b, v)
	a.take()
	b.ReportAllocs()
	cycles := 0
	for b.Loop() {
		for _, d := range devices {
			d.Ref.(*ref).card.parent.at = d.Ref.(*ref).card.parent.at.Add(-parentAge) // a second has passed
		}
		measure(b, v, devices)
		cycles++
	}
	_, total := a.take()
	b.ReportMetric(float64(total)/float64(cycles), "accesses/op")
}
