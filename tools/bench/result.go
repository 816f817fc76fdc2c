package bench

import (
	"math"
	"slices"
)

// Unit says what a number counts, and how it is shown.
type Unit string

// The units of rows. Durations are in seconds and sizes in bytes.
const (
	Seconds Unit = "s"
	Bytes   Unit = "B"
	Count   Unit = ""
	Percent Unit = "%"
	// Times is by how much something grew.
	Times Unit = "×"
)

// Value is what was measured of one plugin.
type Value struct {
	// Number is the measurement, 0 if there is none.
	Number float64 `json:"number"`
	// Bound says that the measurement was given up: it is Number or more.
	Bound bool `json:"bound,omitempty"`
	// Missing says why there is no number; empty if there is one.
	Missing string `json:"missing,omitempty"`
}

// Row is one line of the table.
type Row struct {
	// Section groups rows, Name says what was measured.
	Section string `json:"section"`
	Name    string `json:"name"`
	Unit    Unit   `json:"unit"`
	// MoreIsBetter says that a higher number is the better one.
	MoreIsBetter bool `json:"more_is_better,omitempty"`
	// Values has a value for each plugin, in the order of [Result.Plugins].
	Values []Value `json:"values"`
	// Ratio is how many times better the first plugin is than the second; nil
	// where there is no second or the two cannot be compared.
	Ratio *float64 `json:"ratio,omitempty"`
}

// Plugin is a plugin that was measured.
type Plugin struct {
	// Label is "ours" or "peer".
	Label   string `json:"label"`
	Name    string `json:"name"`
	Version string `json:"version"`
}

// MicroRow is the result of one of the project's own micro-benchmarks.
type MicroRow struct {
	Package string  `json:"package"`
	Name    string  `json:"name"`
	Nanos   float64 `json:"ns_per_op"`
	Bytes   float64 `json:"bytes_per_op"`
	Allocs  float64 `json:"allocs_per_op"`
}

// Result is all that a run measured.
type Result struct {
	// CPUs is how many processors the machine gave to the run.
	CPUs    int        `json:"cpus"`
	Go      string     `json:"go"`
	Quick   bool       `json:"quick,omitempty"`
	Plugins []Plugin   `json:"plugins"`
	Rows    []Row      `json:"rows"`
	Micro   []MicroRow `json:"micro,omitempty"`
	// Notes say what went wrong while measuring.
	Notes []string `json:"notes,omitempty"`
}

// ratio returns by how much a is better than b.
func ratio(a, b Value, moreIsBetter bool) *float64 {
	if a.Missing != "" || b.Missing != "" || a.Bound {
		return nil
	}
	if moreIsBetter {
		a, b = b, a
	}
	switch {
	case a.Number == b.Number:
		return new(1.0)
	case a.Number <= 0:
		return nil // infinitely better; the values speak for themselves
	}
	return new(b.Number / a.Number)
}

// median returns the middle of the numbers, NaN of none.
func median(numbers []float64) float64 {
	sorted := slices.Sorted(slices.Values(numbers))
	n := len(sorted)
	switch {
	case n == 0:
		return math.NaN()
	case n%2 == 1:
		return sorted[n/2]
	default:
		return (sorted[n/2-1] + sorted[n/2]) / 2
	}
}
