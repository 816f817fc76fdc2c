package family

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
)

// hwmonClass has a link for each sensor chip (Documentation/hwmon/sysfs-interface.rst).
const hwmonClass = "/sys/class/hwmon"

// hwmonDepth bounds the search below a device on a host without the class.
const hwmonDepth = 10

// Hwmon is a sensor chip of a device.
type Hwmon struct {
	// Dir is its resolved directory.
	Dir string
	// Name is what the driver calls the chip; empty if that cannot be read.
	Name string
}

// Hwmons returns the sensor chips below a resolved sysfs directory, sorted by
// directory.
func (s *Scan) Hwmons(dir string) []Hwmon {
	entries, err := s.Entries(hwmonClass)
	var dirs []string
	for _, e := range entries {
		if below(e.Path, dir) {
			dirs = append(dirs, e.Path)
		}
	}
	if err != nil || len(entries) == 0 {
		dirs = findHwmons(s.Host, dir, hwmonDepth)
	}
	slices.Sort(dirs)
	chips := make([]Hwmon, len(dirs))
	for i, d := range dirs {
		chips[i] = Hwmon{Dir: d, Name: ReadText(s.Host, d+"/name").Value}
	}
	return chips
}

var hwmonName = regexp.MustCompile(`^hwmon\d+$`)

// findHwmons walks down from a directory. Links are not followed: a device links
// to itself.
func findHwmons(host *sysfs.FS, dir string, depth int) []string {
	if depth == 0 {
		return nil
	}
	names, err := host.ReadDir(dir)
	if err != nil {
		return nil
	}
	var found []string
	for _, name := range names {
		info, err := host.Lstat(dir + "/" + name)
		switch {
		case err != nil || !info.IsDir():
		case hwmonName.MatchString(name):
			found = append(found, dir+"/"+name)
		default:
			found = append(found, findHwmons(host, dir+"/"+name, depth-1)...)
		}
	}
	return found
}

// Channel is one sensor of a chip.
type Channel struct {
	// Kind is the kind of sensor: "temp", "power", "in", "curr", "fan".
	Kind string
	// Number counts the sensors of a kind.
	Number int
	// Label is what the sensor measures; empty if the driver does not say, or
	// says what is no label.
	Label string
	// Path is that of its files without what they end in: ".../temp4".
	Path string
}

// maxLabel is longer than any label.
const maxLabel = 80

// Channels returns the sensors of a chip that have an input, sorted by kind and
// number. It reads the labels and no input.
func Channels(host *sysfs.FS, chip Hwmon) []Channel {
	names, err := host.ReadDir(chip.Dir)
	if err != nil {
		return nil
	}
	var channels []Channel
	for _, kind := range kinds {
		for _, at := range Numbered(names, kind, "_input") {
			c := Channel{Kind: kind, Number: at, Path: chip.Dir + "/" + kind + strconv.Itoa(at)}
			if _, ok := slices.BinarySearch(names, kind+strconv.Itoa(at)+"_label"); ok {
				if label := ReadText(host, c.Path+"_label").Value; len(label) <= maxLabel && !strings.ContainsFunc(label, unicode.IsControl) {
					c.Label = label
				}
			}
			channels = append(channels, c)
		}
	}
	return channels
}

// kinds are the kinds of sensors, in the order in which they are read.
var kinds = []string{"curr", "fan", "in", "power", "temp"}

// Input reads a sensor in the kernel's units: m°C, µW, mV, mA, rpm.
func (c Channel) Input(host *sysfs.FS) Fact[int64] { return ReadInt(host, c.Path+"_input") }

// Reading returns what a sensor measures, as the statistic [Sensor] under a name
// or a label. Without one it has no value.
func (c Channel) Reading(host *sysfs.FS, name string) core.Reading {
	slug := strings.ReplaceAll(Slug(name), "-", "_")
	r := core.Reading{Name: strings.TrimSuffix(Sensor.Name, "…") + slug, Description: cmp.Or(c.Label, name)}
	if slug == "" {
		return r
	}
	input := c.Input(host)
	v := float64(input.Value)
	switch c.Kind {
	case "temp":
		r.Unit, r.Value = "C", Celsius(v/1e3)
	case "power":
		r.Unit, r.Value = "W", Watts(v/1e6)
	case "in":
		r.Unit, r.Value = "V", core.Float(v/1e3, core.NoUnit)
	case "curr":
		r.Unit, r.Value = "A", core.Float(v/1e3, core.NoUnit)
	case "fan":
		r.Unit, r.Value = "rpm", core.Float(v, core.NoUnit)
	}
	if !input.Known() {
		r.Value = core.Unknown()
	}
	return r
}

// Celsius returns a temperature in °C. Drivers show temperatures that cannot be,
// such as a negative one without its sign; they are unknown.
func Celsius(degrees float64) core.Value {
	if !(degrees >= -40 && degrees <= 150) {
		return core.Unknown()
	}
	return core.Float(degrees, core.NoUnit)
}

// Watts returns a power in W. No board draws as much as a kilowatt.
func Watts(watts float64) core.Value {
	if !(watts >= 0 && watts < 1000) {
		return core.Unknown()
	}
	return core.Float(watts, core.NoUnit)
}
