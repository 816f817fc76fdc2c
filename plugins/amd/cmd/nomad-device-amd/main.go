// Command nomad-device-amd is the Nomad device plugin for AMD GPUs.
package main

import (
	"github.com/nomad-devices/nomad-devices/core/plugin"
	"github.com/nomad-devices/nomad-devices/plugins/amd"
)

func main() { plugin.Main(amd.Plugin()) }
