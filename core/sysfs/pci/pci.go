// Package pci reads PCI functions from sysfs: their identity, driver, NUMA node
// and link (Documentation/ABI/testing/sysfs-bus-pci).
//
// It reads none of the files that reach into a device: config, rom, resource*.
package pci

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
)

// Devices is the directory of all functions.
const Devices = "/sys/bus/pci/devices"

// Path returns the host path of a function's directory.
func Path(address core.PCIAddress) string { return Devices + "/" + string(address) }

// ID is what a function says about itself. The kernel read it when it found the
// function and keeps it: it stays readable when the function fell off the bus,
// and says nothing about its state.
type ID struct {
	// Vendor and Device are the numbers of the maker and the chip.
	Vendor, Device uint16
	// SubsystemVendor and SubsystemDevice are the numbers of the board; 0 where
	// there are none.
	SubsystemVendor, SubsystemDevice uint16
	// Class holds class, subclass and interface in 24 bits: 0x030200.
	Class uint32
	// Revision of the chip.
	Revision uint8
}

// String returns vendor and device as lspci writes them: "10de:2330".
func (id ID) String() string { return fmt.Sprintf("%04x:%04x", id.Vendor, id.Device) }

// BaseClass returns the upper byte of the class: 0x03 for displays, 0x12 for
// accelerators.
func (id ID) BaseClass() uint8 { return uint8(id.Class >> 16) }

// Function is one PCI function.
type Function struct {
	ID
	// Address of the function.
	Address core.PCIAddress
	// Driver is the name of the driver that has the function, or empty.
	Driver string
	// NUMANode is the node that the function is near to, or -1 if that is not
	// known: the firmware did not say, or there is one node only.
	NUMANode int
	// PhysFn is the physical function of an SR-IOV virtual function, else empty.
	PhysFn core.PCIAddress
}

// Read returns one function. A function that is not there is an error for which
// [sysfs.IsAbsent] is true.
//
// Facts that are absent or, for the NUMA node, cannot be read are unknown in the
// Function. A failure to read the ID, the driver or the physical
// function is an error; the Function beside it holds the rest.
func Read(fs *sysfs.FS, address core.PCIAddress) (Function, error) {
	id, err := ReadID(fs, address)
	if err != nil && id == (ID{}) {
		return Function{Address: address, NUMANode: -1}, err
	}
	function, more := complete(fs, address, id)
	return function, errors.Join(err, more)
}

// ReadID returns the ID of one function, under the rules of [Read].
func ReadID(fs *sysfs.FS, address core.PCIAddress) (ID, error) {
	vendor, err := ReadVendor(fs, address)
	if err != nil {
		return ID{}, err
	}
	return ReadIDOf(fs, address, vendor)
}

// ReadVendor returns the vendor of one function: one file, where the whole ID
// takes six.
func ReadVendor(fs *sysfs.FS, address core.PCIAddress) (uint16, error) {
	vendor, err := readHex(fs, address, "vendor", 16)
	return uint16(vendor), err
}

// ReadIDOf is [ReadID] for a function whose vendor is known already, from
// [ReadVendor].
func ReadIDOf(fs *sysfs.FS, address core.PCIAddress, vendor uint16) (ID, error) {
	device, err := readHex(fs, address, "device", 16)
	if err != nil {
		return ID{}, err
	}
	var errs []error
	optional := func(name string, bits int) uint32 {
		value, err := readHex(fs, address, name, bits)
		if err != nil && !sysfs.IsAbsent(err) {
			errs = append(errs, err)
		}
		return value
	}
	id := ID{
		Vendor:          vendor,
		Device:          uint16(device),
		Class:           optional("class", 24),
		SubsystemVendor: uint16(optional("subsystem_vendor", 16)),
		SubsystemDevice: uint16(optional("subsystem_device", 16)),
		Revision:        uint8(optional("revision", 8)),
	}
	return id, errors.Join(errs...)
}

// readHex reads a number of at most the given bits, or 0 and an error.
func readHex(fs *sysfs.FS, address core.PCIAddress, name string, bits int) (uint32, error) {
	path := Path(address) + "/" + name
	value, err := fs.ReadHex(path)
	if err == nil && value>>bits != 0 {
		err = fmt.Errorf("read %s: %w: %#x has more than %d bits", path, sysfs.ErrMalformed, value, bits)
	}
	if err != nil {
		return 0, err
	}
	return uint32(value), nil
}

