package xrt

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"syscall"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/family"
)

// shell is what a function says about the image that it runs.
type shell struct {
	// vbnv is its name, by vendor, board, name and version.
	vbnv family.Fact[string]
	// logic and rom are the UUID of the platform, from two places. Shells of one
	// stage have none.
	logic, rom family.Fact[family.UUID]
	// stamp is the time at which a shell of one stage was built; shells of two
	// stages have none.
	stamp family.Fact[uint64]
}

// readShell reads the shell from a function's directory and from that of its
// sub-device rom, which is empty if it has none.
func readShell(host *sysfs.FS, dir, rom string) shell {
	s := shell{logic: readOptional(host, dir+"/logic_uuids", parseUUID)}
	if rom == "" {
		s.vbnv.State, s.rom.State, s.stamp.State = family.None, family.None, family.None
		return s
	}
	s.vbnv = family.Read(host, rom+"/VBNV", parseVBNV)
	s.rom = readOptional(host, rom+"/uuid", parseUUID)
	s.stamp = readOptional(host, rom+"/timestamp", parseStamp)
	return s
}

// errNone says that a file stands for a fact that does not exist.
var errNone = errors.New("none")

// readOptional reads a file that exists for cards without the fact as well. The
// driver then shows nothing, or 0, or answers EINVAL; and what is no file has no
// fact either.
func readOptional[T any](host *sysfs.FS, path string, parse func([]byte) (T, error)) family.Fact[T] {
	f := family.Read(host, path, parse)
	if errors.Is(f.Err, errNone) || errors.Is(f.Err, syscall.EINVAL) || errors.Is(f.Err, sysfs.ErrNotRegular) {
		f.State = family.None
	}
	return f
}

// parseUUID reads the first UUID in a file.
func parseUUID(data []byte) (family.UUID, error) {
	list, err := family.UUIDs(data)
	if err != nil {
		return family.UUID{}, err
	}
	if len(list) == 0 {
		return family.UUID{}, errNone
	}
	return list[0], nil
}

// parseVBNV reads the name of a shell: one word, which begins with a letter.
func parseVBNV(data []byte) (string, error) {
	word, err := family.Word(data)
	if err != nil {
		return "", err
	}
	if first := word[0] | 0x20; first < 'a' || first > 'z' || strings.ContainsRune(word, ' ') {
		return "", fmt.Errorf("%w: %q is not the name of a shell", sysfs.ErrMalformed, word)
	}
	return word, nil
}

// parseStamp reads the time at which a shell was built, in seconds. A shell of
// two stages shows 0.
func parseStamp(data []byte) (uint64, error) {
	n, err := sysfs.Uint(data)
	switch {
	case err != nil:
		return 0, err
	case n == 0:
		return 0, errNone
	case n == math.MaxUint64:
		return 0, family.ErrAllOnes
	default:
		return n, nil
	}
}

// lost reports whether the card has fallen off the bus.
func (s shell) lost() bool {
	return errors.Is(errors.Join(s.logic.Err, s.rom.Err, s.stamp.Err), family.ErrAllOnes)
}

// uuid returns the UUID of the platform.
func (s shell) uuid() family.Fact[family.UUID] { return choose(s.logic, s.rom) }

// id returns what tells shells of one name apart: the platform's UUID, else the
// time at which the shell was built. It is known, or none, only if all that could
// say otherwise was read.
func (s shell) id() family.Fact[family.ID] {
	for _, f := range s.ids() {
		if f.State != family.None {
			return f
		}
	}
	return family.Fact[family.ID]{State: family.None}
}

func (s shell) ids() []family.Fact[family.ID] {
	ofUUID := func(f family.Fact[family.UUID]) family.Fact[family.ID] {
		return family.Fact[family.ID]{Value: family.IDOf(f), State: f.State}
	}
	stamp := family.Fact[family.ID]{Value: family.ID(fmt.Sprintf("%08x", s.stamp.Value)), State: s.stamp.State}
	return []family.Fact[family.ID]{ofUUID(s.logic), ofUUID(s.rom), stamp}
}

// choose returns the first fact that is known, else one that is unknown, else
// none.
func choose[T any](facts ...family.Fact[T]) family.Fact[T] {
	best := family.Fact[T]{State: family.None}
	for _, f := range facts {
		if f.Known() {
			return f
		}
		if f.State == family.Unknown {
			best = f
		}
	}
	return best
}

// isFactory reports whether the name of a shell is that of an image by which a
// card leaves the factory or recovers, and which can do nothing else.
func isFactory(vbnv string) bool {
	lower := strings.ToLower(vbnv)
	return strings.Contains(lower, "golden") || strings.HasSuffix(lower, "_recovery")
}

// group returns the group of a card. Before its shell was ever read it is named
// after the model of the board.
func (s shell) group(memory *family.Memory, address core.PCIAddress, model string) core.Group {
	id := family.KeepID(memory, factKey(address, "platform"), s.id(), choose(s.ids()...))
	key := family.GroupKey{Vendor: vendorName, Model: model, IDs: []family.ID{id}}
	if vbnv := keep(memory, address, "shell", s.vbnv); vbnv.Known() {
		key.Model = vbnv.Value
	}
	return memory.Group(key)
}

// factKey names a fact of a function in the memory.
func factKey(address core.PCIAddress, fact string) string {
	return name + " " + string(address) + " " + fact
}

// keep is [family.Keep] for a fact of a function.
func keep[T any](memory *family.Memory, address core.PCIAddress, fact string, f family.Fact[T]) family.Fact[T] {
	return family.Keep(memory, factKey(address, fact), f)
}

// boards are the boards by the device number of their functions, for a board that
// does not tell its name (xocl/xocl_devices.h).
var boards = map[uint16]string{
	0x5000: "u200", 0x5001: "u200",
	0x5004: "u250", 0x5005: "u250",
	0x5020: "u50", 0x5021: "u50",
	0x505c: "u55c", 0x505d: "u55c",
	0x513c: "u30", 0x513d: "u30",
	0x5094: "v70", 0x5095: "v70",
	0x50b4: "v80", 0x50b5: "v80",
}

// readBoard returns the name of a function's board.
func readBoard(scan *family.Scan, f function) family.Fact[string] {
	board := family.ReadWord(scan.Host, f.dir+"/board_name")
	if id, err := scan.PCI(f.address); !board.Known() && err == nil && id.Vendor == vendors[0] && boards[id.Device] != "" {
		board = family.Is(boards[id.Device])
	}
	return keep(scan.Memory, f.address, "board", board)
}

// model returns what a group is named after while the shell is not known: the
// board, or the numbers of its function.
func model(scan *family.Scan, f function, board family.Fact[string]) string {
	if !board.Known() {
		board = family.Is(name)
		if id, err := scan.PCI(f.address); err == nil {
			board.Value = fmt.Sprintf("%s-%04x-%04x", name, id.Vendor, id.Device)
		}
	}
	return board.Value
}
