// Package doctor finds out why a device that a machine has is not a device that
// a Nomad job gets.
//
// It walks the chain from the hardware to the job, a file of this package for
// each link: the hardware and its driver, the device nodes, the driver's
// library, the plugin's binary, the agent's configuration, the plugin itself,
// its devices, the running agent, and the job. What it sees it tells as
// [Finding]s: what is so, why it matters, and the command or the line of
// configuration that mends it. [Kinds] lists all that it can find.
//
// It changes nothing: it reads files, starts plugins as Nomad's agent does, and
// asks the agent.
package doctor
