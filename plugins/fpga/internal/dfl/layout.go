package dfl

import (
	"strconv"

	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/family"
)

// layout is what the two drivers call their files.
type layout struct {
	family string
	// class has a link for each base region, dir is the directory between a PCI
	// function and its base regions.
	class, dir string
	// base, fme and port begin the names of directories, with a number behind
	// them. A device node is called as the directory of its fme or port.
	base, fme, port string
	// fmeErrors is the register of the engine's own errors.
	fmeErrors string
}

var (
	kernelLayout = &layout{
		family: "dfl",
		class:  "/sys/class/fpga_region", dir: "fpga_region",
		base: "region", fme: "dfl-fme.", port: "dfl-port.",
		fmeErrors: "errors/fme_errors",
	}
	opaeLayout = &layout{
		family: "opae",
		class:  "/sys/class/fpga", dir: "fpga",
		base: "intel-fpga-dev.", fme: "intel-fpga-fme.", port: "intel-fpga-port.",
		fmeErrors: "errors/fme-errors/errors",
	}
)

// members picks the fme and the ports out of the names in a base region. ports_num
// of an FME is what it could have, and no count of them.
func (l *layout) members(names []string) (fme string, ports []string) {
	for _, fme = range below(names, l.fme) {
	}
	return fme, below(names, l.port)
}

// is reports whether a name is a beginning with a number.
func is(name, beginning string) bool {
	_, ok := family.Number(name, beginning, "")
	return ok
}

// below returns the names in a directory that are a beginning with a number,
// sorted by that number.
func below(names []string, beginning string) []string {
	var found []string
	for _, n := range family.Numbered(names, beginning, "") {
		found = append(found, beginning+strconv.Itoa(n))
	}
	return found
}
