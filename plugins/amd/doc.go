// Package amd is the Nomad device plugin for AMD GPUs and their compute
// partitions. It reads the kernel's files alone: no ROCm, no libdrm, no cgo.
package amd
