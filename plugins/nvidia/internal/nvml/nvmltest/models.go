package nvmltest

import (
	"fmt"

	"github.com/nomad-devices/nomad-devices/plugins/nvidia/internal/nvml"
)

const (
	mib = 1 << 20

	// oldEvents are those of drivers before the 570 branch.
	oldEvents = nvml.EventSingleBitECC | nvml.EventDoubleBitECC | nvml.EventXID
	newEvents = oldEvents | nvml.EventMIGConfig | nvml.EventSingleBitECCStorm | nvml.EventDRAMRetirement |
		nvml.EventDRAMRetirementFail | nvml.EventNonFatalPoison | nvml.EventFatalPoison |
		nvml.EventGPUUnavailable | nvml.EventRecoveryActionReady
)

// uuid makes up a UUID for the n-th GPU of a model.
func uuid(model, n int) string {
	return fmt.Sprintf("GPU-%08x-5a1e-4b7c-9d00-%012x", model, n)
}

// H100 returns the n-th of a machine's H100 SXM GPUs, with NVLink and GPM.
func H100(n int) *GPU {
	g := &GPU{
		UUID: uuid(0x48313030, n), Name: "NVIDIA H100 80GB HBM3",
		VBIOS: "96.00.89.00.01", Serial: fmt.Sprintf("16503230%05d", n), BoardPart: "900-21010-0300-000", GSP: "580.82.07",
		Minor: n, Module: n + 1, PCI: nvml.PCI{Bus: uint32(0x1b + 0x11*n)},
		Brand: 14, Architecture: nvml.Hopper, ComputeMajor: 9,
		Memory: nvml.Memory{Total: 81559 * mib, Used: 4 * mib, Reserved: 551 * mib, Free: 81004 * mib, HasReserved: true},
		BAR1:   nvml.BAR1{Total: 131072 * mib, Used: 2 * mib, Free: 131070 * mib},
		Cores:  16896, BusWidth: 5120,
		PowerUsage: 71250, PowerLimit: 700000, Energy: 90_000_000,
		Clocks:      map[nvml.Clock]uint32{nvml.ClockGraphics: 345, nvml.ClockSM: 345, nvml.ClockMemory: 2619, nvml.ClockVideo: 765},
		MaxClocks:   map[nvml.Clock]uint32{nvml.ClockGraphics: 1980, nvml.ClockSM: 1980, nvml.ClockMemory: 2619, nvml.ClockVideo: 1545},
		Reasons:     nvml.ReasonGPUIdle,
		Temperature: 31, Utilization: nvml.Utilization{GPU: 12, Memory: 3}, Encoder: 1, Decoder: 2, JPEG: 3, OFA: 4,
		PCIeGen: 5, PCIeWidth: 16, MaxPCIeGen: 5, GPUMaxPCIeGen: 5, MaxPCIeWidth: 16,
		NVLinks: repeat(true, 18),
		Fabric: nvml.Fabric{
			State: nvml.FabricCompleted, ClusterUUID: [16]byte{0xaa, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
			CliqueID: 7, Health: nvml.FabricHealthy,
		},
		Persistence: true, ECC: true, ECCPending: true,
		Addressing:   1,
		MemoryErrors: eccCounters(),
		Fields: map[nvml.Field]uint64{
			{ID: nvml.FieldECCCurrent}: 1, {ID: nvml.FieldMemoryTemperature}: 38, {ID: nvml.FieldEnergy}: 90_000_000,
			{ID: nvml.FieldECCSingleVolatile}: 0, {ID: nvml.FieldECCDoubleVolatile}: 0,
			{ID: nvml.FieldECCSingleAggregate}: 2, {ID: nvml.FieldECCDoubleAggregate}: 0,
			{ID: nvml.FieldECCSingleVolL1}: 0, {ID: nvml.FieldECCSingleVolL2}: 0, {ID: nvml.FieldECCSingleVolDevice}: 0,
			{ID: nvml.FieldNVLinkCount}: 18, {ID: nvml.FieldPCIeReplay}: 0,
			{ID: nvml.FieldNVLinkDataTX, Scope: nvml.AllLinks}: 1000, {ID: nvml.FieldNVLinkDataRX, Scope: nvml.AllLinks}: 2000,
			{ID: nvml.FieldRemappedCorrectable}: 0, {ID: nvml.FieldRemappedUncorrected}: 0,
			{ID: nvml.FieldRemapPending}: 0, {ID: nvml.FieldRemapFailure}: 0,
			{ID: nvml.FieldPowerAverage}: 71250, {ID: nvml.FieldPowerInstant}: 72000, {ID: nvml.FieldPowerLimit}: 700000,
			{ID: nvml.FieldRecoveryAction}: 0,
		},
		Slots:  []*GPU{},
		Events: newEvents,
		GPM: map[nvml.GPMMetric]float64{
			nvml.GPMGraphicsUtil: 12.5, nvml.GPMSMUtil: 11, nvml.GPMSMOccupancy: 7.25, nvml.GPMTensorUtil: 3.5,
			nvml.GPMDRAMUtil: 4, nvml.GPMFP64Util: 0, nvml.GPMFP32Util: 1, nvml.GPMFP16Util: 2,
			nvml.GPMPCIeTX: 100, nvml.GPMPCIeRX: 200, nvml.GPMNVLinkRX: 300, nvml.GPMNVLinkTX: 400,
		},
	}
	for link := range uint32(18) {
		g.Fields[nvml.Field{ID: nvml.FieldNVLinkState, Scope: link}] = nvml.NVLinkActive
	}
	return g
}

// A100 returns the n-th of a machine's A100 SXM GPUs: MIG, no GPM, and a driver
// that tells of NVLinks one by one.
func A100(n int) *GPU {
	g := H100(n)
	g.UUID, g.Name = uuid(0x41313030, n), "NVIDIA A100-SXM4-40GB"
	g.VBIOS, g.BoardPart = "92.00.45.00.03", "692-2G506-0200-002"
	g.PCI = nvml.PCI{Bus: uint32(0x07 + 0x40*n)}
	g.Architecture, g.ComputeMajor, g.ComputeMinor = 7, 8, 0
	g.Memory = nvml.Memory{Total: 40960 * mib, Used: 4 * mib, Reserved: 571 * mib, Free: 40385 * mib, HasReserved: true}
	g.BAR1 = nvml.BAR1{Total: 65536 * mib, Used: 1 * mib, Free: 65535 * mib}
	g.Cores = 6912
	g.PowerLimit = 400000
	g.MaxClocks = map[nvml.Clock]uint32{nvml.ClockGraphics: 1410, nvml.ClockSM: 1410, nvml.ClockMemory: 1215, nvml.ClockVideo: 1290}
	g.PCIeGen, g.MaxPCIeGen, g.GPUMaxPCIeGen = 4, 4, 4
	g.NVLinks = repeat(true, 12)
	g.Fields[nvml.Field{ID: nvml.FieldNVLinkCount}] = 12
	for link := range uint32(18) { // the driver does not know the field
		delete(g.Fields, nvml.Field{ID: nvml.FieldNVLinkState, Scope: link})
	}
	g.Fabric, g.GPM = nvml.Fabric{}, nil
	return g
}

// SplitA100 returns the n-th A100 with MIG on and one instance each of the
// profiles 3g.20gb and 1g.5gb, with an empty slot between them.
func SplitA100(n int) *GPU {
	g := A100(n)
	g.Instance(2, 0, "3g.20gb", nvml.MIGAttributes{
		Multiprocessors: 42, CopyEngines: 3, Decoders: 2, GPUInstanceSlices: 3, ComputeInstanceSlices: 3, MemoryMB: 19968,
	})
	g.Slots = append(g.Slots, nil)
	g.Instance(9, 0, "1g.5gb", nvml.MIGAttributes{
		Multiprocessors: 14, CopyEngines: 1, GPUInstanceSlices: 1, ComputeInstanceSlices: 1, MemoryMB: 4864,
	})
	return g
}

// T4 returns the n-th of a machine's T4 GPUs: no MIG, NVLink, row remapping or
// recovery action, and the events of older drivers.
func T4(n int) *GPU {
	g := &GPU{
		UUID: uuid(0x54340000, n), Name: "Tesla T4",
		VBIOS: "90.04.38.00.03", Serial: fmt.Sprintf("03204180%05d", n), BoardPart: "900-2G183-0000-000",
		Minor: n, PCI: nvml.PCI{Bus: uint32(0x3b + 0x9d*n)},
		Brand: 14, Architecture: 6, ComputeMajor: 7, ComputeMinor: 5,
		Memory: nvml.Memory{Total: 15360 * mib, Used: 2 * mib, Reserved: 448 * mib, Free: 14910 * mib, HasReserved: true},
		BAR1:   nvml.BAR1{Total: 256 * mib, Used: 2 * mib, Free: 254 * mib},
		Cores:  2560, BusWidth: 256,
		PowerUsage: 9500, PowerLimit: 70000, Energy: 5_000_000,
		Clocks:      map[nvml.Clock]uint32{nvml.ClockGraphics: 300, nvml.ClockSM: 300, nvml.ClockMemory: 405, nvml.ClockVideo: 540},
		MaxClocks:   map[nvml.Clock]uint32{nvml.ClockGraphics: 1590, nvml.ClockSM: 1590, nvml.ClockMemory: 5001, nvml.ClockVideo: 1470},
		Reasons:     nvml.ReasonGPUIdle,
		PState:      8,
		Temperature: 28,
		PCIeGen:     1, PCIeWidth: 8, MaxPCIeGen: 3, GPUMaxPCIeGen: 3, MaxPCIeWidth: 16,
		ECC: true, ECCPending: true,
		MemoryErrors: eccCounters(),
		Fields: map[nvml.Field]uint64{
			{ID: nvml.FieldECCCurrent}: 1, {ID: nvml.FieldEnergy}: 5_000_000, {ID: nvml.FieldPowerInstant}: 9500,
			{ID: nvml.FieldRetiredSingle}: 0, {ID: nvml.FieldRetiredDouble}: 0, {ID: nvml.FieldRetiredPending}: 0,
			{ID: nvml.FieldPCIeReplay}: 0,
		},
		Events: oldEvents,
	}
	g.unsupported(nvml.CallRemappedRows, nvml.CallSRAMECC, nvml.CallUnrepairable, nvml.CallAddressingMode,
		nvml.CallJPEG, nvml.CallOFA, nvml.CallGSPFirmware)
	return g
}

// GB10 returns a GPU that shares the memory of its machine, of which much is
// not supported.
func GB10() *GPU {
	g := &GPU{
		UUID: uuid(0x47423130, 0), Name: "NVIDIA GB10",
		PCI:   nvml.PCI{Domain: 0xf, Bus: 1},
		Brand: 14, Architecture: 10, ComputeMajor: 12, ComputeMinor: 1,
		Cores:      6144,
		PowerUsage: 4500, Temperature: 40,
		Clocks:     map[nvml.Clock]uint32{nvml.ClockGraphics: 208, nvml.ClockSM: 208},
		MaxClocks:  map[nvml.Clock]uint32{nvml.ClockGraphics: 3003, nvml.ClockSM: 3003},
		Addressing: 2,
	}
	g.unsupported(nvml.CallMemory, nvml.CallMemoryV2, nvml.CallBAR1, nvml.CallECCMode, nvml.CallRemappedRows,
		nvml.CallSRAMECC, nvml.CallUnrepairable, nvml.CallRetiredPagesPending, nvml.CallPersistenceMode,
		nvml.CallTotalECCErrors, nvml.CallJPEG, nvml.CallOFA, nvml.CallDisplayMode)
	return g
}

func (g *GPU) unsupported(calls ...nvml.Call) {
	for _, c := range calls {
		g.Fail(c, nvml.ErrNotSupported)
	}
}

// eccCounters returns all counters that the plugin reads, at 0.
func eccCounters() map[Counter]uint64 {
	counters := make(map[Counter]uint64)
	for _, t := range []nvml.ErrorType{nvml.Corrected, nvml.Uncorrected} {
		for _, s := range []nvml.CounterScope{nvml.Volatile, nvml.Aggregate} {
			for _, l := range []nvml.Location{nvml.L1Cache, nvml.L2Cache, nvml.DeviceMemory} {
				counters[Counter{t, s, l}] = 0
			}
		}
	}
	return counters
}

func repeat(v bool, n int) []bool {
	all := make([]bool, n)
	for i := range all {
		all[i] = v
	}
	return all
}
