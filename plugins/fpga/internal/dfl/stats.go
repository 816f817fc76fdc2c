package dfl

import (
	"context"
	"fmt"
	"path"
	"regexp"
	"strings"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/describe"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/family"
)

// Measure implements [family.Instance].
func (i *instance) Measure(context.Context) ([]core.Reading, error) {
	var readings []core.Reading
	add := func(r core.Reading) { readings = append(readings, r) }
	if i.fme != "" {
		readings = i.sensors.read(i.host, i.fme)
	}
	if i.port != "" {
		add(statAFU.Is(family.UUIDAttribute(family.ReadUUID(i.host, i.port+"/afu_id"))))
		add(statPowerState.Is(family.Attribute(family.ReadUint(i.host, i.port+"/power_state"), powerState)))
		add(readRegister(i.host, statPortErrors, i.port+"/errors/errors", portErrorBits))
		add(readRegister(i.host, statPortFirst, i.port+"/errors/first_error", portErrorBits))
	}
	if i.fme != "" {
		add(readRegister(i.host, statFMEErrors, i.fme+"/"+i.family.layout.fmeErrors, fmeErrorBits))
		add(readRegister(i.host, statPCIe0, i.fme+"/errors/pcie0_errors", pcieErrorBits))
		add(readRegister(i.host, statPCIe1, i.fme+"/errors/pcie1_errors", pcieErrorBits))
		add(readRegister(i.host, statNonfatal, i.fme+"/errors/nonfatal_errors", nonfatalBits))
		add(readRegister(i.host, statCatfatal, i.fme+"/errors/catfatal_errors", catfatalBits))
	}
	add(family.ReadLink(i.host, i.address))
	for _, c := range []struct {
		stat       *describe.Stat
		file, line string
	}{
		{statAERFatal, "aer_dev_fatal", "TOTAL_ERR_FATAL"},
		{statAERNonfatal, "aer_dev_nonfatal", "TOTAL_ERR_NONFATAL"},
		{statAERCorrectable, "aer_dev_correctable", "TOTAL_ERR_COR"},
	} {
		add(c.stat.Is(family.Attribute(family.Read(i.host, i.pciDir+"/"+c.file, aerTotal(c.line)), core.Count)))
	}
	return family.Measured(readings...), nil
}

func readRegister(host *sysfs.FS, stat *describe.Stat, file string, fields []field) core.Reading {
	return stat.Is(family.Attribute(family.ReadUint(host, file), func(v uint64) core.Value {
		if v == ^uint64(0) { // nobody answers
			return core.Unknown()
		}
		return register(v, fields)
	}))
}

// powerState returns the name of a port's power state.
func powerState(v uint64) core.Value {
	switch v {
	case 0:
		return core.String("normal")
	case 1, 2, powerStopped:
		return core.String(fmt.Sprintf("AP%d", v))
	default:
		return core.Unknown()
	}
}

// aerTotal parses a table of PCIe errors (Documentation/ABI/testing/
// sysfs-bus-pci-devices-aer_stats) for the line with their sum.
func aerTotal(line string) func([]byte) (int64, error) {
	return func(data []byte) (int64, error) {
		for _, text := range family.Lines(string(data)) {
			if count, ok := strings.CutPrefix(text, line+" "); ok {
				return sysfs.Int([]byte(count))
			}
		}
		return 0, fmt.Errorf("%w: it has no line %s", sysfs.ErrMalformed, line)
	}
}

// sensors are the sensors of a card. Where they are is looked up once after each
// scan, by the first measurement.
type sensors struct {
	scan *family.Scan // nil once they are found

	bmc      string // the directory of the board's controller
	channels []family.Channel
	milli    bool            // the controller shows power in mW
	thermal  *family.Channel // temperature, by the engine
	power    *family.Channel // power, by the engine
	max10    []max10
}

func newSensors(scan *family.Scan, engine string) *sensors {
	if engine == "" {
		return nil
	}
	return &sensors{scan: scan}
}

// The names of the chips (drivers/hwmon/intel-m10-bmc-hwmon.c, drivers/fpga/
// dfl-fme-main.c).
var bmcChip = regexp.MustCompile(`^(n3000|d5005|n5010|n6000|c6100)bmc_hwmon$`)

const (
	thermalChip = "dfl_fme_thermal"
	powerChip   = "dfl_fme_power"
)

// The temperatures of the FPGA among those of the board, whose labels name power
// rails and regulators of the FPGA as well.
var (
	fpgaTemperature = regexp.MustCompile(`^FPGA\b.*Temperature`)
	ofSupply        = regexp.MustCompile(`VR|VCC|Voltage|\d(\.\d+)?V`)
)

func isFPGATemperature(label string) bool {
	return fpgaTemperature.MatchString(label) && !ofSupply.MatchString(label)
}

