module github.com/nomad-devices/nomad-devices/core

go 1.26.0
