package dfl

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// layout is what the two drivers call their files.
type layout struct {
	family string
	// class has a link for each base region, dir is the directory between a PCI
	// function and its base regions.
	class, dir string
	// base, fme and port match names of directories. A device node is called as
	// the directory of its fme or port.
	base, fme, port *regexp.Regexp
	// fmeErrors is the register of the engine's own errors.
	fmeErrors string
}

var (
	kernelLayout = &layout{
		family: "dfl",
		class:  "/sys/class/fpga_region", dir: "fpga_region",
		base:      regexp.MustCompile(`^region\d+$`),
		fme:       regexp.MustCompile(`^dfl-fme\.\d+$`),
		port:      regexp.MustCompile(`^dfl-port\.\d+$`),
		fmeErrors: "errors/fme_errors",
	}
	opaeLayout = &layout{
		family: "opae",
		class:  "/sys/class/fpga", dir: "fpga",
		base:      regexp.MustCompile(`^intel-fpga-dev\.\d+$`),
		fme:       regexp.MustCompile(`^intel-fpga-fme\.\d+$`),
		port:      regexp.MustCompile(`^intel-fpga-port\.\d+$`),
		fmeErrors: "errors/fme-errors/errors",
	}
)

// members picks the fme and the ports out of the names in a base region. ports_num
// of an FME is what it could have, and no count of them.
func (l *layout) members(names []string) (fme string, ports []string) {
	for _, name := range names {
		switch {
		case l.fme.MatchString(name):
			fme = name
		case l.port.MatchString(name):
			ports = append(ports, name)
		}
	}
	slices.SortFunc(ports, byNumber)
	return fme, ports
}

// byNumber compares names by the number behind their last dot or letter.
func byNumber(a, b string) int { return number(a) - number(b) }

func number(name string) int {
	n, _ := strconv.Atoi(name[strings.LastIndexFunc(name, func(r rune) bool { return r < '0' || r > '9' })+1:])
	return n
}

// below returns the names in a listing that begin with a prefix and end in a
// number, sorted by that number.
func below(names []string, prefix string) []string {
	var found []string
	for _, name := range names {
		if rest, ok := strings.CutPrefix(name, prefix); ok {
			if _, err := strconv.Atoi(rest); err == nil {
				found = append(found, name)
			}
		}
	}
	slices.SortFunc(found, byNumber)
	return found
}
