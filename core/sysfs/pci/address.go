package pci

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/nomad-devices/nomad-devices/core"
)

// ErrAddress says that something is not the address of a PCI function.
var ErrAddress = errors.New("not a PCI address")

// Address returns the address of a function from its numbers. The device has 5
// bits, the function 3, the bus 8.
func Address(domain, bus, device, function uint32) (core.PCIAddress, error) {
	if bus > 0xff || device > 0x1f || function > 7 {
		return "", fmt.Errorf("%w: bus %#x, device %#x, function %#x", ErrAddress, bus, device, function)
	}
	// The kernel's own format (drivers/pci/probe.c): a domain above 0xffff, as
	// Intel's VMD makes them, has as many digits as it needs.
	return core.PCIAddress(fmt.Sprintf("%04x:%02x:%02x.%x", domain, bus, device, function)), nil
}

// ParseAddress reads an address as tools and drivers write it: in either case,
// with a domain of up to eight digits ("00000000:3B:00.0", as NVML has it) or
// without one, which means domain 0. Blanks and NUL bytes around it are ignored.
func ParseAddress(text string) (core.PCIAddress, error) {
	trimmed := strings.Trim(text, " \t\r\n\x00")
	rest, function, ok := strings.Cut(trimmed, ".")
	if !ok {
		return "", fmt.Errorf("%w: %q has no function, as in 0000:3b:00.0", ErrAddress, text)
	}
	parts := strings.Split(rest, ":")
	if len(parts) == 2 {
		parts = append([]string{"0"}, parts...)
	}
	if len(parts) != 3 {
		return "", fmt.Errorf("%w: %q is not of the form 0000:3b:00.0", ErrAddress, text)
	}
	var numbers [4]uint32
	for i, digits := range append(parts, function) {
		width := [4]int{8, 2, 2, 1}[i]
		n, err := strconv.ParseUint(digits, 16, 32)
		if err != nil || len(digits) > width || digits[0] == '+' {
			return "", fmt.Errorf("%w: %q in %q", ErrAddress, digits, text)
		}
		numbers[i] = uint32(n)
	}
	return Address(numbers[0], numbers[1], numbers[2], numbers[3])
}
