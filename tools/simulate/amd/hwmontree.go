package amd

import (
	"fmt"
	"path"
)

// hwmonTree is the sensors of a GPU (Documentation/hwmon/sysfs-interface,
// drivers/gpu/drm/amd/pm/amdgpu_pm.c). A channel has the same number on every
// GPU; one that the GPU lacks is missing.
func hwmonTree(f files, g gpu) {
	name := fmt.Sprintf("hwmon%d", g.minors.hwmon)
	at := g.file(path.Join("hwmon", name))
	f.Tree.Link(path.Join(at, "device"), g.dir())
	f.Tree.Link(path.Join(at, "subsystem"), "/sys/class/hwmon")
	f.Tree.Link("/sys/class/hwmon/"+name, at)
	f.put(path.Join(at, "name"), "amdgpu")
	h := hwmon{f, g, at}

	// The values of a scenario are °C, mW, MHz, mV and rpm, those of hwmon m°C,
	// µW, Hz, mV and rpm.
	for channel, key := range map[string]string{"temp1": "temperature.edge", "temp2": "temperature", "temp3": "temperature.memory"} {
		label := map[string]string{"temp1": "edge", "temp2": "junction", "temp3": "mem"}[channel]
		if h.sensor(channel, label, key, 1000, "_input") {
			h.limit(channel+"_crit", key+".critical", 1000)
			h.limit(channel+"_emergency", key+".emergency", 1000)
		}
	}
	average := h.sensor("power1", "PPT", "power.average", 1000, "_average")
	if input := h.sensor("power1", "PPT", "power.input", 1000, "_input"); average || input {
		for file, key := range map[string]string{
			"power1_cap": "power.limit", "power1_cap_default": "power.default_limit", "power1_cap_max": "power.max", "power1_cap_min": "power.min",
		} {
			f.live(path.Join(at, file), g.scaled(key, 1000))
		}
	}
	h.sensor("freq1", "sclk", "clock.graphics", 1e6, "_input")
	h.sensor("freq2", "mclk", "clock.memory", 1e6, "_input")
	h.sensor("in0", "vddgfx", "voltage.graphics", 1, "_input")
	h.sensor("in1", "vddnb", "voltage.northbridge", 1, "_input") // APUs alone
	if text := g.text("fan.speed"); text != "" {
		f.live(path.Join(at, "fan1_input"), text)
		f.live(path.Join(at, "fan1_max"), g.text("fan.max"))
		f.live(path.Join(at, "fan1_min"), "0")
	}
}

type hwmon struct {
	files
	g  gpu
	at string
}

// sensor writes a channel, and reports whether the GPU has it.
func (h hwmon) sensor(channel, label, key string, factor float64, suffix string) bool {
	text := h.g.scaled(key, factor)
	if text == "" {
		return false
	}
	h.live(path.Join(h.at, channel+suffix), text)
	h.put(path.Join(h.at, channel+"_label"), label)
	return true
}

// limit writes a limit, which the driver knows without asking the hardware.
func (h hwmon) limit(name, key string, factor float64) {
	h.put(path.Join(h.at, name), h.g.scaled(key, factor))
}
