package xrt

import (
	"context"
	"math"
	"slices"
	"strings"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/family"
)

// The ends of the names of a user function's sensor chips, behind the name of the
// shell: one for cards with a satellite controller that is asked by xmc, one for
// Versal cards.
const (
	chipVersal  = "_hwmon_sdm_user"
	chipClassic = "_user"
)

// sensors are the readings of a card's sensors, in °C, W, V, A and rpm. What is
// not known has no value.
type sensors struct{ temperature, power, volts, amps, fan core.Value }

// readSensors reads the sensors of a card that answers.
func (c *fpga) readSensors(ctx context.Context, l look) sensors {
	r := reader{ctx: ctx, host: c.scan.Host}
	chips := family.NewScan(r.host, c.scan.Memory).Hwmons(c.user.dir) // their numbers may have moved
	var s sensors
	for _, chip := range chips {
		switch {
		case strings.HasSuffix(chip.Name, chipVersal):
			s = r.versal(chip)
		case strings.HasSuffix(chip.Name, chipClassic):
			s = r.classic(chip)
		}
	}
	if xmc := c.part(l, "xmc"); xmc != "" {
		r.fallback(&s, xmc)
	}
	return s
}

// reader reads sensors until its context ends: each may take seconds.
type reader struct {
	ctx  context.Context
	host *sysfs.FS
}

// number reads a file with one number.
func (r reader) number(path string) family.Fact[int64] {
	if err := r.ctx.Err(); err != nil {
		return family.Failed[int64](err)
	}
	return family.ReadInt(r.host, path)
}

// classic reads the chip of a card with a satellite controller, in the kernel's
// units. Of its power, what is called the average is the maximum.
func (r reader) classic(chip family.Hwmon) sensors {
	var s sensors
	for _, c := range family.Channels(r.host, chip) {
		switch {
		case c.Kind == "temp" && strings.Contains(strings.ToUpper(c.Label), "FPGA TEMP"):
			s.temperature = hotter(s.temperature, celsius(r.number(c.Path+"_input"), -3))
		case c.Kind == "power" && c.Number == 1:
			s.power = watts(r.number(c.Path+"_input"), -6)
		case c.Kind == "in" && c.Number == 0:
			s.volts = supply(r.number(c.Path+"_input"), -3)
		case c.Kind == "curr" && c.Number == 1:
			s.amps = supply(r.number(c.Path+"_input"), -3)
		case c.Kind == "fan" && c.Number == 1:
			s.fan = speed(r.number(c.Path + "_input"))
		}
	}
	return s
}

// fallback reads what the chip did not tell from the satellite controller's own
// files. Of them the temperature is in °C; the others are in the chip's units.
func (r reader) fallback(s *sensors, xmc string) {
	for _, f := range []struct {
		value *core.Value
		file  string
		read  func(family.Fact[int64]) core.Value
	}{
		{&s.temperature, "xmc_fpga_temp", func(f family.Fact[int64]) core.Value { return celsius(f, 0) }},
		{&s.power, "xmc_power", func(f family.Fact[int64]) core.Value { return watts(f, -6) }},
		{&s.volts, "xmc_12v_pex_vol", func(f family.Fact[int64]) core.Value { return supply(f, -3) }},
		{&s.amps, "xmc_12v_pex_curr", func(f family.Fact[int64]) core.Value { return supply(f, -3) }},
		{&s.fan, "xmc_fan_rpm", speed},
	} {
		if !f.value.Known() {
			*f.value = f.read(r.number(xmc + "/" + f.file))
		}
	}
}

