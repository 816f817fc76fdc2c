// Package faults breaks simulated hardware, its driver, its host and the plugin
// process in every way that is known to happen, and proves what the NVIDIA
// plugin's binary does about it.
//
// [Matrix] says what each fault means for an operator, for Nomad and for work
// that runs. Each of its rows is a test of this package, which starts the binary
// and speaks to it as Nomad does; those that need a Nomad agent to be true are
// tests of package e2e as well. docs/reliability.md is made from the same rows,
// so that nothing stands there which is not tested.
package faults
