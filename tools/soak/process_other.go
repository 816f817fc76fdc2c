//go:build !linux

package soak

import "errors"

// UsageOf reads what a process holds, on Linux only.
func UsageOf(int) (Usage, error) {
	return Usage{}, errors.New("what a process holds can be read on Linux only")
}
