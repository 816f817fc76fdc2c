package nvidia

import (
	"bufio"
	"bytes"
	"fmt"
	"strconv"
	"strings"
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

// parseMIGMinors reads the list. A line that cannot be read makes the whole list
// an error: half a list could hand out the node of another instance.
func parseMIGMinors(data []byte) (map[migCap]int, error) {
	minors := make(map[migCap]int)
	lines := bufio.NewScanner(bytes.NewReader(data))
	for n := 1; lines.Scan(); n++ {
		fields := strings.Fields(lines.Text())
		if len(fields) == 0 {
			continue
		}
		if len(fields) != 2 {
			return nil, fmt.Errorf("line %d: want a name and a number, have %d words", n, len(fields))
		}
		minor, err := strconv.ParseUint(fields[1], 10, 32)
		if err != nil || minor > maxMinor {
			return nil, fmt.Errorf("line %d: %.40q is no minor number", n, fields[1])
		}
		name := migCap(fields[0])
		if before, ok := minors[name]; ok && before != int(minor) {
			return nil, fmt.Errorf("line %d: %.80q has two minor numbers, %d and %d", n, name, before, minor)
		}
		minors[name] = int(minor)
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	return minors, nil
}
