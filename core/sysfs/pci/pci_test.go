package pci_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/core/sysfs/pci"
	"github.com/nomad-devices/nomad-devices/core/sysfs/sysfstest"
)

func unpack(t *testing.T, options ...sysfs.Option) *sysfs.FS {
	t.Helper()
	return sysfs.New(sysfstest.Unpack(t, filepath.Join("testdata", "functions.tsv")), options...)
}

func TestRead(t *testing.T) {
	t.Parallel()
	host := unpack(t)
	tests := []struct {
		want pci.Function
		err  string // part of the error, or empty
	}{
		{want: pci.Function{
			ID: pci.ID{
				Vendor: 0x10de, Device: 0x2330, SubsystemVendor: 0x10de, SubsystemDevice: 0x16c1,
				Class: 0x030200, Revision: 0xa1,
			},
			Address: "0000:3b:00.0", Driver: "nvidia", NUMANode: 1,
		}},
		{want: pci.Function{
			ID:      pci.ID{Vendor: 0x8086, Device: 0xbcce, Class: 0x120000},
			Address: "0000:5e:00.0", NUMANode: -1,
		}},
		{want: pci.Function{
			ID:      pci.ID{Vendor: 0x8086, Device: 0xbccf, Class: 0x120000},
			Address: "0000:5e:00.4", Driver: "vfio-pci", NUMANode: -1, PhysFn: "0000:5e:00.0",
		}},
		{want: pci.Function{
			ID:      pci.ID{Vendor: 0x144d, Device: 0xa808, Class: 0x010802},
			Address: "10000:01:00.0", NUMANode: -1,
		}},
		{want: pci.Function{ // fell off the bus
			ID:      pci.ID{Vendor: 0x1002, Device: 0x74a1, Class: 0x120000},
			Address: "0000:86:00.0", NUMANode: -1,
		}},
		{want: pci.Function{
			ID:      pci.ID{Vendor: 0x10ee, Device: 0x5000, SubsystemVendor: 0x10ee, Class: 0x120000},
			Address: "0000:af:00.0", NUMANode: -1,
		}, err: "subsystem_device"},
		{want: pci.Function{Address: "0000:d8:00.0", NUMANode: -1}, err: "vendor"},
		{want: pci.Function{Address: "0000:ff:00.0", NUMANode: -1}, err: "no such file"},
	}
	for _, test := range tests {
		t.Run(string(test.want.Address), func(t *testing.T) {
			t.Parallel()
			got, err := pci.Read(host, test.want.Address)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if test.err == "" && err != nil {
				t.Errorf("error %v", err)
			}
			if test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)) {
				t.Errorf("error %v, want one about %q", err, test.err)
			}
		})
	}
	if _, err := pci.Read(host, "0000:ff:00.0"); !sysfs.IsAbsent(err) {
		t.Errorf("a function that is not there: %v, want an error that is absent", err)
	}
	if _, err := pci.Read(host, "0000:af:00.0"); sysfs.IsAbsent(err) {
		t.Errorf("a file that cannot be read: %v is absent", err)
	}
}

func TestReadLinks(t *testing.T) {
	t.Parallel()
	var faults sysfstest.Faults
	host := unpack(t, faults.Option())
	now, most := pci.ReadLinks(host, "0000:3b:00.0")
	if want := (pci.Link{Speed: 2.5, Width: 16}); now != want {
		t.Errorf("runs at %v, want %v", now, want)
	}
	if want := (pci.Link{Speed: 32, Width: 16}); most != want {
		t.Errorf("could run at %v, want %v", most, want)
	}
	faults.Set(pci.Path("0000:3b:00.0")+"/current_link_speed", syscall.EINVAL)
	if now, _ := pci.ReadLinks(host, "0000:3b:00.0"); now != (pci.Link{Width: 16}) {
		t.Errorf("a speed that cannot be read is %v", now)
	}
}

func addresses(functions []pci.Function) []core.PCIAddress {
	var list []core.PCIAddress
	for _, function := range functions {
		list = append(list, function.Address)
	}
	return list
}

