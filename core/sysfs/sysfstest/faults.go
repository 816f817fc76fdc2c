package sysfstest

import (
	"sync"

	"github.com/nomad-devices/nomad-devices/core/sysfs"
)

// Faults makes accesses to a tree fail as the kernel fails, and counts them. The
// zero Faults lets everything pass. It is safe for concurrent use, and may be
// changed while the tree is read.
type Faults struct {
	mu     sync.Mutex
	errs   map[string]error
	counts map[string]int
}

// Option returns the option of [sysfs.New] that puts the faults before a tree.
func (f *Faults) Option() sysfs.Option { return sysfs.WithHook(f.hook) }

// Set lets every access to exactly this host path fail with err, which is best a
// [syscall.Errno]; nil ends it.
func (f *Faults) Set(path string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil {
		delete(f.errs, path)
		return
	}
	if f.errs == nil {
		f.errs = map[string]error{}
	}
	f.errs[path] = err
}

// Count returns how often this host path was accessed, faults included. It shows
// that a file which must never be read was not, and what a scan costs.
func (f *Faults) Count(path string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.counts[path]
}

// Total returns the number of all accesses so far.
func (f *Faults) Total() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	total := 0
	for _, n := range f.counts {
		total += n
	}
	return total
}

func (f *Faults) hook(_, path string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.counts == nil {
		f.counts = map[string]int{}
	}
	f.counts[path]++
	return f.errs[path]
}
