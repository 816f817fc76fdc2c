package nvml

import "fmt"

// PCI is where a GPU sits.
type PCI struct {
	Domain, Bus, Device uint32
}

// Address returns the address as sysfs writes it: "0000:3b:00.0". NVML's GPUs
// are always function 0.
func (p PCI) Address() string {
	return fmt.Sprintf("%04x:%02x:%02x.0", p.Domain, p.Bus, p.Device)
}

// Memory is the memory of a device in bytes.
type Memory struct {
	Total, Used, Free uint64
	// Reserved is what the driver and the firmware keep for themselves. It is
	// known only if HasReserved.
	Reserved    uint64
	HasReserved bool
}

// BAR1 is the window through which the host reaches the memory, in bytes.
type BAR1 struct {
	Total, Used, Free uint64
}

// Utilization is in percent of the last sampling period.
type Utilization struct {
	// GPU is the share of time in which a kernel ran, Memory that in which
	// memory was read or written.
	GPU, Memory uint32
}

// Brand is the product line of a GPU.
type Brand uint32

var brands = map[Brand]string{
	1: "Quadro", 2: "Tesla", 3: "NVS", 4: "GRID", 5: "GeForce", 6: "Titan",
	7: "NVIDIA Virtual Applications", 8: "NVIDIA Virtual PC", 9: "NVIDIA Virtual Compute Server",
	10: "NVIDIA RTX Virtual Workstation", 11: "NVIDIA Cloud Gaming", 12: "Quadro RTX",
	13: "NVIDIA RTX", 14: "NVIDIA", 15: "GeForce RTX", 16: "Titan RTX",
	18: "NVIDIA RTX Virtual Game Dev",
}

// String returns the name of the brand, "" if there is none.
func (b Brand) String() string { return brands[b] }

// Architecture is the generation of a GPU.
type Architecture uint32

// Hopper is the architecture from which on performance metrics (GPM) exist.
const Hopper Architecture = 9

var architectures = map[Architecture]string{
	2: "kepler", 3: "maxwell", 4: "pascal", 5: "volta", 6: "turing", 7: "ampere",
	8: "ada", Hopper: "hopper", 10: "blackwell", 13: "rubin",
}

// String returns the name in lower case, "" if it is not known.
func (a Architecture) String() string { return architectures[a] }

// Clock is one of a GPU's clocks.
type Clock uint32

// The clocks.
const (
	ClockGraphics Clock = 0
	ClockSM       Clock = 1
	ClockMemory   Clock = 2
	ClockVideo    Clock = 3
)

// EventReasons is a set of bits that say why clocks are held down.
type EventReasons uint64

// The reasons (nvml.h, nvmlClocksEventReason*).
const (
	ReasonGPUIdle              EventReasons = 0x1
	ReasonApplicationsClocks   EventReasons = 0x2
	ReasonSWPowerCap           EventReasons = 0x4
	ReasonHWSlowdown           EventReasons = 0x8
	ReasonSyncBoost            EventReasons = 0x10
	ReasonSWThermalSlowdown    EventReasons = 0x20
	ReasonHWThermalSlowdown    EventReasons = 0x40
	ReasonHWPowerBrakeSlowdown EventReasons = 0x80
	ReasonDisplayClock         EventReasons = 0x100
	ReasonBoardLimit           EventReasons = 0x200
	ReasonReliability          EventReasons = 0x400
)

// ComputeMode says how many processes may compute on a GPU.
type ComputeMode uint32

// String returns the name in lower case, "" if it is not known.
func (m ComputeMode) String() string {
	switch m {
	case 0:
		return "default"
	case 1:
		return "exclusive-thread"
	case 2:
		return "prohibited"
	case 3:
		return "exclusive-process"
	default:
		return ""
	}
}

// Virtualization says how a GPU reached this machine.
type Virtualization uint32

// String returns the name in lower case, "" if it is not known.
func (v Virtualization) String() string {
	switch v {
	case 0:
		return "none"
	case 1:
		return "passthrough"
	case 2:
		return "vgpu"
	case 3:
		return "host-vgpu"
	case 4:
		return "host-vsga"
	default:
		return ""
	}
}

// AddressingMode says how a GPU shares the address space of its processes.
type AddressingMode uint32

