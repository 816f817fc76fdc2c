package amd

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nomad-devices/nomad-devices/core"
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
	// have been divided anew in between. The nodes are what counts: each can be
	// used.
	if len(s.nodes) > 0 && !fits(m.compute, s.nodes) {
		m.compute = modeOf(s.nodes)
	}
	return m
}

// mostPartitions is how many partitions a GPU has at most in each mode. It may have
// fewer: an older kernel has render minors for 64 on a node.
var mostPartitions = map[string]int{modeSPX: 1, modeDPX: 2, modeTPX: 3, modeQPX: 4, modeCPX: 8}

// fits reports whether a GPU in a mode, or one whose mode is not known, can have
// these nodes.
func fits(mode string, nodes []kfd.Node) bool {
	switch most := mostPartitions[mode]; {
	case mode == "":
		return len(nodes) == 1 || !canBeDivided(nodes)
	case len(nodes) > most:
		return false
	default:
		return mode != modeCPX || nodes[0].XCC <= 1 // each die by itself
	}
}

// readMode reads the file of a mode, if it holds one of those that exist.
func (c *card) readMode(name string, known []string) (string, bool) {
	text, err := c.vendor.host.ReadString(c.file(name))
	if err != nil {
		return "", false
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
	case 1:
		return modeSPX
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

// numbers returns which partition each node is, of a GPU in a mode: what the driver
// put into their locations, so that a partition keeps its number while another one
// is missing. Where that cannot be, as with a virtual function whose own number is
// in the same bits, it is the order of the render minors, and not certain.
func numbers(mode string, nodes []kfd.Node) (numbers []int, certain bool) {
	numbers = make([]int, len(nodes))
	for i, n := range nodes {
		numbers[i] = n.Partition()
		if numbers[i] >= mostPartitions[mode] || slices.Contains(numbers[:i], numbers[i]) {
			for i := range numbers {
				numbers[i] = i
			}
			return numbers, false
		}
	}
	return numbers, true
}

// readPartitions returns the devices of a GPU that is divided.
func (c *card) readPartitions(common core.Device, attributes facts, s sighting) ([]core.Device, error) {
	numbers, certain := numbers(c.mode.compute, s.nodes)
	if !certain && !c.uncertain {
		c.vendor.log.Warn("the locations of a GPU's partitions do not tell which is which; they are numbered by their render nodes", "gpu", c.address)
	}
	c.uncertain = !certain
	var devices []core.Device
	if missing := s.unsure != nil && len(s.nodes) < c.partitions; certain || !missing {
		for i := range s.nodes {
			devices = append(devices, c.device(common, attributes, s, numbers[i], &s.nodes[i]))
		}
		if !missing {
			c.partitions = len(s.nodes)
			return devices, nil
		}
	}
	return devices, fmt.Errorf("some partitions of %s are not in the part of KFD's topology that can be read: %w", c.label(), s.unsure)
}
