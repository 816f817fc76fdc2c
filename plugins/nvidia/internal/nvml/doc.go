// Package nvml is the plugin's own view of NVIDIA's management library: small
// interfaces and types, none of which come from go-nvml, so that everything
// above can be tested with the fake in package nvmltest.
//
// The files that end in _linux.go are the only place that imports go-nvml. It
// binds C symbols lazily, through the global scope of the process, and that has
// consequences that shape this package:
//
//   - Calling a function that the installed driver does not have ends the
//     process: the dynamic linker prints "symbol lookup error" and exits. So
//     after Init every symbol is looked up once ([Symbols]) and a missing one
//     answers [ErrFunctionNotFound] without a call.
//   - A program linked with "-z now" dies before main for the same reason, so
//     build with -ldflags '-extldflags=-Wl,-z,lazy', which also counters a C
//     compiler that has it as its default. (The go command refuses the flag in a
//     #cgo line.) The environment variable LD_BIND_NOW=1 does the same harm and
//     cannot be countered from inside.
//   - A library, once mapped, is never replaced: shutting it down and opening it
//     again still answers with the old file. A new driver version needs a new
//     process.
//   - No call takes a context. A hung driver keeps its thread for ever; callers
//     put deadlines around calls and never queue behind a stuck device.
//
// What a device does not support is remembered for as long as its [Device]
// lives ([Gate]), so that it is asked once and not at every look.
package nvml
