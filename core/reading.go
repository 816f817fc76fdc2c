package core

// Reading is one statistic of a device at one moment.
type Reading struct {
	// Name is the statistic's name as people read it: "Memory state". It is
	// unique among the readings of a device and never changes between releases.
	Name string
	// Value is what was read. A reading without a known value is left out.
	Value Value
	// Limit is what the value is out of, where that means something: the total
	// memory beside the used, the power limit beside the draw. It has the same
	// kind as Value, or none.
	Limit Value
	// Unit is free text here: "MiB", "W", "%", "C". The units inside Value and
	// Limit are not used.
	Unit string
	// Counter says that the value only grows, until the device or its driver
	// starts anew, and so means something by its increase.
	Counter bool
	// Description says what is measured, for somebody who has never seen it.
	Description string
}
