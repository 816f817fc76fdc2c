package nvml

import "time"

// EventMask is a set of kinds of events.
type EventMask uint64

// The kinds of events (nvml.h, nvmlEventType*). Drivers before the 570 branch
// know those up to EventMIGConfig; mask with [Device.SupportedEvents].
const (
	EventSingleBitECC        EventMask = 0x1
	EventDoubleBitECC        EventMask = 0x2
	EventPState              EventMask = 0x4
	EventXID                 EventMask = 0x8
	EventClock               EventMask = 0x10
	EventPowerSource         EventMask = 0x80
	EventMIGConfig           EventMask = 0x100
	EventSingleBitECCStorm   EventMask = 0x200
	EventDRAMRetirement      EventMask = 0x400
	EventDRAMRetirementFail  EventMask = 0x800
	EventNonFatalPoison      EventMask = 0x1000
	EventFatalPoison         EventMask = 0x2000
	EventGPUUnavailable      EventMask = 0x4000
	EventRecoveryActionReady EventMask = 0x8000
)

// AnyInstance stands for all instances of a GPU in an [Event].
const AnyInstance = 0xFFFFFFFF

// Event is something that happened to a GPU.
type Event struct {
	// Handle is that of the whole GPU.
	Handle Handle
	// Kind is a single bit.
	Kind EventMask
	// Data is the XID if Kind is EventXID (999 is unknown), else nothing.
	Data uint64
	// GPUInstance and ComputeInstance say which MIG instance is concerned, or
	// are AnyInstance.
	GPUInstance, ComputeInstance uint32
}

// EventSet collects the events of the devices that were registered with it.
// Only one goroutine may use it.
type EventSet interface {
	// Wait waits for one event. Without any it returns an error that is
	// [ErrTimeout], perhaps before the time is over. [ErrGPUIsLost] does not say
	// which GPU. After any other error the set is useless.
	Wait(timeout time.Duration) (Event, error)
	// Free gives the set back. It must not run beside Wait.
	Free() error
}
