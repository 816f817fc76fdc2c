package nvml

import (
	"errors"
	"fmt"
)

// Return is a return code of NVML as an error (nvml.h, nvmlReturn_t). The calls
// of this package return a [*CallError] that wraps it, so compare with
// errors.Is(err, nvml.ErrNotSupported), or ask [ClassOf] what the code means.
type Return int32

// Success is the one Return that is never used as an error.
const Success Return = 0

// The error codes of NVML.
const (
	ErrUninitialized         Return = 1
	ErrInvalidArgument       Return = 2
	ErrNotSupported          Return = 3
	ErrNoPermission          Return = 4
	ErrNotFound              Return = 6
	ErrInsufficientSize      Return = 7
	ErrInsufficientPower     Return = 8
	ErrDriverNotLoaded       Return = 9
	ErrTimeout               Return = 10
	ErrIRQIssue              Return = 11
	ErrLibraryNotFound       Return = 12
	ErrFunctionNotFound      Return = 13
	ErrCorruptedInfoROM      Return = 14
	ErrGPUIsLost             Return = 15
	ErrResetRequired         Return = 16
	ErrOperatingSystem       Return = 17
	ErrVersionMismatch       Return = 18
	ErrInUse                 Return = 19
	ErrMemory                Return = 20
	ErrNoData                Return = 21
	ErrVGPUECCNotSupported   Return = 22
	ErrInsufficientResources Return = 23
	ErrFreqNotSupported      Return = 24
	ErrArgumentVersion       Return = 25
	ErrDeprecated            Return = 26
	ErrNotReady              Return = 27
	ErrGPUNotFound           Return = 28
	ErrInvalidState          Return = 29
	ErrUnknown               Return = 999
)

// ErrOtherLibrary says that the process has another library file mapped. It
// cannot be replaced: only a fresh process can use the new one.
var ErrOtherLibrary = errors.New("another NVIDIA management library is already in use by this process")

// Class says how to react to an error, see [ClassOf].
type Class uint8

// The classes of errors.
const (
	// ClassNone is the class of nil.
	ClassNone Class = iota
	// ClassUnsupported: the device or driver has no such value. It is left out
	// and not asked for again.
	ClassUnsupported
	// ClassLost: the GPU fell off the bus or is gone.
	ClassLost
	// ClassResetRequired: the GPU is there and does not work until somebody
	// acts.
	ClassResetRequired
	// ClassNotLoaded: there is no library or no driver. A normal state of a
	// machine without NVIDIA hardware.
	ClassNotLoaded
	// ClassMismatch: the driver was replaced under the mapped library; only a
	// fresh process can go on.
	ClassMismatch
	// ClassPermission: the GPU is hidden from this process.
	ClassPermission
	// ClassNotFound: a slot or a sample is empty. Normal while enumerating.
	ClassNotFound
	// ClassTimeout: a wait for events ended without one. Normal.
	ClassTimeout
	// ClassTransient is everything else: keep what is known and try again.
	ClassTransient
)

var returns = map[Return]struct {
	text  string
	class Class
}{
	ErrUninitialized:         {"the library is not initialised", ClassNotLoaded},
	ErrInvalidArgument:       {"an argument is invalid", ClassTransient},
	ErrNotSupported:          {"the device does not support this", ClassUnsupported},
	ErrNoPermission:          {"no permission", ClassPermission},
	ErrNotFound:              {"not found", ClassNotFound},
	ErrInsufficientSize:      {"a buffer is too small", ClassTransient},
	ErrInsufficientPower:     {"the external power cables of the GPU are not properly attached", ClassResetRequired},
	ErrDriverNotLoaded:       {"the NVIDIA driver is not loaded", ClassNotLoaded},
	ErrTimeout:               {"timed out", ClassTimeout},
	ErrIRQIssue:              {"the kernel found a problem with the interrupts of the GPU", ClassResetRequired},
	ErrLibraryNotFound:       {"the NVIDIA management library was not found", ClassNotLoaded},
	ErrFunctionNotFound:      {"the driver is too old for this call", ClassUnsupported},
	ErrCorruptedInfoROM:      {"the infoROM of the GPU is corrupted", ClassTransient},
	ErrGPUIsLost:             {"the GPU has fallen off the bus or is otherwise unreachable", ClassLost},
	ErrResetRequired:         {"the GPU needs a reset before it can be used again", ClassResetRequired},
	ErrOperatingSystem:       {"the operating system blocks access to the GPU", ClassPermission},
	ErrVersionMismatch:       {"the library and the loaded driver have different versions", ClassMismatch},
	ErrInUse:                 {"the GPU is in use", ClassTransient},
	ErrMemory:                {"out of memory", ClassTransient},
	ErrNoData:                {"no data", ClassUnsupported},
	ErrVGPUECCNotSupported:   {"not available while ECC is enabled", ClassUnsupported},
	ErrInsufficientResources: {"out of resources", ClassTransient},
	ErrFreqNotSupported:      {"the frequency is not supported", ClassUnsupported},
	ErrArgumentVersion:       {"the driver does not know this version of the call", ClassUnsupported},
	ErrDeprecated:            {"the driver no longer offers this call", ClassUnsupported},
	ErrNotReady:              {"the driver is not ready", ClassTransient},
	ErrGPUNotFound:           {"no GPU was found", ClassLost},
	ErrInvalidState:          {"the GPU is in the wrong state for this", ClassTransient},
	ErrUnknown:               {"internal error of the driver", ClassTransient},
}

// Error returns the meaning of the code in words and its number. The text comes
// from this package and not from the library, whose texts differ by version and
// can only be had by another call into it.
func (r Return) Error() string {
	if r == Success {
		return "success"
	}
	if e, ok := returns[r]; ok {
		return fmt.Sprintf("%s (NVML error %d)", e.text, int32(r))
	}
	return fmt.Sprintf("NVML error %d", int32(r))
}

// Class says how to react to the code.
func (r Return) Class() Class {
	if r == Success {
		return ClassNone
	}
	if e, ok := returns[r]; ok {
		return e.class
	}
	return ClassTransient
}

// ClassOf says how to react to an error of this package. An error that holds no
// Return is transient.
func ClassOf(err error) Class {
	if err == nil {
		return ClassNone
	}
	if r, ok := errors.AsType[Return](err); ok {
		return r.Class()
	}
	return ClassTransient
}

// Unsupported reports whether err says that there is no such value, for good.
func Unsupported(err error) bool { return ClassOf(err) == ClassUnsupported }

// CallError is the error of one NVML call.
type CallError struct {
	// Call is the name of the C function.
	Call string
	// Return is the code that it returned.
	Return Return
	// Detail is more than the code says, such as the dynamic linker's message.
	Detail string
}

// Error names the call, what went wrong and the number of the code.
func (e *CallError) Error() string {
	if e.Detail != "" {
		return fmt.Sprintf("%s: %v: %s", e.Call, e.Return, e.Detail)
	}
	return fmt.Sprintf("%s: %v", e.Call, e.Return)
}

// Unwrap returns the Return.
func (e *CallError) Unwrap() error { return e.Return }
