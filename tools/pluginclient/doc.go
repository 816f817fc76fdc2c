// Package pluginclient starts a Nomad device plugin as Nomad's client agent
// does and talks to it over the same gRPC connection: the magic cookie in the
// environment, the handshake on the plugin's stdout, its log on stderr, the
// base and the device interface.
//
// It is for looking at one plugin without an agent: `devctl inspect`, tests and
// benchmarks. [Start] launches the process, [Plugin.Configure] gives it a
// configuration through the plugin's own schema, and [Plugin.Fingerprints],
// [Plugin.Stats] and [Plugin.Reserve] ask it what an agent would ask.
// [Plugin.Close] ends it.
package pluginclient
