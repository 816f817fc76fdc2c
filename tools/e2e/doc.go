// Package e2e holds the end-to-end tests: the NVIDIA plugin's binary under a
// real Nomad agent, on a simulated machine. They need Linux and root, and skip
// with the reason elsewhere; the docker driver's also need a Docker engine, or
// dockerd on PATH.
//
// Agents are expensive, so tests that leave the machine as they found it share
// one.
package e2e