// versal reads the chip of a Versal card, whose controller tells the unit of each
// sensor and the power of ten it counts in, which are not the kernel's.
func (r reader) versal(chip family.Hwmon) sensors {
	var s sensors
	channels := family.Channels(r.host, chip)
	powers := 0
	for _, c := range channels {
		if c.Kind == "power" {
			powers++
		}
	}
	for _, c := range channels {
		label := strings.ToLower(c.Label)
		pex := strings.Contains(label, "12v") && strings.Contains(label, "pex")
		switch {
		case c.Kind == "temp" && strings.Contains(label, "fpga"):
			s.temperature = hotter(s.temperature, r.valid(c, celsius))
		case c.Kind == "power" && (strings.Contains(label, "total") || powers == 1):
			s.power = r.valid(c, watts)
		case c.Kind == "in" && pex:
			s.volts = r.valid(c, supply)
		case c.Kind == "curr" && pex:
			s.amps = r.valid(c, supply)
		case c.Kind == "fan" && c.Number == 1:
			s.fan = r.valid(c, func(f family.Fact[int64], _ int) core.Value { return speed(f) })
		}
	}
	return s
}

// statusValid is the status of a Versal sensor that has a value
// (xocl/subdev/hwmon_sdm.c).
const statusValid = "Sensor Present and Valid"

// units are the units that a Versal sensor of a kind may be in.
var units = map[string][]string{
	"temp":  {"celsius", "c", "degc", "degrees c"},
	"power": {"watts", "watt", "w"},
	"in":    {"volts", "volt", "v"},
	"curr":  {"amps", "amp", "amperes", "a"},
}

// maxExponent bounds the power of ten that a sensor counts in: from nano to giga.
const maxExponent = 9

// valid returns a Versal sensor's value, if it says that it has one in a unit that
// is known. Fans have neither a unit nor a power of ten.
func (r reader) valid(c family.Channel, value func(family.Fact[int64], int) core.Value) core.Value {
	if r.ctx.Err() != nil || family.ReadText(r.host, c.Path+"_status").Value != statusValid {
		return core.Value{}
	}
	var exponent family.Fact[int64]
	if known, ok := units[c.Kind]; ok {
		unit := family.ReadText(r.host, c.Path+"_units")
		if unit.State != family.None && !slices.Contains(known, strings.ToLower(unit.Value)) {
			return core.Value{}
		}
		exponent = r.number(c.Path + "_unitm")
		if !exponent.Known() || exponent.Value < -maxExponent || exponent.Value > maxExponent {
			return core.Value{}
		}
	}
	return value(r.number(c.Path+"_input"), int(exponent.Value))
}

// hotter returns the higher of two temperatures of one FPGA.
func hotter(a, b core.Value) core.Value {
	if !a.Known() || b.Known() && b.AsFloat() > a.AsFloat() {
		return b
	}
	return a
}

// scale multiplies a sensor's number with a power of ten. It is false for a number
// that is not known, and for 0, which controllers show for a sensor that the board
// does not have.
func scale(f family.Fact[int64], exponent int) (float64, bool) {
	v := float64(f.Value)
	if exponent < 0 {
		v /= math.Pow10(-exponent) // exact, which a negative power of ten is not
	} else {
		v *= math.Pow10(exponent)
	}
	return v, f.Known() && f.Value != 0
}

func celsius(f family.Fact[int64], exponent int) core.Value {
	v, ok := scale(f, exponent)
	if !ok {
		return core.Value{}
	}
	return family.Celsius(v)
}

func watts(f family.Fact[int64], exponent int) core.Value {
	v, ok := scale(f, exponent)
	if !ok {
		return core.Value{}
	}
	return family.Watts(v)
}

// maxSupply is more volts, and more amperes, than a 12 V supply has. A negative
// number without its sign is far above it.
const maxSupply = 100

func supply(f family.Fact[int64], exponent int) core.Value {
	v, ok := scale(f, exponent)
	if !ok || v < 0 || v > maxSupply {
		return core.Value{}
	}
	return core.Float(v, core.NoUnit)
}

// maxSpeed is faster than any fan of a card, in rpm.
const maxSpeed = 100_000

func speed(f family.Fact[int64]) core.Value {
	if !f.Known() || f.Value <= 0 || f.Value > maxSpeed {
		return core.Value{}
	}
	return core.Count(f.Value)
}
