module github.com/nomad-devices/nomad-devices/plugins/nvidia

go 1.26.0

require github.com/nomad-devices/nomad-devices/core v0.0.0

replace github.com/nomad-devices/nomad-devices/core => ../../core
