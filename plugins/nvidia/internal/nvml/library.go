package nvml

// Library is the management library. Its methods may be used by several
// goroutines, except that Shutdown must not run while another call does.
type Library interface {
	// Init loads the library file, if that has not been done, and attaches to
	// the driver. It may be repeated after a failure. Its error has the class
	// ClassNotLoaded where there is no library or no driver. [ErrOtherLibrary]
	// means that this process has another file loaded already.
	Init() error
	// Shutdown detaches from the driver. The file stays mapped.
	Shutdown() error
	// DriverVersion returns the version of the driver: "580.82.07".
	DriverVersion() (string, error)
	// CUDAVersion returns the newest CUDA version that the driver supports, as
	// 1000 × major + 10 × minor.
	CUDAVersion() (int, error)
	// DeviceCount returns the number of GPUs, including those whose handles
	// then answer that there is no permission.
	DeviceCount() (int, error)
	// DeviceByIndex returns the GPU with an index, from 0. The order may change
	// with each boot.
	DeviceByIndex(index int) (Device, error)
	// DeviceByPCI returns the GPU at a PCI address: "0000:3b:00.0".
	DeviceByPCI(address string) (Device, error)
	// DeviceByUUID returns a GPU or MIG instance. It may initialise other GPUs
	// and fails when any GPU is lost, so it is a last resort.
	DeviceByUUID(uuid string) (Device, error)
	// NewEventSet returns an empty set of events to wait for.
	NewEventSet() (EventSet, error)
	// NewGPMSample returns an empty sample of performance metrics. It must be
	// freed.
	NewGPMSample() (GPMSample, error)
	// GPMMetrics computes metrics from two samples of one device, the older one
	// first, taken 100 ms apart or more. It copies about 19 kB, so ask for all
	// that is wanted at once.
	GPMMetrics(older, newer GPMSample, metrics []GPMMetric) ([]GPMValue, error)
	// Has reports whether the library has the function of a call. It is false
	// for all calls before the first Init that succeeded.
	Has(call Call) bool
}

// Handle identifies a GPU within the process. Handles compare with ==.
type Handle struct{ v any }

// NewHandle makes a handle of something comparable.
func NewHandle(v any) Handle { return Handle{v} }

