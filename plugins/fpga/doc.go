// Package fpga is the Nomad device plugin for FPGAs of several driver families. It
// reads the kernel's files alone: no vendor runtime, no cgo.
package fpga
