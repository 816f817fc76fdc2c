package dfl

import (
	"strings"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/family"
)

// max10 is a sensor of the board's controller as the older driver of N3000 cards
// shows it: a directory sensorN with the files name, type and value.
type max10 struct {
	dir, label, kind string
}

// findMAX10 finds the sensors below <engine>/spi-altera*/spi_master/*/spi*.
func findMAX10(host *sysfs.FS, engine string) []max10 {
	dirs := []string{engine}
	for _, prefix := range []string{"spi-altera", "spi_master", "spi", "spi", "sensor"} {
		var next []string
		for _, dir := range dirs {
			names, err := host.ReadDir(dir)
			if err != nil {
				continue
			}
			for _, name := range names {
				if strings.HasPrefix(name, prefix) {
					next = append(next, dir+"/"+name)
				}
			}
		}
		dirs = next
	}
	var found []max10
	for _, dir := range dirs {
		m := max10{dir: dir, label: family.ReadText(host, dir+"/name").Value, kind: family.ReadText(host, dir+"/type").Value}
		if m.label != "" && m.kind != "" {
			found = append(found, m)
		}
	}
	return found
}

// read reads the sensor: m°C, mW, mV or mA. One whose module is not plugged in is
// empty.
func (m max10) read(host *sysfs.FS) core.Reading {
	r := core.Reading{Name: sensorName(m.label), Value: core.Unknown(), Description: m.label}
	value := family.ReadInt(host, m.dir+"/value")
	if !value.Known() || r.Name == "" {
		return r
	}
	v := float64(value.Value) / 1000
	switch {
	case m.measures("temp"):
		r.Unit, r.Value = "C", family.Celsius(v)
	case m.measures("power"):
		r.Unit, r.Value = "W", family.Watts(v)
	case m.measures("volt"):
		r.Unit, r.Value = "V", core.Float(v, core.NoUnit)
	case m.measures("curr"):
		r.Unit, r.Value = "A", core.Float(v, core.NoUnit)
	}
	return r
}

// measures reports whether the type of the sensor, such as "Temperature", begins
// like a word.
func (m max10) measures(word string) bool { return strings.HasPrefix(strings.ToLower(m.kind), word) }
