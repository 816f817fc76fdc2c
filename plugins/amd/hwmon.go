package amd

import (
	"errors"
	"strings"
	"syscall"

	"github.com/nomad-devices/nomad-devices/core/sysfs"
)

// hwmon is the GPU's directory of sensors: <GPU>/hwmon/hwmonN, of which there is
// one. Its number is a counter of the kernel
// (docs.kernel.org/gpu/amdgpu/thermal.html).
type hwmon struct {
	dir string // empty if there is none
	// channels are the names of the sensors' files without their end, by the
	// driver's label: "junction" is "temp2".
	channels map[string]string
	// labelled says that all labels could be read, and apu that the GPU is part of
	// a processor: its driver shows the voltage of the north bridge.
	labelled, apu bool
}

// channels are the sensors that can have a label which the plugin looks for.
var channels = []string{"temp1", "temp2", "temp3", "power1", "power2", "freq1", "freq2", "in0", "in1"}

// find finds the directory and its labels, unless they are known. Labels are the
// driver's own and need no access to the hardware.
func (h *hwmon) find(c *card) {
	host := c.vendor.host
	parent := c.file("hwmon")
	names, err := host.ReadDir(parent)
	if err != nil && !sysfs.IsAbsent(err) {
		return // what was found before holds
	}
	for _, name := range names {
		dir := parent + "/" + name
		if h.dir == dir && h.labelled {
			return
		}
		if driver, err := host.ReadString(dir + "/name"); err != nil || driver != driverName {
			continue
		}
		found := hwmon{dir: dir, channels: make(map[string]string, len(channels)), labelled: true}
		for _, channel := range channels {
			label, err := host.ReadString(dir + "/" + channel + "_label")
			switch {
			case err == nil:
				found.channels[strings.ToLower(label)] = channel
			case !sysfs.IsAbsent(err):
				found.labelled = false // to be read again the next time
			}
		}
		_, found.apu = found.channels["vddnb"]
		*h = found
		return
	}
	*h = hwmon{}
}

// errNoSensor says that the GPU has no such sensor.
var errNoSensor = errors.New("there is no such sensor")

// read returns what a sensor's file holds, in the unit of the kernel: a thousandth
// of a degree, a millionth of a watt, hertz, a thousandth of a volt
// (Documentation/hwmon/sysfs-interface.rst). The sensor is named by its label.
func (h *hwmon) read(c *card, label, what string) (int64, error) {
	channel := h.channels[label]
	if channel == "" {
		return 0, errNoSensor
	}
	return h.readChannel(c, channel, what)
}

// readChannel is read for a sensor that has no label.
func (h *hwmon) readChannel(c *card, channel, what string) (int64, error) {
	if h.dir == "" {
		return 0, errNoSensor
	}
	return c.vendor.host.ReadInt(h.dir + "/" + channel + "_" + what)
}

// unsupported reports whether a read says that the GPU has no such thing, rather
// than that it could not be read. What the ASIC lacks is mostly hidden; some of it
// answers EOPNOTSUPP or EINVAL (amdgpu_pm.c).
func unsupported(err error) bool {
	return errors.Is(err, errNoSensor) || sysfs.IsAbsent(err) ||
		errors.Is(err, syscall.EOPNOTSUPP) || errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENODATA)
}

// Bounds of what a sensor can truly say. Drivers also say 511 °C, 255 °C,
// -2147483648 and 2³²-1.
const (
	coldest = -50_000      // thousandths of a degree
	hottest = 150_000      // thousandths of a degree
	most    = 10_000 * 1e6 // millionths of a watt
)

// temperature returns a temperature in thousandths of a degree.
func (h *hwmon) temperature(c *card, label, what string) (int64, error) {
	return within(coldest, hottest)(h.read(c, label, what))
}

// within returns a filter for what a file holds.
func within(low, high int64) func(int64, error) (int64, error) {
	return func(n int64, err error) (int64, error) {
		if err == nil && (n < low || n > high) {
			return 0, errImplausible
		}
		return n, err
	}
}

// errImplausible says that what a file holds cannot be.
var errImplausible = errors.New("the value cannot be")