// complete reads what is not in the ID.
func complete(fs *sysfs.FS, address core.PCIAddress, id ID) (Function, error) {
	dir := Path(address)
	function := Function{ID: id, Address: address, NUMANode: -1}
	var errs []error
	driver, err := fs.LinkName(dir + "/driver")
	if err != nil && !sysfs.IsAbsent(err) {
		errs = append(errs, err)
	}
	function.Driver = driver
	physFn, err := fs.LinkName(dir + "/physfn")
	if err == nil {
		function.PhysFn, err = ParseAddress(physFn)
	}
	if err != nil && !sysfs.IsAbsent(err) {
		errs = append(errs, err)
	}
	if node, err := fs.ReadInt(dir + "/numa_node"); err == nil && node >= 0 && node <= maxNUMANode {
		function.NUMANode = int(node)
	}
	return function, errors.Join(errs...)
}

// maxNUMANode is the largest node that Linux can be built for (NODES_SHIFT 10).
const maxNUMANode = 1023

// ReadLinks returns what the link of a function runs at now, and what the function
// could. Idle devices slow their links down. What is absent or cannot be read is
// unknown.
//
// The files are read from the function's registers, for which newer kernels wake a
// function that is suspended, and with it the bridges above it (drivers/pci/pci-sysfs.c,
// pci_config_pm_runtime_get). Nothing else in this package does that.
func ReadLinks(fs *sysfs.FS, address core.PCIAddress) (now, most Link) {
	dir := Path(address)
	return readLink(fs, dir+"/current_link"), readLink(fs, dir+"/max_link")
}

func readLink(fs *sysfs.FS, prefix string) Link {
	var link Link
	if text, err := fs.ReadString(prefix + "_speed"); err == nil {
		if speed, err := ParseSpeed(text); err == nil {
			link.Speed = speed
		}
	}
	if text, err := fs.ReadString(prefix + "_width"); err == nil {
		if width, err := ParseWidth(text); err == nil {
			link.Width = width
		}
	}
	return link
}

// List returns the functions that filter accepts, sorted by address; nil accepts
// all. The filter sees the ID alone, so that a host with hundreds of functions is
// read quickly. A host without a PCI bus has none.
//
// A function that cannot be read is in the error, with its path, and the others
// are returned beside it.
func List(fs *sysfs.FS, filter func(ID) bool) ([]Function, error) { return list(fs, nil, filter) }

// ListVendors is [List] for the functions of some vendors. Of all others it reads
// one file, the vendor.
func ListVendors(fs *sysfs.FS, vendors ...uint16) ([]Function, error) { return list(fs, vendors, nil) }

// list lists the functions of the vendors, if any are given, that filter
// accepts, if there is one.
func list(fs *sysfs.FS, vendors []uint16, filter func(ID) bool) ([]Function, error) {
	names, err := fs.ReadDir(Devices)
	if err != nil {
		if sysfs.IsAbsent(err) {
			return nil, nil
		}
		return nil, err
	}
	var functions []Function
	var errs []error
	for _, name := range names {
		address, err := ParseAddress(name)
		if err != nil {
			continue // not a function: the kernel puts nothing else here
		}
		vendor, err := ReadVendor(fs, address)
		if err == nil && len(vendors) > 0 && !slices.Contains(vendors, vendor) {
			continue
		}
		var id ID
		if err == nil {
			id, err = ReadIDOf(fs, address, vendor)
		}
		if sysfs.IsAbsent(err) {
			continue // it went away while we looked
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if filter != nil && !filter(id) {
			continue
		}
		function, err := complete(fs, address, id)
		if err != nil {
			errs = append(errs, err)
		}
		functions = append(functions, function)
	}
	slices.SortFunc(functions, func(a, b Function) int { return Compare(a.Address, b.Address) })
	return functions, errors.Join(errs...)
}

// Compare orders addresses by their numbers: 10000:00:00.0 comes after
// 0000:ff:00.0.
func Compare(a, b core.PCIAddress) int {
	if len(a) != len(b) { // only the domain has a variable length
		return len(a) - len(b)
	}
	return cmp.Compare(a, b)
}
