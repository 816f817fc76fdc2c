package xrt

import (
	"strconv"
	"strings"
)

// subdevice is the name of the directory that a function has for a part of the
// shell: rom.u.0 is the part "rom", of a user function; dma.qdma.u.1025 is
// "dma.qdma" (xocl/xocl_drv.h, SUBDEV_SUFFIX). The number is the kernel's.
type subdevice struct {
	kind   string
	mgmt   bool
	number int
}

// parseSubdevice reads the name of a directory, and is false for all that are no
// sub-device.
func parseSubdevice(name string) (subdevice, bool) {
	rest, digits, ok := cutLast(name)
	kind, side, more := cutLast(rest)
	if !ok || !more || kind == "" || side != "u" && side != "m" {
		return subdevice{}, false
	}
	number, err := strconv.ParseUint(digits, 10, 31)
	if err != nil {
		return subdevice{}, false
	}
	return subdevice{kind: kind, mgmt: side == "m", number: int(number)}, true
}

// cutLast cuts a text at its last dot.
func cutLast(text string) (before, after string, ok bool) {
	i := strings.LastIndexByte(text, '.')
	if i < 0 {
		return text, "", false
	}
	return text[:i], text[i+1:], true
}

// subdevices returns the directory of each kind of sub-device among the names in
// a function's directory. Of several of a kind, which has not been seen, it is
// the one with the lowest number.
func subdevices(names []string) map[string]string {
	best := map[string]subdevice{}
	dirs := map[string]string{}
	for _, name := range names {
		s, ok := parseSubdevice(name)
		if !ok {
			continue
		}
		if b, ok := best[s.kind]; !ok || s.number < b.number {
			best[s.kind], dirs[s.kind] = s, name
		}
	}
	return dirs
}