// String returns the name in lower case, "" if it is not known.
func (m AddressingMode) String() string {
	switch m {
	case 0:
		return "none"
	case 1:
		return "hmm"
	case 2:
		return "ats"
	default:
		return ""
	}
}

// ErrorType says whether memory errors were corrected.
type ErrorType uint32

// The types of errors.
const (
	Corrected   ErrorType = 0
	Uncorrected ErrorType = 1
)

// CounterScope says since when errors are counted.
type CounterScope uint32

// The scopes of counters.
const (
	// Volatile counts since the driver was loaded.
	Volatile CounterScope = 0
	// Aggregate counts over the life of the GPU.
	Aggregate CounterScope = 1
)

// Location is a place where memory errors are counted.
type Location uint32

// The locations.
const (
	L1Cache      Location = 0
	L2Cache      Location = 1
	DeviceMemory Location = 2
	RegisterFile Location = 3
	SRAM         Location = 7
)

// SRAMECC counts the errors in on-chip memory.
type SRAMECC struct {
	AggregateCorrected, VolatileCorrected                 uint64
	AggregateUncorrectedParity, VolatileUncorrectedParity uint64
	AggregateUncorrectedSECDED, VolatileUncorrectedSECDED uint64
	// ThresholdExceeded says that the GPU has more errors than NVIDIA accepts.
	ThresholdExceeded bool
}

// RemappedRows counts rows of memory that spare ones replaced.
type RemappedRows struct {
	Correctable, Uncorrectable uint64
	// Pending says that a reset will remap further rows, Failure that remapping
	// failed.
	Pending, Failure bool
}

// FabricState is how far a GPU got in joining its NVLink fabric.
type FabricState uint8

// The states of the fabric.
const (
	FabricNotSupported FabricState = 0
	FabricNotStarted   FabricState = 1
	FabricInProgress   FabricState = 2
	FabricCompleted    FabricState = 3
)

// FabricHealth is the summary of the fabric's health.
type FabricHealth uint8

// The healths of the fabric.
const (
	FabricHealthUnknown         FabricHealth = 0
	FabricHealthy               FabricHealth = 1
	FabricUnhealthy             FabricHealth = 2
	FabricHealthLimitedCapacity FabricHealth = 3
)

// Fabric is the place of a GPU in an NVLink fabric.
type Fabric struct {
	State FabricState
	// Status is how joining ended; Success if it went well. It means something
	// in FabricCompleted only.
	Status      Return
	ClusterUUID [16]byte
	CliqueID    uint32
	// HealthMask is the raw mask of newer drivers, 0 if there is none, and
	// Health its summary.
	HealthMask uint32
	Health     FabricHealth
}

// Clique returns the name of the GPU's clique, which GPUs on other machines
// share: the cluster's UUID, a dot and the clique's number. It is "" for a GPU
// that has not joined a fabric of more than this machine.
func (f Fabric) Clique() string {
	if f.State != FabricCompleted || f.Status != Success || f.ClusterUUID == [16]byte{} {
		return ""
	}
	u := f.ClusterUUID
	return fmt.Sprintf("%x-%x-%x-%x-%x.%d", u[0:4], u[4:6], u[6:8], u[8:10], u[10:16], f.CliqueID)
}

// MIGAttributes is what a MIG instance is made of.
type MIGAttributes struct {
	Multiprocessors       int
	CopyEngines           int
	Decoders              int
	Encoders              int
	JPEGs                 int
	OFAs                  int
	GPUInstanceSlices     int
	ComputeInstanceSlices int
	MemoryMB              uint64
}

// RecoveryAction is what the driver asks for (FieldRecoveryAction; nvml.h,
// nvmlDeviceGpuRecoveryAction_t).
type RecoveryAction uint32

// The recovery actions. Newer drivers may know more.
const (
	RecoveryNone          RecoveryAction = 0
	RecoveryGPUReset      RecoveryAction = 1
	RecoveryNodeReboot    RecoveryAction = 2
	RecoveryDrainP2P      RecoveryAction = 3
	RecoveryDrainAndReset RecoveryAction = 4
	RecoveryIMEXDomain    RecoveryAction = 5
	RecoveryBusReset      RecoveryAction = 6
	RecoverySystemReboot  RecoveryAction = 7
)
