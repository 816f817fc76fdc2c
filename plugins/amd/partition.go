package amd

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/plugins/amd/internal/kfd"
)

// The compute partition modes of the MI300 and its successors (amdgpu_gfx.c,
// compute_partition_mode): the GPU as one, as two, three or four, or each die by
// itself.
const (
	modeSPX = "SPX"
	modeDPX = "DPX"
	modeTPX = "TPX"
	modeQPX = "QPX"
	modeCPX = "CPX"
)

var computeModes = []string{modeSPX, modeDPX, modeTPX, modeQPX, modeCPX}

// memoryModes are the memory partition modes (amdgpu_gmc.c): how many parts the
// memory is divided into.
var memoryModes = []string{"NPS1", "NPS2", "NPS3", "NPS4", "NPS6", "NPS8"}

// modes is how a GPU is divided. A GPU that cannot be has none.
type modes struct {
	compute, memory string
	divisible       bool
}

// String returns the modes as they stand behind the model in a group's name:
// "CPX-NPS4".
func (m modes) String() string {
	if m.memory == "" {
		return m.compute
	}
	return m.compute + "-" + m.memory
}

// readModes reads how the GPU is divided. The driver denies the files during a
// reset and says UNKNOWN between two modes: then what was known stays.
func (c *card) readModes(s sighting) modes {
	m := c.mode
	if mode, ok := c.readMode("current_compute_partition", computeModes); ok {
		m.compute = mode
	}
	if mode, ok := c.readMode("current_memory_partition", memoryModes); ok {
		m.memory = mode
	}
	if divisible, err := c.vendor.host.Exists(c.file("available_compute_partition")); err == nil {
		m.divisible = divisible || m.compute != ""
	}
	// The files and the topology are read one after the other, and the GPU may
	// have been divided anew in between. How many nodes there are is what counts:
	// each can be used.
	if len(s.nodes) > 1 && (m.compute == modeSPX || m.compute == "" && canBeDivided(s.nodes)) {
		m.compute = modeOf(s.nodes)
	}
	return m
}

// readMode reads the file of a mode, if it holds one of those that exist. No file
// means no mode.
func (c *card) readMode(name string, known []string) (string, bool) {
	text, err := c.vendor.host.ReadString(c.file(name))
	if err != nil {
		return "", sysfs.IsAbsent(err)
	}
	mode := strings.ToUpper(text)
	return mode, slices.Contains(known, mode)
}

// canBeDivided reports whether the nodes are of a GPU that can be divided, where
// its own files do not tell: instruction set gfx942 or newer of that line.
func canBeDivided(nodes []kfd.Node) bool {
	return nodes[0].GFXVersion >= 90402 && nodes[0].GFXMajor() == 9
}

// modeOf returns the mode that a GPU with these nodes must be in.
func modeOf(nodes []kfd.Node) string {
	if nodes[0].XCC == 1 { // each die by itself, however many the driver shows
		return modeCPX
	}
	switch len(nodes) {
	case 2:
		return modeDPX
	case 3:
		return modeTPX
	case 4:
		return modeQPX
	default:
		return modeCPX
	}
}

// checkNumbers compares the partitions' numbers with those in their locations, and
// says so where they differ: the order of the render minors counts.
func (c *card) checkNumbers(s sighting) {
	for i, n := range s.nodes {
		if n.Partition() == i {
			continue
		}
		text := fmt.Sprintf("KFD node %d is partition %d by its render node and %d by its location; the former counts", n.Number, i, n.Partition())
		if text != c.mismatch {
			c.vendor.log.Warn("a partition's number is not certain", "gpu", c.address, "reason", text)
		}
		c.mismatch = text
		return
	}
	c.mismatch = ""
}
