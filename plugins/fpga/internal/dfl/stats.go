package dfl

import (
	"context"
	"fmt"
	"math"
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
	scan   *family.Scan
	looked bool

	bmc      string // the directory of the board's controller
	channels []family.Channel
	fpga     []family.Channel // temperatures of the FPGA itself
	board    *family.Channel  // power of the board, by its controller
	milli    bool             // which may be in mW
	thermal  *family.Channel  // temperature, by the engine
	power    *family.Channel  // power, by the engine
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

func (s *sensors) find(host *sysfs.FS, engine string) {
	s.looked = true
	for _, chip := range s.scan.Hwmons(engine) {
		bmc := bmcChip.MatchString(chip.Name)
		if !bmc && chip.Name != thermalChip && chip.Name != powerChip {
			continue
		}
		channels := family.Channels(host, chip)
		if bmc {
			s.bmc = path.Dir(path.Dir(path.Dir(chip.Dir))) // above <device>/hwmon/hwmonN
			s.channels = channels
			s.milli = chip.Name == "n6000bmc_hwmon" || chip.Name == "c6100bmc_hwmon"
		}
		for i := range channels {
			c := &channels[i]
			switch {
			case bmc && c.Kind == "temp" && fpgaTemperature.MatchString(c.Label) && !ofSupply.MatchString(c.Label):
				s.fpga = append(s.fpga, *c)
			case bmc && c.Kind == "power" && c.Number == 1:
				s.board = c
			case chip.Name == thermalChip && c.Kind == "temp" && c.Number == 1:
				s.thermal = c
			case chip.Name == powerChip && c.Kind == "power" && c.Number == 1:
				s.power = c
			}
		}
	}
	s.max10 = findMAX10(host, engine)
	s.scan = nil
}

// read reads the sensors, temperature and power first.
func (s *sensors) read(host *sysfs.FS, engine string) []core.Reading {
	if !s.looked {
		s.find(host, engine)
	}
	readings := []core.Reading{
		family.Temperature.Is(s.temperature(host, engine)),
		family.Power.Is(s.watts(host, engine)),
	}
	if s.bmc != "" {
		for _, stat := range []*describe.Stat{statBMC, statBMCFirmware} { // the files are called as the statistics
			readings = append(readings, stat.Is(family.Attribute(family.Read(host, s.bmc+"/"+stat.Name, sysfs.Hex), bmcVersion)))
		}
	}
	for _, c := range s.channels {
		readings = append(readings, s.channel(host, c))
	}
	for _, m := range s.max10 {
		readings = append(readings, m.read(host))
	}
	return readings
}

func (s *sensors) temperature(host *sysfs.FS, engine string) core.Value {
	hottest := math.Inf(-1)
	for _, c := range s.fpga {
		if v := family.Celsius(float64(c.Input(host).Value) / 1000); c.Input(host).Known() && v.Known() {
			hottest = max(hottest, v.AsFloat())
		}
	}
	if !math.IsInf(hottest, -1) {
		return core.Float(hottest, core.NoUnit)
	}
	for _, m := range s.max10 {
		if fpgaTemperature.MatchString(m.label) && !ofSupply.MatchString(m.label) {
			return m.read(host).Value
		}
	}
	if s.thermal != nil {
		// An engine without a sensor shows 0.
		if input := s.thermal.Input(host); input.Known() && input.Value != 0 {
			return family.Celsius(float64(input.Value) / 1000)
		}
		return core.Unknown()
	}
	return family.Attribute(family.ReadInt(host, engine+"/thermal_mgmt/temperature"), func(v int64) core.Value {
		return family.Celsius(float64(v))
	})
}

func (s *sensors) watts(host *sysfs.FS, engine string) core.Value {
	switch {
	case s.board != nil:
		return family.Attribute(s.board.Input(host), func(v int64) core.Value { return family.Watts(s.perWatt(v)) })
	case s.power != nil:
		return family.Attribute(s.power.Input(host), func(v int64) core.Value { return family.Watts(float64(v) / 1e6) })
	default:
		return family.Attribute(family.Read(host, engine+"/power_mgmt/consumed", sysfs.Hex), func(v uint64) core.Value {
			return family.Watts(float64(v))
		})
	}
}

// perWatt turns a power of the board's controller into watts. The driver's
// multiplier of N6000 and C6100 is wrong, so that they show mW in place of µW; no
// such board draws less than one watt, or as much as a thousand.
func (s *sensors) perWatt(v int64) float64 {
	if s.milli && v < 1e6 {
		return float64(v) / 1e3
	}
	return float64(v) / 1e6
}

// channel returns the reading of one of the board's sensors under its label.
func (s *sensors) channel(host *sysfs.FS, c family.Channel) core.Reading {
	r := c.Reading(host, c.Label)
	if r.Value.Known() && c.Kind == "power" && s.milli {
		r.Value = family.Attribute(c.Input(host), func(v int64) core.Value { return family.Watts(s.perWatt(v)) })
	}
	return r
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
