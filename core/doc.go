// Package core holds the words that a Nomad device plugin is written in:
// [Vendor], [Device], [Fault], [Value], [Reading] and [Grant].
//
// It is data and small interfaces only, and imports nothing but the standard
// library. What turns these words into a plugin lives in the packages beside
// it: plugin (the door to Nomad), fingerprint (when to look and what changed),
// health (what a fault means over time), stats, reservation, guard (driver
// calls that may never return), config and sysfs.
//
// # Writing a vendor
//
// A vendor answers three questions, and nothing else. It starts no goroutine,
// keeps no timer, takes no lock for the core's sake, knows no Nomad type, and
// never decides what an error means for Nomad.
//
//   - What is there now? [Vendor.Discover]
//   - How is this device doing? [Vendor.Measure]
//   - What does a task need to use this device? [Vendor.Grant]
//
// Everything further is a small optional interface that the core finds by type
// assertion, such as [Watcher].
package core
