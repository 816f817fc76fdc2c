// Package nvmltest proves the simulated driver with the NVML bindings that
// plugins use, unchanged. It has tests only.
package nvmltest
