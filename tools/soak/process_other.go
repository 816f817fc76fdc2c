//go:build !linux

package soak

import "errors"

var errOnlyLinux = errors.New("what a process holds can be read on Linux only")

// UsageOf reads what a process holds, on Linux only.
func UsageOf(int) (Usage, error) { return Usage{}, errOnlyLinux }

func quit(int) error { return errOnlyLinux }
