// Package nvidia finds NVIDIA GPUs and MIG instances for Nomad.
package nvidia
