package nvmltest

import (
	"fmt"
	"time"

	"github.com/nomad-devices/nomad-devices/plugins/nvidia/internal/nvml"
)

// GPU is a fake GPU or MIG instance. Set its fields before use; later changes
// go through [Library.Update].
type GPU struct {
	UUID, Name, VBIOS, Serial, BoardPart, GSP    string
	Minor, Module                                int
	PCI                                          nvml.PCI
	Brand                                        nvml.Brand
	Architecture                                 nvml.Architecture
	ComputeMajor, ComputeMinor                   int
	Memory                                       nvml.Memory
	BAR1                                         nvml.BAR1
	Cores, BusWidth                              int
	PowerUsage, PowerLimit                       uint32 // mW
	Energy                                       uint64 // mJ
	Clocks, MaxClocks                            map[nvml.Clock]uint32
	Reasons                                      nvml.EventReasons
	PState                                       int
	Temperature                                  int
	FanSpeed                                     uint32
	Utilization                                  nvml.Utilization
	Encoder, Decoder, JPEG, OFA                  uint32
	ComputeProcesses, GraphicsProcesses, MPSProc int
	PCIeGen, PCIeWidth                           int
	MaxPCIeGen, GPUMaxPCIeGen, MaxPCIeWidth      int
	PCIeReplays                                  uint64
	NVLinks                                      []bool // active or not, by link
	Fabric                                       nvml.Fabric
	Display, Persistence                         bool
	ECC, ECCPending                              bool
	ComputeMode                                  nvml.ComputeMode
	Virtualization                               nvml.Virtualization
	Addressing                                   nvml.AddressingMode
	MemoryErrors                                 map[Counter]uint64
	SRAM                                         nvml.SRAMECC
	Remapped                                     nvml.RemappedRows
	RetiredPending, Unrepairable                 bool
	// Fields answers field values; a field that is not here is not supported.
	Fields map[nvml.Field]uint64
	// MIG says that the GPU is split, MIGPending that it will be. Slots holds
	// its instances; nil is an empty slot.
	MIG, MIGPending bool
	Slots           []*GPU
	// GI, CI and MIGAttributes belong to an instance.
	GI, CI        int
	MIGAttributes nvml.MIGAttributes
	Events        nvml.EventMask
	// GPM holds the values of performance metrics; without it there are none.
	GPM map[nvml.GPMMetric]float64

	// Lost makes every call answer that the GPU is lost.
	Lost bool
	// Errors makes calls fail.
	Errors map[nvml.Call]nvml.Return
	// Latency is how long each call takes, beside the library's.
	Latency time.Duration

	hung   chan struct{}
	hangs  map[nvml.Call]chan struct{}
	parent *GPU
}

// Counter names a counter of memory errors.
type Counter struct {
	Type     nvml.ErrorType
	Scope    nvml.CounterScope
	Location nvml.Location
}

// Hang makes calls of the GPU block until release is called: the given ones, or
// all of them.
func (g *GPU) Hang(l *Library, calls ...nvml.Call) (release func()) {
	block := make(chan struct{})
	l.Update(func() {
		if len(calls) == 0 {
			g.hung = block
		}
		for _, c := range calls {
			if g.hangs == nil {
				g.hangs = make(map[nvml.Call]chan struct{})
			}
			g.hangs[c] = block
		}
	})
	return func() {
		l.Update(func() {
			if g.hung == block {
				g.hung = nil
			}
			for _, c := range calls {
				delete(g.hangs, c)
			}
		})
		close(block)
	}
}

// block returns what a call must wait for, nil for nothing. A hung GPU hangs its
// instances too.
func (g *GPU) block(c nvml.Call) <-chan struct{} {
	if b := g.hangs[c]; b != nil {
		return b
	}
	if g.hung == nil && g.parent != nil {
		return g.parent.block(c)
	}
	if g.hung == nil {
		return nil
	}
	return g.hung
}

// Fail makes a call of the GPU return a code; [nvml.Success] lets it work again.
func (g *GPU) Fail(c nvml.Call, r nvml.Return) {
	if g.Errors == nil {
		g.Errors = make(map[nvml.Call]nvml.Return)
	}
	g.Errors[c] = r
}

// migCalls are those that work on a MIG instance.
var migCalls = map[nvml.Call]bool{
	nvml.CallUUID: true, nvml.CallName: true, nvml.CallMemory: true, nvml.CallMemoryV2: true, nvml.CallBAR1: true,
	nvml.CallMIGAttributes: true, nvml.CallGPUInstance: true, nvml.CallComputeInstance: true,
	nvml.CallComputeMode: true, nvml.CallComputeProcesses: true, nvml.CallGraphicsProcesses: true,
	nvml.CallMPSProcesses: true, nvml.CallMemoryErrors: true, nvml.CallGPMSampleGet: true,
	nvml.CallMIGDevice: true,
}

// code is what a call returns before its value is looked at.
func (g *GPU) code(c nvml.Call) nvml.Return {
	if g.Lost || g.parent != nil && g.parent.Lost {
		return nvml.ErrGPUIsLost
	}
	if r := g.Errors[c]; r != nvml.Success {
		return r
	}
	if g.parent != nil && !migCalls[c] {
		return nvml.ErrNotSupported
	}
	return nvml.Success
}

// Instance adds a MIG instance to the GPU, in the next slot, and returns it.
func (g *GPU) Instance(gi, ci int, profile string, a nvml.MIGAttributes) *GPU {
	total := a.MemoryMB << 20
	m := &GPU{
		UUID: fmt.Sprintf("MIG-%08x-0000-4000-8000-%06x%06x", g.PCI.Bus, gi, ci),
		Name: g.Name + " MIG " + profile,
		GI:   gi, CI: ci, MIGAttributes: a,
		Memory: nvml.Memory{Total: total, Used: total / 8, Free: total - total/8, HasReserved: true},
		BAR1:   g.BAR1,
		parent: g,
	}
	g.MIG, g.MIGPending = true, true
	g.Slots = append(g.Slots, m)
	return m
}
