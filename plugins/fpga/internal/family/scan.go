package family

import (
	"path"
	"strings"
	"sync"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/core/sysfs/pci"
)

// Scan is one look at the host. What several families look at, such as the list
// of PCI functions, it reads once. It is safe for concurrent use, and to be
// thrown away after the scan.
type Scan struct {
	// Host reads the host's files.
	Host *sysfs.FS
	// Memory is what earlier scans knew.
	Memory *Memory
	// Nodes are the device nodes that the operator's configuration adds to what
	// a device is granted, by its ID. The plugin adds them; a family looks
	// whether there are any, where its devices are only tokens without them.
	Nodes map[string][]string

	mu      sync.Mutex
	claims  map[string]string // by claim, the family
	entries map[string]memo[[]Entry]
	// functions are the entries that are named like PCI functions.
	functions map[string]memo[[]Entry]
	vendors   map[core.PCIAddress]memo[uint16]
	ids       map[core.PCIAddress]memo[pci.ID]
}

type memo[T any] struct {
	value T
	err   error
}

// NewScan begins a scan.
func NewScan(host *sysfs.FS, memory *Memory) *Scan {
	return &Scan{
		Host: host, Memory: memory,
		claims:    map[string]string{},
		entries:   map[string]memo[[]Entry]{},
		functions: map[string]memo[[]Entry]{},
		vendors:   map[core.PCIAddress]memo[uint16]{},
		ids:       map[core.PCIAddress]memo[pci.ID]{},
	}
}

// Claim marks PCI addresses and resolved sysfs paths as a family's.
func (s *Scan) Claim(family string, claims ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range claims {
		if s.claims[c] == "" {
			s.claims[c] = family
		}
	}
}

// Claimed returns whether an earlier family has claimed a PCI address or a
// resolved sysfs path.
func (s *Scan) Claimed(claim string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.claims[claim] != ""
}

// Entry is one entry of a directory below /sys/class or /sys/bus, all of which
// are links.
type Entry struct {
	// Name is the entry's name: "hwmon3", "0000:65:00.1".
	Name string
	// Path is where it really is, with all links resolved.
	Path string
}

// Entries lists a directory of links, sorted by name. Entries that lead nowhere
// are left out, as are plain files; a directory that does not exist is empty.
func (s *Scan) Entries(dir string) ([]Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m, ok := s.entries[dir]; ok {
		return m.value, m.err
	}
	names, err := s.Host.ReadDir(dir)
	if sysfs.IsAbsent(err) {
		err = nil
	}
	var entries []Entry
	for _, name := range names {
		at, err := s.Host.Resolve(dir + "/" + name)
		if err == nil && at != dir+"/"+name {
			entries = append(entries, Entry{name, at})
		}
	}
	s.entries[dir] = memo[[]Entry]{entries, err}
	return entries, err
}

// Functions lists all PCI functions of the host.
func (s *Scan) Functions() ([]Entry, error) { return s.PCIEntries(pci.Devices) }

// PCIEntries is [Scan.Entries] without the entries that are not named like a PCI
// function, as those of a driver's directory are.
func (s *Scan) PCIEntries(dir string) ([]Entry, error) {
	return remember(s, s.functions, dir, func() ([]Entry, error) { return s.functionsIn(dir) })
}

func (s *Scan) functionsIn(dir string) ([]Entry, error) {
	all, err := s.Entries(dir)
	var functions []Entry
	for _, e := range all {
		if a, err := pci.ParseAddress(e.Name); err == nil && string(a) == e.Name {
			functions = append(functions, e)
		}
	}
	return functions, err
}

// Vendor returns the vendor of a function. Of the many functions of a host that
// are no FPGA it is all that needs to be read.
func (s *Scan) Vendor(address core.PCIAddress) (uint16, error) {
	return remember(s, s.vendors, address, func() (uint16, error) { return pci.ReadVendor(s.Host, address) })
}

// PCI returns the numbers of a function, which the kernel read when it found the
// function and which say nothing about its state.
func (s *Scan) PCI(address core.PCIAddress) (pci.ID, error) {
	return remember(s, s.ids, address, func() (pci.ID, error) {
		vendor, err := s.Vendor(address)
		if err != nil {
			return pci.ID{}, err
		}
		return pci.ReadIDOf(s.Host, address, vendor)
	})
}

// remember returns what read returned the first time.
func remember[K ~string, T any](s *Scan, in map[K]memo[T], key K, read func() (T, error)) (T, error) {
	s.mu.Lock()
	m, ok := in[key]
	s.mu.Unlock()
	if !ok {
		m.value, m.err = read()
		s.mu.Lock()
		in[key] = m
		s.mu.Unlock()
	}
	return m.value, m.err
}

// Function returns the PCI function that a resolved sysfs path lies below: the
// nearest directory named like one.
func Function(resolved string) (address core.PCIAddress, dir string, ok bool) {
	for dir = resolved; dir != "/" && dir != "."; dir = path.Dir(dir) {
		name := path.Base(dir)
		if a, err := pci.ParseAddress(name); err == nil && string(a) == name {
			return a, dir, true
		}
	}
	return "", "", false
}

// below reports whether a clean path lies below a directory.
func below(p, dir string) bool { return strings.HasPrefix(p, dir+"/") }
