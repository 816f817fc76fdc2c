package bench

import "time"

// plan says how long and how often a run measures.
type plan struct {
	sizes     []int // numbers of devices, ascending; base and largest are among them
	base      int   // where what does not depend on the size is measured
	from      int   // growth is measured from this size to the largest
	latencies []time.Duration
	launches  int           // at the base size
	reloads   int           // launches at the other sizes
	window    time.Duration // of steady state
	cycles    int           // statistics per latency
	faults    int           // of each kind; less than base
	intervals int           // of statistics beside a device that hangs
	patience  time.Duration // for anything that should have come long ago
	settle    time.Duration // between a complete list of devices and the steady state
	micro     string        // -benchtime of the micro-benchmarks, empty: none
}

// full takes minutes and is what the figures in the documentation come from.
var full = plan{
	sizes: []int{1, 8, 64, 512}, base: 8, from: 8,
	latencies: []time.Duration{0, time.Millisecond, 5 * time.Millisecond},
	launches:  15, reloads: 3,
	window: 12 * time.Second, cycles: 7, faults: 5, intervals: 20,
	patience: 30 * time.Second, settle: 2 * time.Second,
	micro: "0.3s",
}

// quick shows that the tool works.
var quick = plan{
	sizes: []int{1, 2}, base: 2, from: 1,
	latencies: []time.Duration{time.Millisecond},
	launches:  1, reloads: 1,
	window: 700 * time.Millisecond, cycles: 1, faults: 1, intervals: 1,
	patience: 5 * time.Second, settle: 200 * time.Millisecond,
}

// largest is the greatest number of devices.
func (p plan) largest() int { return p.sizes[len(p.sizes)-1] }

const (
	// statsInterval is Nomad's default between two statistics
	// (telemetry.collection_interval).
	statsInterval = time.Second
	// scanPeriod is the default of the plugin's fingerprint_period, for which
	// costs per hour are computed; quickPeriod is the period that is measured.
	scanPeriod  = time.Minute
	quickPeriod = time.Second
	// noScans is a period within which no second scan falls.
	noScans = time.Hour
)
