package nvml

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestReturns(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		r     Return
		class Class
		says  string
	}{
		{Success, ClassNone, "success"},
		{ErrNotSupported, ClassUnsupported, "does not support this (NVML error 3)"},
		{ErrFunctionNotFound, ClassUnsupported, "too old"},
		{ErrArgumentVersion, ClassUnsupported, "version of the call"},
		{ErrNoData, ClassUnsupported, "no data"},
		{ErrGPUIsLost, ClassLost, "off the bus"},
		{ErrResetRequired, ClassResetRequired, "reset"},
		{ErrIRQIssue, ClassResetRequired, "interrupts"},
		{ErrInsufficientPower, ClassResetRequired, "power cables"},
		{ErrDriverNotLoaded, ClassNotLoaded, "not loaded"},
		{ErrLibraryNotFound, ClassNotLoaded, "was not found"},
		{ErrUninitialized, ClassNotLoaded, "not initialised"},
		{ErrVersionMismatch, ClassMismatch, "different versions"},
		{ErrNoPermission, ClassPermission, "permission"},
		{ErrOperatingSystem, ClassPermission, "blocks"},
		{ErrNotFound, ClassNotFound, "not found"},
		{ErrTimeout, ClassTimeout, "timed out"},
		{ErrUnknown, ClassTransient, "internal error"},
		{4711, ClassTransient, "NVML error 4711"},
	} {
		if tt.r.Class() != tt.class || !strings.Contains(tt.r.Error(), tt.says) {
			t.Errorf("%d: class %d, %q", int32(tt.r), tt.r.Class(), tt.r.Error())
		}
		if tt.r == Success {
			continue
		}
		err := fmt.Errorf("reading: %w", &CallError{Call: "nvmlX", Return: tt.r})
		if !errors.Is(err, tt.r) || ClassOf(err) != tt.class || Unsupported(err) != (tt.class == ClassUnsupported) {
			t.Errorf("%d: wrapped, it is of class %d", int32(tt.r), ClassOf(err))
		}
	}
	if ClassOf(nil) != ClassNone || ClassOf(errors.New("x")) != ClassTransient {
		t.Error("errors without a code")
	}
	const want = "nvmlX: no data (NVML error 21): field 230"
	if got := (&CallError{Call: "nvmlX", Return: ErrNoData, Detail: "field 230"}).Error(); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
