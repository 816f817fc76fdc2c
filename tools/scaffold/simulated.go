package scaffold

import (
	"strconv"
	"strings"
)

// simulated is a simulated device.
type simulated struct {
	// Number is the kernel's.
	Number int
	// Bus and Address are where it sits, in sysfs and on PCI.
	Bus, Address  string
	Model, Serial string
	// Total is its memory in bytes.
	Total int64
	// Heat is its temperature in thousandths of a degree, Load what it is busy in
	// per cent.
	Heat, Load int
}

// devices are the devices of the simulated host: two of one model, and another.
var devices = []simulated{
	{Number: 0, Bus: "pci0000:3a", Address: "0000:3b:00.0", Model: "One 16G", Serial: "A24-0017", Total: 16 << 30, Heat: 48500, Load: 37},
	{Number: 1, Bus: "pci0000:3a", Address: "0000:3c:00.0", Model: "One 16G", Serial: "A24-0023", Total: 16 << 30, Heat: 46250, Load: 0},
	{Number: 2, Bus: "pci0000:d7", Address: "0000:d8:00.0", Model: "Two 32G", Serial: "B25-0004", Total: 32 << 30, Heat: 51750, Load: 92},
}

// Memory returns the device's memory in MiB.
func (s simulated) Memory() int64 { return s.Total >> 20 }

// Degrees returns the device's temperature as the plugin shows it.
func (s simulated) Degrees() string { return strconv.FormatFloat(float64(s.Heat)/1000, 'g', -1, 64) }

// Variable returns the serial number as it stands in a variable's name.
func (s simulated) Variable() string { return strings.ToUpper(underscored(s.Serial)) }
