// Package nvmltest is a driver made of plain values, for tests of what stands
// on package nvml. It answers like a library whose symbols are all there, keeps
// the same memory of unsupported calls, counts the calls that a driver would
// have seen, and lets a test fail, delay or hang each of them.
package nvmltest

import (
	"maps"
	"sync"
	"time"

	"github.com/nomad-devices/nomad-devices/plugins/nvidia/internal/nvml"
)

// Library is a fake [nvml.Library]. Set its fields before use; later changes go
// through [Library.Update].
type Library struct {
	// Driver and CUDA are the versions that the library reports.
	Driver string
	CUDA   int
	// GPUs are the GPUs in the order of their index. A nil entry is a GPU whose
	// handle answers that there is no permission.
	GPUs []*GPU
	// Missing holds calls whose symbols the library lacks.
	Missing map[nvml.Call]bool
	// Errors makes calls of the library itself fail, Init included.
	Errors map[nvml.Call]nvml.Return
	// InitErr, if not nil, is returned by Init as it is.
	InitErr error
	// Latency is how long each call takes.
	Latency time.Duration

	mu     sync.Mutex
	up     bool
	counts map[nvml.Call]int
	inits  int
	sets   []*eventSet
}

// New returns a library of driver 580.82.07 with these GPUs.
func New(gpus ...*GPU) *Library {
	return &Library{Driver: "580.82.07", CUDA: 13000, GPUs: gpus}
}

// Update changes the library or its GPUs while calls may be running.
func (l *Library) Update(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
}

// Counts returns how often each call reached the driver.
func (l *Library) Counts() map[nvml.Call]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.counts)
}

// Total returns how many calls reached the driver.
func (l *Library) Total() int {
	total := 0
	for _, n := range l.Counts() {
		total += n
	}
	return total
}

// ResetCounts starts counting anew.
func (l *Library) ResetCounts() {
	l.Update(func() { l.counts = nil })
}

// Emit tells of an event, to the sets that the GPU is registered with for it.
// Without a GPU it reaches all sets, with a handle that matches none. It
// returns how many sets got it.
func (l *Library) Emit(gpu *GPU, e nvml.Event) int {
	l.mu.Lock()
	sets := l.sets
	l.mu.Unlock()
	e.Handle = nvml.NewHandle(gpu)
	n := 0
	for _, s := range sets {
		if s.deliver(gpu, e) {
			n++
		}
	}
	return n
}

// Initialised returns how many times Init succeeded, less the Shutdowns.
func (l *Library) Initialised() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.inits
}

// Init implements [nvml.Library].
func (l *Library) Init() error {
	r := l.enter(nvml.CallInit, nil)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.InitErr != nil {
		return l.InitErr
	}
	if r != nvml.Success {
		return &nvml.CallError{Call: nvml.CallInit.String(), Return: r}
	}
	l.up = true
	l.inits++
	return nil
}

// Shutdown implements [nvml.Library].
func (l *Library) Shutdown() error {
	r := l.enter(nvml.CallShutdown, nil)
	l.mu.Lock()
	defer l.mu.Unlock()
	if r == nvml.Success && l.inits == 0 {
		r = nvml.ErrUninitialized
	}
	if r != nvml.Success {
		return &nvml.CallError{Call: nvml.CallShutdown.String(), Return: r}
	}
	l.inits--
	l.up = l.inits > 0
	return nil
}

// Has implements [nvml.Library].
func (l *Library) Has(c nvml.Call) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.up && !l.Missing[c]
}

// DriverVersion implements [nvml.Library].
func (l *Library) DriverVersion() (string, error) {
	return ask(l, nvml.CallDriverVersion, func() (string, nvml.Return) { return l.Driver, nvml.Success })
}

// CUDAVersion implements [nvml.Library].
func (l *Library) CUDAVersion() (int, error) {
	return ask(l, nvml.CallCUDAVersion, func() (int, nvml.Return) { return l.CUDA, nvml.Success })
}

// DeviceCount implements [nvml.Library].
func (l *Library) DeviceCount() (int, error) {
	return ask(l, nvml.CallDeviceCount, func() (int, nvml.Return) { return len(l.GPUs), nvml.Success })
}

// DeviceByIndex implements [nvml.Library].
func (l *Library) DeviceByIndex(index int) (nvml.Device, error) {
	return l.find(nvml.CallHandleByIndex, func(i int, _ *GPU) bool { return i == index })
}

// DeviceByPCI implements [nvml.Library].
func (l *Library) DeviceByPCI(address string) (nvml.Device, error) {
	return l.find(nvml.CallHandleByPCI, func(_ int, g *GPU) bool { return g != nil && g.PCI.Address() == address })
}

// DeviceByUUID implements [nvml.Library].
func (l *Library) DeviceByUUID(uuid string) (nvml.Device, error) {
	return l.find(nvml.CallHandleByUUID, func(_ int, g *GPU) bool { return g != nil && g.UUID == uuid })
}

// find gets the handle of the first GPU that matches.
func (l *Library) find(c nvml.Call, match func(int, *GPU) bool) (nvml.Device, error) {
	var gpu *GPU
	r := nvml.ErrNotFound
	if c == nvml.CallHandleByIndex {
		r = nvml.ErrInvalidArgument
	}
	l.Update(func() {
		for i, g := range l.GPUs {
			if match(i, g) {
				if gpu, r = g, nvml.Success; g == nil {
					r = nvml.ErrNoPermission
				}
				return
			}
		}
	})
	err := l.gate().Do(c, 0, func() nvml.Return {
		if e := l.enter(c, gpu); e != nvml.Success {
			return e
		}
		return r
	})
	if err != nil {
		return nil, err
	}
	return &device{lib: l, gpu: gpu, gate: l.gate()}, nil
}

// gate returns a gate with an empty memory.
func (l *Library) gate() *nvml.Gate {
	l.mu.Lock()
	defer l.mu.Unlock()
	missing := make(map[string]bool)
	for _, c := range nvml.Calls() {
		missing[c.String()] = !l.up || l.Missing[c]
	}
	// The names of a call beside its newest are not known here, so all of
	// them must look missing: LookUp asks for the newest first.
	return nvml.NewGate(nvml.LookUp(func(symbol string) bool {
		gone, newest := missing[symbol]
		return newest && !gone
	}))
}

// enter is the way into the driver: it counts the call, takes its time, and
// returns what a test wants it to return. gpu is nil for calls of the library
// and for a GPU that may not be used.
func (l *Library) enter(c nvml.Call, gpu *GPU) nvml.Return {
	l.mu.Lock()
	if l.counts == nil {
		l.counts = make(map[nvml.Call]int)
	}
	l.counts[c]++
	latency := l.Latency
	r := l.Errors[c]
	if !l.up && c != nvml.CallInit && r == nvml.Success {
		r = nvml.ErrUninitialized
	}
	var gate <-chan struct{}
	if gpu != nil {
		latency += gpu.Latency
		gate = gpu.block(c)
	}
	l.mu.Unlock()
	if latency > 0 {
		time.Sleep(latency)
	}
	if gate != nil {
		<-gate
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if gpu != nil && r == nvml.Success {
		r = gpu.code(c)
	}
	return r
}

// ask makes a call of the library itself.
func ask[T any](l *Library, c nvml.Call, get func() (T, nvml.Return)) (T, error) {
	var v T
	err := l.gate().Do(c, 0, func() nvml.Return {
		r := l.enter(c, nil)
		if r == nvml.Success {
			l.Update(func() { v, r = get() })
		}
		return r
	})
	if err != nil {
		var zero T
		return zero, err
	}
	return v, nil
}