func TestList(t *testing.T) {
	t.Parallel()
	host := unpack(t)
	functions, err := pci.List(host, nil)
	want := []core.PCIAddress{
		"0000:00:01.0", "0000:3b:00.0", "0000:5e:00.0", "0000:5e:00.4", "0000:86:00.0", "10000:01:00.0",
	}
	if diff := cmp.Diff(want, addresses(functions)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	// Bad functions cost themselves, and each is named.
	for _, address := range []string{"0000:af:00.0", "0000:d8:00.0"} {
		if err == nil || !strings.Contains(err.Error(), address) {
			t.Errorf("error %v does not name %s", err, address)
		}
	}

	accelerators, err := pci.List(host, func(id pci.ID) bool { return id.BaseClass() == 0x12 && id.Vendor != 0x10ee })
	if diff := cmp.Diff([]core.PCIAddress{"0000:5e:00.0", "0000:5e:00.4", "0000:86:00.0"}, addresses(accelerators)); diff != "" {
		t.Errorf("with a filter, -want +got:\n%s", diff)
	}
	if err == nil {
		t.Error("no error about functions that the filter may have wanted")
	}
}

func TestListVendors(t *testing.T) {
	t.Parallel()
	var faults sysfstest.Faults
	host := unpack(t, faults.Option())
	functions, err := pci.ListVendors(host, 0x10de)
	if diff := cmp.Diff([]core.PCIAddress{"0000:3b:00.0"}, addresses(functions)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if faults.Count(pci.Path("0000:5e:00.0")+"/class") != 0 || faults.Count(pci.Path("0000:3b:00.0")+"/class") != 1 {
		t.Error("more than the vendor was read of another's function, or too little of its own")
	}
	if n := faults.Count(pci.Path("0000:3b:00.0") + "/vendor"); n != 1 {
		t.Errorf("the vendor was read %d times", n)
	}
	// A function that does not tell its vendor may be one of them.
	if err == nil || !strings.Contains(err.Error(), "0000:d8:00.0") {
		t.Errorf("error %v", err)
	}
}

func TestListWithoutBus(t *testing.T) {
	t.Parallel()
	functions, err := pci.List(sysfs.New(t.TempDir()), nil)
	if len(functions) != 0 || err != nil {
		t.Errorf("without a bus: %v, %v", functions, err)
	}
	if _, err := pci.List(sysfs.New(filepath.Join(t.TempDir(), "none")), nil); !errors.Is(err, sysfs.ErrRoot) {
		t.Errorf("without a root: %v, want ErrRoot", err)
	}
	var faults sysfstest.Faults
	faults.Set(pci.Devices, syscall.EACCES)
	if _, err := pci.List(unpack(t, faults.Option()), nil); !errors.Is(err, syscall.EACCES) {
		t.Errorf("with a bus that cannot be read: %v, want EACCES", err)
	}
}

// A function that goes away between the listing and the reading is not there.
func TestListWhileAFunctionGoes(t *testing.T) {
	t.Parallel()
	for _, errno := range []syscall.Errno{syscall.ENOENT, syscall.ENODEV} {
		var faults sysfstest.Faults
		faults.Set(pci.Path("0000:3b:00.0")+"/device", errno)
		functions, err := pci.List(unpack(t, faults.Option()), func(id pci.ID) bool { return id.Vendor == 0x10de })
		if len(functions) != 0 || strings.Contains(err.Error(), "3b:00") {
			t.Errorf("%v: %v, %v", errno, functions, err)
		}
	}
}

func TestReadFaults(t *testing.T) {
	t.Parallel()
	dir := pci.Path("0000:5e:00.4")
	for path, want := range map[string]struct {
		driver string
		physFn core.PCIAddress
		failed bool
	}{
		dir + "/driver":    {"", "0000:5e:00.0", true},
		dir + "/physfn":    {"vfio-pci", "", true},
		dir + "/numa_node": {"vfio-pci", "0000:5e:00.0", false},
	} {
		var faults sysfstest.Faults
		faults.Set(path, syscall.EIO)
		got, err := pci.Read(unpack(t, faults.Option()), "0000:5e:00.4")
		if got.Driver != want.driver || got.PhysFn != want.physFn || errors.Is(err, syscall.EIO) != want.failed {
			t.Errorf("%s fails: driver %q, physfn %q, error %v", path, got.Driver, got.PhysFn, err)
		}
	}
}

// What reaches into a device must not be read.
func TestListReadsNoRegisters(t *testing.T) {
	t.Parallel()
	var forbidden []string
	watch := sysfs.WithHook(func(_, path string) error {
		for _, name := range []string{"config", "rom", "resource", "aer_", "current_link_", "max_link_"} {
			if strings.HasPrefix(filepath.Base(path), name) {
				forbidden = append(forbidden, path)
			}
		}
		return nil
	})
	_, _ = pci.List(unpack(t, watch), nil)
	if len(forbidden) > 0 {
		t.Errorf("read %v", forbidden)
	}
}

func TestCompare(t *testing.T) {
	t.Parallel()
	got := []core.PCIAddress{"10000:00:00.0", "0000:ff:1f.7", "0001:00:00.0", "0000:0a:00.0"}
	slices.SortFunc(got, pci.Compare)
	want := []core.PCIAddress{"0000:0a:00.0", "0000:ff:1f.7", "0001:00:00.0", "10000:00:00.0"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// The trees of other machines, where they are at hand: every function in them can
// be read, or says why not.
func TestReferenceTrees(t *testing.T) {
	t.Parallel()
	const data = "../../../../shared/data"
	files, err := filepath.Glob(filepath.Join(data, "*", "*", "*.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(text, []byte("\n"+pci.Devices+"/")) || strings.HasSuffix(file, ".names.tsv") {
			continue // not a machine, or one without PCI functions
		}
		functions, err := pci.List(sysfs.New(sysfstest.UnpackText(t, string(text))), nil)
		found += len(functions)
		for _, function := range functions {
			if function.NUMANode < -1 || function.Driver == "." {
				t.Errorf("%s: %+v", file, function)
			}
		}
		if err != nil && !errors.Is(err, sysfs.ErrMalformed) && !errors.Is(err, sysfs.ErrNotRegular) {
			t.Errorf("%s: %v", file, err)
		}
	}
	if len(files) == 0 {
		t.Skipf("no reference trees at %s, which only some checkouts have beside them", data)
	}
	if found == 0 {
		t.Errorf("no function in %d files", len(files))
	}
}
