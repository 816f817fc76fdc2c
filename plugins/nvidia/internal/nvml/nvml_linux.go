//go:build linux && cgo

package nvml

import (
	"sync"

	"github.com/NVIDIA/go-nvml/pkg/dl"
	gonvml "github.com/NVIDIA/go-nvml/pkg/nvml"
)

// defaultFile is looked up by the dynamic linker in its usual places.
const defaultFile = "libnvidia-ml.so.1"

// mapped is the one library file of the process. The functions of go-nvml bind
// to the first file that was opened, so there can be no second.
var mapped struct {
	sync.Mutex
	file string
	dl   *dl.DynamicLibrary
	lib  gonvml.Interface
}

type library struct {
	file string
	lib  gonvml.Interface
	gate *Gate
}

// New returns the library in a file, or the system's if file is empty. It loads
// nothing: Init does.
func New(file string) Library {
	if file == "" {
		file = defaultFile
	}
	return &library{file: file, gate: NewGate(nil)}
}

// Init maps the file itself before go-nvml does, for three reasons: the message
// of the dynamic linker, which go-nvml drops; a file that is no NVML must not be
// called into; and symbols can be looked up whatever go-nvml's own state is.
func (l *library) Init() error {
	if err := l.load(); err != nil {
		return err
	}
	if r := l.lib.Init(); r != gonvml.SUCCESS {
		return &CallError{Call: CallInit.String(), Return: Return(r)}
	}
	l.gate = NewGate(LookUp(func(symbol string) bool { return mapped.dl.Lookup(symbol) == nil }))
	return nil
}

func (l *library) load() error {
	mapped.Lock()
	defer mapped.Unlock()
	if mapped.dl != nil {
		if mapped.file != l.file {
			return ErrOtherLibrary
		}
		l.lib = mapped.lib
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
	mapped.file, mapped.dl, mapped.lib = l.file, file, gonvml.New(gonvml.WithLibraryPath(l.file))
	l.lib = mapped.lib
	return nil
}

func (l *library) Shutdown() error {
	if l.lib == nil {
		return nil
	}
	if r := l.lib.Shutdown(); r != gonvml.SUCCESS {
		return &CallError{Call: CallShutdown.String(), Return: Return(r)}
	}
	return nil
}

func (l *library) Has(c Call) bool { return l.gate.Has(c) }

func (l *library) DriverVersion() (string, error) {
	return ask(l.gate, CallDriverVersion, func() (string, gonvml.Return) { return l.lib.SystemGetDriverVersion() })
}

func (l *library) CUDAVersion() (int, error) {
	return ask(l.gate, CallCUDAVersion, func() (int, gonvml.Return) { return l.lib.SystemGetCudaDriverVersion_v2() })
}

func (l *library) DeviceCount() (int, error) {
	return ask(l.gate, CallDeviceCount, func() (int, gonvml.Return) { return l.lib.DeviceGetCount() })
}

func (l *library) DeviceByIndex(index int) (Device, error) {
	return l.device(CallHandleByIndex, func() (gonvml.Device, gonvml.Return) { return l.lib.DeviceGetHandleByIndex(index) })
}

func (l *library) DeviceByPCI(address string) (Device, error) {
	return l.device(CallHandleByPCI, func() (gonvml.Device, gonvml.Return) { return l.lib.DeviceGetHandleByPciBusId(address) })
}

func (l *library) DeviceByUUID(uuid string) (Device, error) {
	return l.device(CallHandleByUUID, func() (gonvml.Device, gonvml.Return) { return l.lib.DeviceGetHandleByUUID(uuid) })
}

// device gets a handle through a gate without a memory: whether there is a
// handle is a question of the moment.
func (l *library) device(c Call, f func() (gonvml.Device, gonvml.Return)) (Device, error) {
	h, err := ask(NewGate(l.gate.symbols), c, f)
	if err != nil {
		return nil, err
	}
	return newDevice(l.gate.symbols, h), nil
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
