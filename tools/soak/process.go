package soak

import "fmt"

// Usage is what a process holds.
type Usage struct {
	Memory  float64 // resident, in bytes
	Threads float64
	Files   float64 // open file descriptors
}

// String words the usage for people.
func (u Usage) String() string {
	return fmt.Sprintf("%.1f MiB, %.0f threads, %.0f files", u.Memory/(1<<20), u.Threads, u.Files)
}
