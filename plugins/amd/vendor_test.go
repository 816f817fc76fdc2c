package amd

import (
	"context"
	"fmt"
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
)

// bench is a vendor on a machine of files.
type bench struct {
	*Vendor
	t      *testing.T
	root   string
	faults *sysfstest.Faults
}

// newBench makes a vendor on a machine. change may alter the configuration.
func newBench(t *testing.T, tsv string, change ...func(*Config)) *bench {
	t.Helper()
	return newBenchOn(t, sysfstest.UnpackText(t, tsv), change...)
}

// newBenchOn is newBench on the machine below root.
func newBenchOn(t *testing.T, root string, change ...func(*Config)) *bench {
	t.Helper()
	cfg := config.Defaults[Config]()
	for _, c := range change {
		c(cfg)
	}
	if err := config.Check(cfg); err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, root: root, faults: new(sysfstest.Faults)}
	host := sysfs.New(root, b.faults.Option())
	t.Cleanup(func() { _ = host.Close() })
	b.Vendor = newVendor(cfg, hclog.NewNullLogger(), host)
	return b
}

// full returns where a host path is on this machine, links followed.
func (b *bench) full(path string) string {
	b.t.Helper()
	if at, err := b.host.Resolve(path); err == nil {
		path = at
	} else if dir, err := b.host.Resolve(filepath.Dir(path)); err == nil {
		path = dir + "/" + filepath.Base(path)
	}
	return b.host.Full(path)
}

// write puts a file on the host.
func (b *bench) write(path, content string) {
	b.t.Helper()
	full := b.full(path)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(content), 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// set writes a file of the GPU at an address.
func (b *bench) set(address, name, content string) {
	b.t.Helper()
	b.write("/sys/bus/pci/devices/"+address+"/"+name, content)
}

func (b *bench) remove(path string) {
	b.t.Helper()
	if err := os.RemoveAll(b.host.Full(path)); err != nil {
		b.t.Fatal(err)
	}
}

// fail lets accesses to a file of the GPU at an address fail, by either name that
// the plugin has for it.
func (b *bench) fail(address, name string, err error) {
	b.t.Helper()
	link := "/sys/bus/pci/devices/" + address
	b.faults.Set(link+"/"+name, err)
	dir, _ := b.host.Resolve(link)
	b.faults.Set(dir+"/"+name, err)
}

// count returns how often a file of the GPU at an address was accessed.
func (b *bench) count(address, name string) int {
	b.t.Helper()
	link := "/sys/bus/pci/devices/" + address
	dir, _ := b.host.Resolve(link)
	return b.faults.Count(link+"/"+name) + b.faults.Count(dir+"/"+name)
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
			devices, err := p.Read(context.WithoutCancel(b.t.Context()))
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
		if sick(d) {
			b.t.Errorf("%s: %v", id, codes(d))
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

// groups returns the names of the groups by ID.
func (s scan) groups() map[string]string {
	groups := map[string]string{}
	for id, d := range s.devices {
		groups[id] = d.Group.String()
	}
	return groups
}

func codes(d core.Device) []string {
	var all []string
	for _, f := range d.Faults {
		all = append(all, f.Severity.String()+" "+f.Code)
	}
	return all
}

// text renders a device, its statistics and what a task would get, for goldens and
// comparisons.
func (b *bench) text(d core.Device) string {
	b.t.Helper()
	var w strings.Builder
	fmt.Fprintf(&w, "%s\n  group %s\n  pci %s\n", d.ID, d.Group, d.PCI)
	for _, f := range d.Faults {
		fmt.Fprintf(&w, "  fault %v %s: %s\n", f.Severity, f.Code, f.Error())
	}
	for _, name := range slices.Sorted(maps.Keys(d.Attributes)) {
		fmt.Fprintf(&w, "  %s = %v\n", name, d.Attributes[name])
	}
	if d.ID == "" {
		return w.String()
	}
	readings, err := b.Measure(b.t.Context(), d)
	if err != nil {
		fmt.Fprintf(&w, "  stats: %v\n", err)
	}
	for _, r := range readings {
		fmt.Fprintf(&w, "  %s: %v", r.Name, r.Value)
		if r.Limit.Known() {
			fmt.Fprintf(&w, " / %v", r.Limit)
		}
		fmt.Fprintf(&w, " %s\n", r.Unit)
	}
	g, err := b.Grant(b.t.Context(), d)
	if err != nil {
		fmt.Fprintf(&w, "  no grant: %v\n", err)
	}
	for _, n := range g.Nodes {
		fmt.Fprintf(&w, "  node %s %s\n", n.Path, n.Permissions)
	}
	for _, key := range slices.Sorted(maps.Keys(g.Env)) {
		fmt.Fprintf(&w, "  env %s=%s\n", key, g.Env[key])
	}
	for _, key := range slices.Sorted(maps.Keys(g.Lists)) {
		fmt.Fprintf(&w, "  list %s=%s\n", key, strings.Join(g.Lists[key], ","))
	}
	return w.String()
}

// texts renders all devices of a scan by their IDs, those without by their address.
func (b *bench) texts(s scan) map[string]string {
	b.t.Helper()
	texts := map[string]string{}
	for id, d := range s.devices {
		texts[id] = b.text(d)
	}
	return texts
}

func chmod(t *testing.T, b *bench, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(b.host.Full(path), mode); err != nil {
		t.Fatal(err)
	}
}
