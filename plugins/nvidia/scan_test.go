package nvidia

import (
	"context"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/config"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/core/sysfs/sysfstest"
	"github.com/nomad-devices/nomad-devices/plugins/nvidia/internal/nvml"
	"github.com/nomad-devices/nomad-devices/plugins/nvidia/internal/nvml/nvmltest"
)

// bench is a vendor on a fake driver and a host of files.
type bench struct {
	*Vendor
	t    *testing.T
	lib  *nvmltest.Library
	root string
}

// newBench makes a vendor on a host that shows the GPUs as the kernel module
// does. change may alter the configuration.
func newBench(t *testing.T, lib *nvmltest.Library, change ...func(*Config)) *bench {
	t.Helper()
	var tsv strings.Builder
	tsv.WriteString(moduleVersionPath + "\t" + lib.Driver + "\n/proc/meminfo\tMemTotal: 125829120 kB\\nMemAvailable: 100000000 kB\\n\n")
	for i, g := range lib.GPUs {
		if g != nil {
			tsv.WriteString(gpusPath + "/" + g.PCI.Address() + "/information\tModel: x\n")
			tsv.WriteString("/sys/bus/pci/devices/" + g.PCI.Address() + "/numa_node\t" + string(rune('0'+i%2)) + "\n")
		}
	}
	return newBenchOn(t, lib, sysfstest.UnpackText(t, tsv.String()), change...)
}

// newBenchOn is newBench on the host below root.
func newBenchOn(t *testing.T, lib *nvmltest.Library, root string, change ...func(*Config)) *bench {
	t.Helper()
	cfg := config.Defaults[Config]()
	for _, c := range change {
		c(cfg)
	}
	if err := config.Check(cfg); err != nil {
		t.Fatal(err)
	}
	files := sysfs.New(root)
	t.Cleanup(func() { _ = files.Close() })
	return &bench{Vendor: newVendor(cfg, hclog.NewNullLogger(), files, lib), t: t, lib: lib, root: root}
}

// write puts a file on the host.
func (b *bench) write(path, content string) {
	b.t.Helper()
	full := filepath.Join(b.root, path)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(content), 0o644); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) remove(path string) {
	b.t.Helper()
	if err := os.RemoveAll(filepath.Join(b.root, path)); err != nil {
		b.t.Fatal(err)
	}
}

// scan is what one look found.
type scan struct {
	notes   []core.Note
	devices map[string]core.Device // by ID, those without one by "PCI?"
	errs    map[string]error       // by probe key
	err     error                  // of Discover
}

// scan looks once, the cards side by side as the core does.
func (b *bench) scan() scan {
	b.t.Helper()
	inventory, err := b.Discover(b.t.Context())
	s := scan{notes: inventory.Notes, err: err, devices: map[string]core.Device{}, errs: map[string]error{}}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, p := range inventory.Probes {
		wg.Go(func() {
			devices, err := p.Read(b.t.Context())
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				s.errs[p.Key] = err
			}
			for _, d := range devices {
				key := d.ID
				if key == "" {
					key = string(d.PCI) + "?"
				}
				if _, twice := s.devices[key]; twice {
					b.t.Errorf("%s was found twice", key)
				}
				s.devices[key] = d
			}
		})
	}
	wg.Wait()
	return s
}

// good looks once, and expects nothing to be wrong.
func (b *bench) good() scan {
	b.t.Helper()
	s := b.scan()
	if s.err != nil || len(s.errs) > 0 {
		b.t.Fatalf("scan: %v, %v", s.err, s.errs)
	}
	for id, d := range s.devices {
		for _, f := range d.Faults {
			if f.Severity != core.Notice {
				b.t.Errorf("%s: %v", id, f.Error())
			}
		}
	}
	return s
}

func (s scan) ids() []string { return slices.Sorted(maps.Keys(s.devices)) }

// only returns the one device of the scan.
func (s scan) only(t *testing.T) core.Device {
	t.Helper()
	if len(s.devices) != 1 {
		t.Fatalf("devices: %v (errors %v, notes %v), want one", s.ids(), s.errs, s.notes)
	}
	return s.devices[s.ids()[0]]
}

// calls returns how many driver calls f makes.
func (b *bench) calls(f func()) int {
	b.lib.ResetCounts()
	f()
	return b.lib.Total()
}

// plain is a device in a form that can be compared and stored.
func plain(d core.Device) map[string]any {
	attributes := map[string]string{}
	for k, v := range d.Attributes {
		attributes[k] = v.String()
	}
	m := map[string]any{"group": d.Group.String(), "pci": string(d.PCI), "attributes": attributes}
	if len(d.Faults) > 0 {
		m["faults"] = codes(d.Faults)
	}
	if r, ok := d.Ref.(*ref); ok {
		m["minor"] = r.minor
		if r.at != wholeGPU {
			m["instance"] = []uint32{r.at.gi, r.at.ci}
		}
	}
	return m
}

// text renders the devices of a scan, for goldens and comparisons.
func (s scan) text(t *testing.T) string {
	t.Helper()
	all := map[string]any{}
	for id, d := range s.devices {
		all[id] = plain(d)
	}
	text, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text) + "\n"
}

// everyCall returns the calls that a scan of these GPUs makes.
func everyCall(t *testing.T, lib *nvmltest.Library) []nvml.Call {
	t.Helper()
	b := newBench(t, lib)
	b.good()
	return slices.Sorted(maps.Keys(lib.Counts()))
}

// reader returns a function that reads the card with a key once more.
func (b *bench) reader(key string) func(context.Context) ([]core.Device, error) {
	b.t.Helper()
	inventory, err := b.Discover(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	for _, p := range inventory.Probes {
		if p.Key == key {
			return p.Read
		}
	}
	b.t.Fatalf("no card %s", key)
	return nil
}
