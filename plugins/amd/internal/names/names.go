// Package names knows what AMD's GPUs are called.
//
// The kernel knows names only of server boards, from their FRU EEPROM, and in
// spellings that nobody uses ("AMD INSTINCT MI250 (MCM) OAM AC MBA"). What people
// say is in libdrm's table, by PCI device and revision, and roughly in the PCI ID
// database.
package names

import (
	"bufio"
	"bytes"
	_ "embed"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"unicode"

	"github.com/nomad-devices/nomad-devices/core/sysfs"
)

// builtin is libdrm's table; see README.md.
//
//go:embed amdgpu.ids
var builtin []byte

// Files of the host that know GPUs which are newer than the built-in table.
const (
	libdrmPath = "/usr/share/libdrm/amdgpu.ids"
	// pci.ids of Debian's and of Red Hat's families.
	pciIDsPath = "/usr/share/misc/pci.ids"
	hwdataPath = "/usr/share/hwdata/pci.ids"
	// maxTable is the most bytes of such a file that are read; pci.ids has 1.6
	// million.
	maxTable = 8 << 20
)

// ID is what a GPU is looked up by.
type ID struct {
	Device   uint16
	Revision uint8
}

// Names looks names up. Its methods may be used concurrently.
type Names struct {
	host *sysfs.FS

	mu      sync.Mutex
	decided map[decision]string
}

// decision is what a name was asked for by.
type decision struct {
	id      ID
	product string
}

// New returns the names as the built-in table and the files of a host have them.
// It reads nothing yet.
func New(host *sysfs.FS) *Names {
	return &Names{host: host, decided: map[decision]string{}}
}

// Of returns the name of a GPU, whose board calls itself product (from the FRU
// EEPROM; empty if it does not). It is never empty, and stays the same as long as
// the process lives, whatever happens to the host's files: the device's group is
// named by it.
//
// The board's own name counts, in the table's spelling if the table has the same
// model. Without it the table's name counts, then that of the host's tables, and
// at last the PCI IDs themselves: "AMD 74a1 rev 00".
func (n *Names) Of(id ID, product string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if product = clean(product); len(product) == longest || !strings.ContainsFunc(product, unicode.IsLetter) {
		product = "" // no board is called like that
	}
	asked := decision{id, product}
	if name, ok := n.decided[asked]; ok {
		return name
	}
	name := n.choose(id, product)
	n.decided[asked] = name
	return name
}

func (n *Names) choose(id ID, product string) string {
	known := table()[id]
	if product != "" {
		return spelled(product, known)
	}
	for _, look := range []func() string{
		func() string { return known },
		func() string { return parseTable(n.read(libdrmPath))[id] },
		func() string { return fromPCIIDs(n.read(pciIDsPath), id.Device) },
		func() string { return fromPCIIDs(n.read(hwdataPath), id.Device) },
	} {
		if name := look(); name != "" {
			return name
		}
	}
	return fmt.Sprintf("AMD %04x rev %02x", id.Device, id.Revision)
}

func (n *Names) read(path string) []byte {
	data, err := n.host.ReadLimit(path, maxTable)
	if err != nil {
		return nil // a host without the table, or one that is not one
	}
	return data
}

// spelled returns the table's spelling of the name that a board gives itself, if
// both mean the same model. An entry of the table for several models, such as
// "AMD Instinct MI250X / MI250", is taken for the one that the board names.
func spelled(product, known string) string {
	alternatives := strings.Split(known, " / ")
	stem, _ := splitLast(alternatives[0])
	best := ""
	for i, name := range alternatives {
		if i > 0 {
			name = stem + name
		}
		if len(name) > len(best) && hasWords(product, name) {
			best = name
		}
	}
	if best != "" {
		return best
	}
	return product
}

// splitLast splits the last word off a name.
func splitLast(name string) (stem, last string) {
	i := strings.LastIndexByte(name, ' ')
	return name[:i+1], name[i+1:]
}

// hasWords reports whether a name has all the words of another one, in any case.
func hasWords(name, words string) bool {
	have := strings.Fields(strings.ToLower(name))
	want := strings.Fields(strings.ToLower(words))
	for _, w := range want {
		found := false
		for _, h := range have {
			found = found || h == w
		}
		if !found {
			return false
		}
	}
	return len(want) > 0
}

var table = sync.OnceValue(func() map[ID]string { return parseTable(builtin) })

// parseTable reads a table in the form of libdrm's data/amdgpu.ids: "74A1,	00,	AMD
// Instinct MI300X". Lines that are not of this form, such as the version, are
// skipped.
func parseTable(data []byte) map[ID]string {
	names := make(map[ID]string)
	lines := bufio.NewScanner(bytes.NewReader(data))
	for lines.Scan() {
		fields := strings.SplitN(lines.Text(), ",", 3)
		if len(fields) != 3 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		device, err := strconv.ParseUint(strings.TrimSpace(fields[0]), 16, 16)
		if err != nil {
			continue
		}
		revision, err := strconv.ParseUint(strings.TrimSpace(fields[1]), 16, 8)
		if err != nil {
			continue
		}
		if name := clean(fields[2]); name != "" {
			names[ID{uint16(device), uint8(revision)}] = name
		}
	}
	return names
}

// fromPCIIDs returns the name of a device of AMD's in the PCI ID database
// (pci-ids.ucw.cz): "Aqua Vanjaram [Instinct MI300X]". The bracket holds the
// product, or several in one line, of which none can be told from the other.
func fromPCIIDs(data []byte, device uint16) string {
	_, ours, found := bytes.Cut(data, []byte("\n1002  "))
	if !found {
		return ""
	}
	want := fmt.Sprintf("\t%04x  ", device)
	lines := bufio.NewScanner(bytes.NewReader(ours))
	lines.Scan() // the vendor's own name
	for lines.Scan() {
		line := lines.Text()
		if line != "" && line[0] != '\t' && line[0] != '#' {
			return "" // the next vendor
		}
		if name, ok := strings.CutPrefix(line, want); ok {
			if _, product, ok := strings.Cut(name, "["); ok {
				name = strings.TrimSuffix(strings.TrimSpace(product), "]")
			}
			return clean("AMD " + name)
		}
	}
	return ""
}

// longest is the most bytes of a name.
const longest = 96

// clean returns a name that can be shown: printable, with single blanks, not too
// long. Files of a host may hold anything.
func clean(name string) string {
	name = strings.Join(strings.Fields(strings.ToValidUTF8(name, "")), " ")
	name = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, name)
	if len(name) > longest {
		name = strings.ToValidUTF8(name[:longest], "")
	}
	return name
}
