// Command nomad-device-fpga is the Nomad device plugin for FPGAs.
package main

import (
	"github.com/nomad-devices/nomad-devices/core/plugin"
	"github.com/nomad-devices/nomad-devices/plugins/fpga"
)

func main() { plugin.Main(fpga.Plugin()) }
