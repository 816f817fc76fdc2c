// Package scaffold writes the module of a new device plugin.
//
// What it writes is a plugin that works: it drives devices which a driver shows as
// files in sysfs, brings such devices simulated, and passes its tests and the
// conformance suite at once. Its author changes names and files, at the places that
// are marked FILL IN.
package scaffold