func (s *sensors) find(host *sysfs.FS, engine string) {
	for _, chip := range s.scan.Hwmons(engine) {
		switch {
		case bmcChip.MatchString(chip.Name):
			s.bmc = path.Dir(path.Dir(path.Dir(chip.Dir))) // above <device>/hwmon/hwmonN
			s.channels = family.Channels(host, chip)
			s.milli = chip.Name == "n6000bmc_hwmon" || chip.Name == "c6100bmc_hwmon"
		case chip.Name == thermalChip:
			s.thermal = &family.Channel{Kind: "temp", Path: chip.Dir + "/temp1"}
		case chip.Name == powerChip:
			s.power = &family.Channel{Kind: "power", Path: chip.Dir + "/power1"}
		}
	}
	s.max10 = findMAX10(host, engine)
	s.scan = nil
}

// read reads the sensors, temperature and power first. Of several temperatures of
// the FPGA the highest counts; the first power is that of the board, called "Board
// Power" or "Total Input Power". The board's controller counts before the engine.
func (s *sensors) read(host *sysfs.FS, engine string) []core.Reading {
	if s.scan != nil {
		s.find(host, engine)
	}
	var temperature, power core.Value // of no kind: the controller has no such sensor
	var readings []core.Reading
	add := func(r core.Reading, label string, board bool) {
		switch {
		case board && power.Kind() == core.KindNone:
			power = r.Value
			return
		case !isFPGATemperature(label):
		case temperature.Kind() == core.KindNone,
			r.Value.Known() && (!temperature.Known() || r.Value.AsFloat() > temperature.AsFloat()):
			temperature = r.Value
		}
		if r.Name != "" {
			readings = append(readings, r)
		}
	}
	for _, c := range s.channels {
		add(s.channel(host, c), c.Label, c.Kind == "power")
	}
	for _, m := range s.max10 {
		add(m.read(host), m.label, m.measures("power"))
	}
	if temperature.Kind() == core.KindNone {
		temperature = s.engineTemperature(host, engine)
	}
	if power.Kind() == core.KindNone {
		power = s.enginePower(host, engine)
	}
	if s.bmc != "" {
		for _, stat := range []*describe.Stat{statBMC, statBMCFirmware} { // the files are called as the statistics
			readings = append(readings, stat.Is(family.Attribute(family.Read(host, s.bmc+"/"+stat.Name, sysfs.Hex), bmcVersion)))
		}
	}
	return append([]core.Reading{family.Temperature.Is(temperature), family.Power.Is(power)}, readings...)
}

// engineTemperature returns the temperature that the engine measures. One without
// a sensor shows 0. The older driver has whole degrees.
func (s *sensors) engineTemperature(host *sysfs.FS, engine string) core.Value {
	if s.thermal == nil {
		return family.Attribute(family.ReadInt(host, engine+"/thermal_mgmt/temperature"), func(v int64) core.Value {
			return family.Celsius(float64(v))
		})
	}
	return family.Attribute(s.thermal.Input(host), func(v int64) core.Value {
		if v == 0 {
			return core.Unknown()
		}
		return family.Celsius(float64(v) / 1e3)
	})
}

// enginePower returns the power that the engine measures. The older driver has
// whole watts.
func (s *sensors) enginePower(host *sysfs.FS, engine string) core.Value {
	if s.power == nil {
		return family.Attribute(family.Read(host, engine+"/power_mgmt/consumed", sysfs.Hex), func(v uint64) core.Value {
			return family.Watts(float64(v))
		})
	}
	return family.Attribute(s.power.Input(host), func(v int64) core.Value { return family.Watts(float64(v) / 1e6) })
}

// channel returns the reading of one of the board's sensors under its label. The
// driver's multiplier of N6000 and C6100 is wrong, so that they show mW in place
// of µW; no such board draws less than one watt, or as much as a thousand.
func (s *sensors) channel(host *sysfs.FS, c family.Channel) core.Reading {
	if c.Kind != "power" {
		return c.Reading(host, c.Label)
	}
	value := family.Attribute(c.Input(host), func(v int64) core.Value {
		if s.milli && v < 1e6 {
			v *= 1e3
		}
		return family.Watts(float64(v) / 1e6)
	})
	return core.Reading{Name: sensorName(c.Label), Value: value, Unit: "W", Description: c.Label}
}

// sensorName returns the name of a sensor's statistic, which is empty if the
// sensor has no label.
func sensorName(label string) string {
	name := strings.ReplaceAll(family.Slug(label), "-", "_")
	if name == "" {
		return ""
	}
	return strings.TrimSuffix(family.Sensor.Name, "…") + name
}

// bmcVersion returns the version of a board's controller: three bytes, with a
// letter before them on the N3000.
func bmcVersion(v uint64) core.Value {
	text := fmt.Sprintf("%d.%d.%d", v>>16&0xff, v>>8&0xff, v&0xff)
	switch first := byte(v >> 24); {
	case first >= 'A' && first <= 'Z':
		text = string(first) + "." + text
	case first != 0:
		text = fmt.Sprintf("%d.%s", first, text)
	}
	return core.String(text)
}
