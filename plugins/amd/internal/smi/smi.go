// Package smi hears what the amdkfd driver tells of its GPUs: resets, memory
// faults, thermal throttling (drivers/gpu/drm/amd/amdkfd/kfd_smi_events.c,
// include/uapi/linux/kfd_ioctl.h).
//
// To hear, a process must hold /dev/kfd open. That makes it one of the GPUs'
// processes, and the driver refuses to divide a GPU anew while it has any.
package smi

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// Kind is what an event tells of.
type Kind uint

// The kinds that the driver tells everybody of, and not just the processes
// concerned (enum kfd_smi_event).
const (
	// MemoryFault says that a process read or wrote memory that it does not have.
	MemoryFault Kind = 1
	// Throttled says that heat holds the clocks down.
	Throttled Kind = 2
	// ResetBegins and ResetEnds say that the GPU is being reset, and was.
	ResetBegins Kind = 3
	ResetEnds   Kind = 4
)

// mask asks for these kinds: bit n-1 is kind n.
const mask uint64 = 1<<(MemoryFault-1) | 1<<(Throttled-1) | 1<<(ResetBegins-1) | 1<<(ResetEnds-1)

// String returns what happened, for the log.
func (k Kind) String() string {
	switch k {
	case MemoryFault:
		return "a memory fault"
	case Throttled:
		return "thermal throttling"
	case ResetBegins:
		return "a reset begins"
	case ResetEnds:
		return "a reset has ended"
	default:
		return fmt.Sprintf("event %d", uint(k))
	}
}

// Event is something that the driver told of a GPU.
type Event struct {
	// GPU is the driver's own number of the node, see kfd.Node.ID.
	GPU  uint32
	Kind Kind
	// Text is what the driver adds: of a memory fault the process, of a reset its
	// number and its cause.
	Text string
}

// maxRest is the most bytes that wait for the end of their line. The driver's lines
// have less than 96.
const maxRest = 4096

// lines takes what was read from the driver and calls got for each line that is
// whole. A read may end within a line; what it began is returned and goes before
// what is read next.
func lines(rest, data []byte, got func(Kind, string)) []byte {
	data = append(rest, data...)
	for {
		line, after, whole := bytes.Cut(data, []byte("\n"))
		if !whole {
			break
		}
		data = after
		if kind, text, ok := parse(string(line)); ok {
			got(kind, text)
		}
	}
	if len(data) > maxRest {
		return nil
	}
	return data
}

// parse reads a line: the kind in hexadecimal, a blank, and the rest.
func parse(line string) (Kind, string, bool) {
	number, text, _ := strings.Cut(strings.TrimSpace(line), " ")
	kind, err := strconv.ParseUint(number, 16, 32)
	if err != nil || kind == 0 {
		return 0, "", false
	}
	return Kind(kind), strings.TrimSpace(strings.ToValidUTF8(text, "?")), true
}
