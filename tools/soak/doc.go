// Package soak runs the NVIDIA plugin's binary on hardware that fails all the
// time, and watches whether the process grows.
package soak
