package amd

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/config"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/core/sysfs/sysfstest"
)

// treesVariable names the directory of captured machines, whose answer keys hold
// the plugin to what it says of hardware that none of its own fixtures is made
// after.
const treesVariable = "NOMAD_DEVICES_TREES"

// answers is what a key says of one machine: fact by subject.
type answers map[string]map[string]string

// TestTrees compares the plugin with the answer keys of captured machines.
func TestTrees(t *testing.T) {
	t.Parallel()
	root := os.Getenv(treesVariable)
	if root == "" {
		t.Skipf("%s names no directory of captured machines", treesVariable)
	}
	keys, err := filepath.Glob(filepath.Join(root, "amd", "*", "answer-key.tsv"))
	if err != nil || len(keys) == 0 {
		t.Fatalf("%s: no answer keys (%v)", root, err)
	}
	for _, key := range keys {
		for machine, want := range readAnswers(t, key) {
			file := filepath.Join(filepath.Dir(key), machine+".tsv")
			if _, err := os.Stat(file); err != nil {
				continue // a table of something else
			}
			t.Run(machine, func(t *testing.T) {
				t.Parallel()
				checkTree(t, sysfstest.Unpack(t, file), want)
			})
		}
	}
}

func readAnswers(t *testing.T, file string) map[string]answers {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all := map[string]answers{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		fields := strings.Split(lines.Text(), "\t")
		if len(fields) != 4 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		machine := all[fields[0]]
		if machine == nil {
			machine = answers{}
			all[fields[0]] = machine
		}
		if machine[fields[1]] == nil {
			machine[fields[1]] = map[string]string{}
		}
		machine[fields[1]][fields[2]] = fields[3]
	}
	return all
}

func checkTree(t *testing.T, root string, want answers) {
	t.Helper()
	v := newVendor(config.Defaults[Config](), hclog.NewNullLogger(), sysfs.New(root))
	devices := devicesOf(t, v)
	byMinor := map[int]core.Device{}
	for _, d := range devices {
		byMinor[d.Ref.(*ref).node.RenderMinor] = d
	}
	nodes := 0
	for subject, facts := range want {
		if !strings.HasPrefix(subject, "kfd:") {
			continue
		}
		minor, err := strconv.Atoi(facts["drm_render_minor"])
		if err != nil {
			continue
		}
		nodes++
		d, ok := byMinor[minor]
		if !ok {
			t.Errorf("%s: no device with renderD%d", subject, minor)
			continue
		}
		delete(byMinor, minor)
		check := func(fact, got string) {
			if expected, known := facts[fact]; known && expected != got && expected != "ABSENT" && expected != "UNKNOWN" {
				t.Errorf("%s (%s): %s is %q, want %q", d.ID, subject, fact, got, expected)
			}
		}
		check("pci_bdf", string(d.PCI))
		check("gfx", d.Attributes["gfx_target"].Text())
		check("cu_count", strconv.FormatInt(d.Attributes["compute_units"].AsInt(), 10))
		check("device_id", d.Attributes["pci_id"].Text())
		card := want[string(d.PCI)]
		if name := card["amdgpu.ids_name"]; name != "" && d.Attributes["product"].Text() != name {
			t.Errorf("%s: called %q, want %q", d.ID, d.Attributes["product"].Text(), name)
		}
		memory := card["mem_info_vram_total"]
		if d.Group.Type == typePartition || memory == "" || memory == "ABSENT" {
			memory = facts["vram_bytes(mem_banks)"]
		}
		if bytes, err := strconv.ParseInt(memory, 10, 64); err == nil && d.Attributes["memory"].AsInt() != bytes>>20 {
			t.Errorf("%s: memory is %v, want %d bytes", d.ID, d.Attributes["memory"], bytes)
		}
		if healthy, known := card["healthy(proposed)"]; known && strings.HasPrefix(healthy, "true") != !sick(d) && !strings.Contains(healthy, "first scan: true") {
			t.Errorf("%s: faults %v, and the key says healthy: %s", d.ID, d.Faults, healthy)
		}
	}
	if len(byMinor) > 0 {
		t.Errorf("devices that the key does not know: %v", byMinor)
	}
	if count := want["*"]["gpu_kfd_nodes"]; count != strconv.Itoa(nodes) {
		t.Errorf("the key has %d nodes and says %s", nodes, count)
	}
}

func sick(d core.Device) bool {
	return slices.ContainsFunc(d.Faults, func(f core.Fault) bool { return f.Severity > core.Notice })
}

// devicesOf scans once.
func devicesOf(t *testing.T, v *Vendor) []core.Device {
	t.Helper()
	inventory, err := v.Discover(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var devices []core.Device
	for _, p := range inventory.Probes {
		found, err := p.Read(context.WithoutCancel(t.Context()))
		if err != nil {
			t.Errorf("%s: %v", p.Key, err)
		}
		for _, d := range found {
			if d.ID == "" {
				t.Errorf("%s: unidentified: %v", p.Key, d.Faults)
				continue
			}
			devices = append(devices, d)
		}
	}
	slices.SortFunc(devices, func(a, b core.Device) int { return strings.Compare(a.ID, b.ID) })
	if testing.Verbose() {
		for _, n := range inventory.Notes {
			fmt.Fprintln(os.Stderr, "note:", n.Subject, n.Text)
		}
	}
	return devices
}
