package amd

import (
	"github.com/nomad-devices/nomad-devices/core/config"
	"github.com/nomad-devices/nomad-devices/core/describe"
)

// page is the tables of the plugin's page, docs/plugins/amd.md. They are made from
// what the code works by, and a test holds the page against them.
var page = describe.Page{
	"configuration": func() (string, error) { return config.Table(Config{}) },
	"attributes":    func() (string, error) { return describe.Attributes(attributes), nil },
	"statistics":    func() (string, error) { return describe.Stats(stats), nil },
}
