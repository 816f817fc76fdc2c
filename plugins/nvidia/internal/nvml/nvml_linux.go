//go:build linux && cgo

package nvml

import (
	"sync"
	"sync/atomic"

	"github.com/NVIDIA/go-nvml/pkg/dl"
	gonvml "github.com/NVIDIA/go-nvml/pkg/nvml"
)

// defaultFile is looked up by the dynamic linker in its usual places.
const defaultFile = "libnvidia-ml.so.1"

// mapped is the one library file of the process. The functions of go-nvml bind
// to the first file that was opened, so there can be no second.
var mapped struct {
	sync.Mutex
	file    string
	symbols *Symbols
	lib     gonvml.Interface // nil while no file is mapped
}

type library struct {
	file string
	// lib and gate are nil until Init succeeded. It may run again, beside other
	// calls, when the driver went away and came back.
	lib  atomic.Pointer[gonvml.Interface]
	gate atomic.Pointer[Gate]
}

// New returns the library in a file, or the system's if file is empty. It loads
// nothing: Init does.
func New(file string) Library {
	if file == "" {
		file = defaultFile
	}
	return &library{file: file}
}

// opened returns the gate before the calls of the library itself. Until Init
// succeeded it lets nothing through.
func (l *library) opened() *Gate {
	if g := l.gate.Load(); g != nil {
		return g
	}
	return new(Gate)
}

// native returns go-nvml's library. It is there whenever the gate lets a call
// through.
func (l *library) native() gonvml.Interface { return *l.lib.Load() }

// Init maps the file itself before go-nvml does, for three reasons: the message
// of the dynamic linker, which go-nvml drops; a file that is no NVML must not be
// called into; and symbols can be looked up whatever go-nvml's own state is.
func (l *library) Init() error {
	if err := l.load(); err != nil {
		return err
	}
	if r := l.native().Init(); r != gonvml.SUCCESS {
		return &CallError{Call: CallInit.String(), Return: Return(r)}
	}
	l.gate.Store(NewGate(mapped.symbols))
	return nil
}

func (l *library) load() error {
	mapped.Lock()
	defer mapped.Unlock()
	if mapped.lib != nil {
		if mapped.file != l.file {
			return ErrOtherLibrary
		}
		l.lib.Store(&mapped.lib)
		return nil
	}
	file := dl.New(l.file, dl.RTLD_LAZY|dl.RTLD_GLOBAL)
	if err := file.Open(); err != nil {
		return &CallError{Call: "dlopen", Return: ErrLibraryNotFound, Detail: err.Error()}
	}
	symbols := LookUp(func(symbol string) bool { return file.Lookup(symbol) == nil })
	if !symbols.Has(CallInit) || !symbols.Has(CallShutdown) {
		_ = file.Close() // nothing of it was used
		return &CallError{Call: "dlopen", Return: ErrLibraryNotFound, Detail: l.file + " is not an NVIDIA management library"}
	}
	mapped.file, mapped.symbols, mapped.lib = l.file, symbols, gonvml.New(gonvml.WithLibraryPath(l.file))
	l.lib.Store(&mapped.lib)
	return nil
}

func (l *library) Shutdown() error {
	if l.lib.Load() == nil {
		return nil
	}
	if r := l.native().Shutdown(); r != gonvml.SUCCESS {
		return &CallError{Call: CallShutdown.String(), Return: Return(r)}
	}
	return nil
}

func (l *library) Has(c Call) bool { return l.opened().Has(c) }

func (l *library) DriverVersion() (string, error) {
	return ask(l.opened(), CallDriverVersion, func() (string, gonvml.Return) { return l.native().SystemGetDriverVersion() })
}

func (l *library) CUDAVersion() (int, error) {
	return ask(l.opened(), CallCUDAVersion, func() (int, gonvml.Return) { return l.native().SystemGetCudaDriverVersion_v2() })
}

// DeviceCount asks through a gate without a memory: how many GPUs there are is a
// question of the moment.
func (l *library) DeviceCount() (int, error) {
	return ask(NewGate(l.opened().symbols), CallDeviceCount, func() (int, gonvml.Return) { return l.native().DeviceGetCount() })
}

func (l *library) DeviceByIndex(index int) (Device, error) {
	return l.device(CallHandleByIndex, func() (gonvml.Device, gonvml.Return) { return l.native().DeviceGetHandleByIndex(index) })
}

func (l *library) DeviceByPCI(address string) (Device, error) {
	return l.device(CallHandleByPCI, func() (gonvml.Device, gonvml.Return) { return l.native().DeviceGetHandleByPciBusId(address) })
}

func (l *library) DeviceByUUID(uuid string) (Device, error) {
	return l.device(CallHandleByUUID, func() (gonvml.Device, gonvml.Return) { return l.native().DeviceGetHandleByUUID(uuid) })
}

// device gets a handle through a gate without a memory: whether there is a
// handle is a question of the moment.
func (l *library) device(c Call, f func() (gonvml.Device, gonvml.Return)) (Device, error) {
	h, err := ask(NewGate(l.opened().symbols), c, f)
	if err != nil {
		return nil, err
	}
	return newDevice(l.opened().symbols, h), nil
}

// ask makes a call that has one result.
func ask[T any](g *Gate, c Call, f func() (T, gonvml.Return)) (T, error) {
	return askFor(g, c, 0, f)
}

// askFor is ask for a call that is supported or not by its argument.
func askFor[T any](g *Gate, c Call, arg uint64, f func() (T, gonvml.Return)) (T, error) {
	var v, zero T
	err := g.Do(c, arg, func() Return {
		var r gonvml.Return
		v, r = f()
		return Return(r)
	})
	if err != nil {
		return zero, err // go-nvml returns what was in the buffer
	}
	return v, nil
}
