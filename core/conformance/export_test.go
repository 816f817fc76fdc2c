package conformance

import "time"

// Patient returns the options with limits for a test that runs many suites at
// once: more leeway, and less waiting for what will not come.
func Patient(o Options) Options {
	o.limits = limits{
		promptly: time.Second, leeway: 3 * time.Second, answer: 9 * time.Second,
		settle: 8 * time.Second, fault: 12 * time.Second, heal: 8 * time.Second,
	}
	return o
}

// Alone returns the options for cases that run one after the other.
func Alone(o Options) Options {
	o.alone = true
	return o
}
