package nvidia

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// meminfoPath is the kernel's account of the node's memory, in KiB
// (Documentation/filesystems/proc.rst). A GPU that shares the node's memory has
// no memory of its own to report.
const meminfoPath = "/proc/meminfo"

// systemMemory is the node's memory in bytes.
type systemMemory struct {
	total uint64
	// available is what can be had without swapping. The free memory would be
	// the wrong number: it leaves out what the page cache gives back.
	available uint64
}

// used returns the bytes that are not to be had.
func (m systemMemory) used() uint64 { return m.total - min(m.available, m.total) }

// parseMeminfo reads the total and the available memory.
func parseMeminfo(data []byte) (systemMemory, error) {
	var m systemMemory
	var total, available bool
	lines := bufio.NewScanner(bytes.NewReader(data))
	for lines.Scan() && (!total || !available) {
		key, value, ok := strings.Cut(lines.Text(), ":")
		if !ok || (key != "MemTotal" && key != "MemAvailable") {
			continue
		}
		number, isKiB := strings.CutSuffix(strings.TrimSpace(value), " kB")
		kib, err := strconv.ParseUint(strings.TrimSpace(number), 10, 54)
		if err != nil || !isKiB {
			return systemMemory{}, fmt.Errorf("%s: %.40q is no size in kB", key, value)
		}
		if key == "MemTotal" {
			m.total, total = kib<<10, true
		} else {
			m.available, available = kib<<10, true
		}
	}
	if err := lines.Err(); err != nil {
		return systemMemory{}, err
	}
	if !total || !available {
		return systemMemory{}, errors.New("no MemTotal or no MemAvailable in it")
	}
	return m, nil
}