// Device is a GPU or a MIG instance. What it does not support is remembered for
// as long as the Device lives: get a new one when that may have changed (after
// a reset, or when the MIG mode changed). Methods return a zero value beside an
// error, and an error wraps a [Return].
//
// A Device may be used by several goroutines; of those that may hang, callers
// let only one at a time ask.
type Device interface {
	// Handle identifies the device, to match it with an [Event].
	Handle() Handle

	// Identity

	UUID() (string, error)
	Name() (string, error)
	// Minor returns N of /dev/nvidiaN. It may change with the MIG mode.
	Minor() (int, error)
	PCI() (PCI, error)
	Brand() (Brand, error)
	Architecture() (Architecture, error)
	ComputeCapability() (major, minor int, err error)
	VBIOS() (string, error)
	Serial() (string, error)
	BoardPartNumber() (string, error)
	GSPFirmware() (string, error)
	// ModuleID returns the place of the GPU on its baseboard.
	ModuleID() (int, error)

	// Memory and board

	// Memory returns the memory of the device, with the driver's reserve kept
	// apart where the driver can tell.
	Memory() (Memory, error)
	BAR1() (BAR1, error)
	// Cores returns the number of CUDA cores.
	Cores() (int, error)
	// MemoryBusWidth returns the width of the memory bus in bits.
	MemoryBusWidth() (int, error)

	// Power, clocks, temperature, utilisation

	// PowerUsage returns the draw in mW, averaged over a second on most GPUs.
	PowerUsage() (uint32, error)
	// PowerLimit returns the enforced limit in mW.
	PowerLimit() (uint32, error)
	// Energy returns mJ since the driver was loaded.
	Energy() (uint64, error)
	// Clock returns the current clock in MHz.
	Clock(Clock) (uint32, error)
	// MaxClock returns the highest clock in MHz.
	MaxClock(Clock) (uint32, error)
	// EventReasons returns why the clocks are not at their highest.
	EventReasons() (EventReasons, error)
	// PerformanceState returns n of Pn, 0 being the fastest. An unknown state
	// is ErrNoData.
	PerformanceState() (int, error)
	// Temperature returns the temperature of the GPU in degrees Celsius.
	Temperature() (int, error)
	// FanSpeed returns the intended fan speed in percent.
	FanSpeed() (uint32, error)
	Utilization() (Utilization, error)
	// EncoderUtilization, DecoderUtilization, JPEGUtilization and
	// OFAUtilization return percents over the last sampling period.
	EncoderUtilization() (uint32, error)
	DecoderUtilization() (uint32, error)
	JPEGUtilization() (uint32, error)
	OFAUtilization() (uint32, error)
	// ComputeProcesses, GraphicsProcesses and MPSProcesses return how many
	// processes run on the device.
	ComputeProcesses() (int, error)
	GraphicsProcesses() (int, error)
	MPSProcesses() (int, error)

	// Links

	PCIeGeneration() (int, error)
	PCIeWidth() (int, error)
	// MaxPCIeGeneration returns what the device and the machine can do
	// together, GPUMaxPCIeGeneration what the device could do elsewhere.
	MaxPCIeGeneration() (int, error)
	GPUMaxPCIeGeneration() (int, error)
	MaxPCIeWidth() (int, error)
	PCIeReplays() (uint64, error)
	// NVLinkActive reports whether a link, from 0, is active.
	NVLinkActive(link int) (bool, error)
	Fabric() (Fabric, error)

	// Modes

	// DisplayMode reports whether a display is connected.
	DisplayMode() (bool, error)
	PersistenceMode() (bool, error)
	ECCMode() (current, pending bool, err error)
	ComputeMode() (ComputeMode, error)
	Virtualization() (Virtualization, error)
	AddressingMode() (AddressingMode, error)

	// Errors of the memory

	// MemoryErrors returns a counter of ECC errors. Some devices answer 0 for
	// places that they do not count.
	MemoryErrors(ErrorType, CounterScope, Location) (uint64, error)
	TotalECCErrors(ErrorType, CounterScope) (uint64, error)
	SRAMECC() (SRAMECC, error)
	RemappedRows() (RemappedRows, error)
	// RetiredPagesPending reports whether pages wait for a reset to be retired.
	RetiredPagesPending() (bool, error)
	// Unrepairable reports whether the memory has damage beyond repair.
	Unrepairable() (bool, error)

	// FieldValues reads fields in one batch. The answer has an entry for each
	// field, in their order, with an error of its own.
	FieldValues(fields ...Field) ([]FieldValue, error)

	// MIG

	// MIGMode returns whether the GPU is, and will be after a reset, split
	// into instances.
	MIGMode() (current, pending bool, err error)
	// MaxMIGDevices returns the number of slots for instances.
	MaxMIGDevices() (int, error)
	// MIGDevice returns the instance in a slot; an empty slot is ErrNotFound.
	// The instance must not be kept: a changed layout reuses its handle.
	MIGDevice(slot int) (Device, error)
	// GPUInstance and ComputeInstance return the numbers of a MIG instance.
	GPUInstance() (int, error)
	ComputeInstance() (int, error)
	// MIGAttributes returns what a MIG instance is made of.
	MIGAttributes() (MIGAttributes, error)

	// Events

	// SupportedEvents returns the events that the device can tell of. Whole
	// GPUs only.
	SupportedEvents() (EventMask, error)
	// RegisterEvents adds the device's events to a set of the same library. One
	// event that is not supported keeps all from being registered; after any
	// other error the set must be freed.
	RegisterEvents(EventMask, EventSet) error

	// GPM

	// GPMSupported reports whether the device has performance metrics.
	GPMSupported() (bool, error)
	// GPMSample fills a sample. MIG instances take theirs by GPMMIGSample on
	// the whole GPU.
	GPMSample(into GPMSample) error
	GPMMIGSample(gpuInstance int, into GPMSample) error
}
