package nvidia

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
)

// migMinorsPath is where the driver lists the minor numbers of its capability
// nodes. Each line is a name and a number:
//
//	config 1
//	monitor 2
//	gpu0/gi1/access 12
//	gpu0/gi1/ci0/access 13
//
// where the number after gpu is the minor number of the GPU's own node, and a
// minor number M at the end stands for /dev/nvidia-caps/nvidia-capM.
const migMinorsPath = "/proc/driver/nvidia-caps/mig-minors"

// maxMIGMinors is the most bytes that the list may have. Drivers list all
// instances that there could be, on 32 GPUs and more: more than 100 KiB.
const maxMIGMinors = 1 << 20

// maxMinor is the largest minor number that Linux has (MINORBITS is 20).
const maxMinor = 1<<20 - 1

// migCap names one capability of the list: access to a GPU instance, or to a
// compute instance in it.
type migCap string

// gpuInstanceCap names the access to a GPU instance.
func gpuInstanceCap(gpuMinor, gi int) migCap {
	return migCap(fmt.Sprintf("gpu%d/gi%d/access", gpuMinor, gi))
}

// computeInstanceCap names the access to a compute instance.
func computeInstanceCap(gpuMinor, gi, ci int) migCap {
	return migCap(fmt.Sprintf("gpu%d/gi%d/ci%d/access", gpuMinor, gi, ci))
}

// parseMIGMinors returns the minor numbers of capabilities in the list, -1 for one
// that is not there. A line that cannot be read makes the whole list an error: half
// a list could hand out the node of another instance.
//
// The list has thousands of lines and is read anew for each instance of a
// reservation, so it is gone through without making anything of the lines.
func parseMIGMinors(data []byte, caps ...migCap) ([]int, error) {
	minors := slices.Repeat([]int{-1}, len(caps))
	n := 0
	for line := range bytes.Lines(data) {
		n++
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			continue
		}
		end := bytes.IndexAny(line, " \t")
		if end < 0 {
			return nil, fmt.Errorf("line %d: %.80q is not a name and a number", n, line)
		}
		name, number := line[:end], bytes.TrimSpace(line[end:])
		minor, err := strconv.ParseUint(string(number), 10, 32)
		if err != nil || minor > maxMinor {
			return nil, fmt.Errorf("line %d: %.40q is no minor number", n, number)
		}
		i := slices.IndexFunc(caps, func(c migCap) bool { return string(c) == string(name) })
		switch {
		case i < 0:
		case minors[i] >= 0 && minors[i] != int(minor):
			return nil, fmt.Errorf("line %d: %.80q has two minor numbers, %d and %d", n, name, minors[i], minor)
		default:
			minors[i] = int(minor)
		}
	}
	return minors, nil
}
