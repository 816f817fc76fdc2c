// Command nomad-device-nvidia is the Nomad device plugin for NVIDIA GPUs.
package main

import (
	"github.com/nomad-devices/nomad-devices/core/plugin"
	"github.com/nomad-devices/nomad-devices/plugins/nvidia"
)

func main() { plugin.Main(nvidia.Plugin()) }
