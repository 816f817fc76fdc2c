package nvidia

import (
	"context"
	"errors"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/plugins/nvidia/internal/nvml"
)

// A fact is one question to the driver, or to the host's files, that gives one
// or more attributes.
type fact struct {
	// gives are the attributes, in the order of what read returns.
	gives []*attribute
	// own says that a MIG instance is asked itself; else its GPU answers.
	own bool
	// changes says that an operator can change the answer while the driver
	// runs. The others are asked once in a session.
	changes bool
	// read returns a value for each attribute; the zero Value is for one that
	// the device does not have. An error counts for all of them.
	read func(*source) ([]core.Value, error)
}

// on returns which devices have the fact.
func (f *fact) on() scope { return f.gives[0].on }

// source is what facts are read from.
type source struct {
	device nvml.Device // the GPU, or the MIG instance
	host   *sysfs.FS
	pci    core.PCIAddress
}

// patience is how often in a row a fact may fail before it is asked less often.
// Some devices answer "unknown error" for what they do not support.
const patience = 3

// factMemory is what is known of one device: facts are asked once, those that
// can change one at a time, one in each scan.
type factMemory struct {
	values map[string]core.Value
	asked  map[*fact]bool
	failed map[*fact]int
	turn   int
}

// read asks for those of facts that are not known yet, and for one that may have
// changed. It stops at an error that concerns the whole GPU, and when ctx ends;
// what was learned until then stays.
func (m *factMemory) read(ctx context.Context, facts []*fact, s *source) error {
	if m.values == nil {
		m.values, m.asked, m.failed = make(map[string]core.Value), make(map[*fact]bool), make(map[*fact]int)
	}
	again := m.next(facts)
	for _, f := range facts {
		if m.asked[f] && f != again {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		values, err := f.read(s)
		switch class := nvml.ClassOf(err); {
		case err == nil:
			m.learn(f, values)
		case class == nvml.ClassUnsupported:
			m.learn(f, make([]core.Value, len(f.gives)))
		case class == nvml.ClassTransient || class == nvml.ClassNotFound || class == nvml.ClassPermission:
			m.failed[f]++
			m.asked[f] = m.failed[f] >= patience
		default:
			return err
		}
	}
	return nil
}

// next returns the fact whose turn it is to be asked again: one that can change,
// or that failed too often to be asked each time. It is nil if there is none.
func (m *factMemory) next(facts []*fact) *fact {
	var due []*fact
	for _, f := range facts {
		if m.asked[f] && (f.changes || m.failed[f] >= patience) {
			due = append(due, f)
		}
	}
	if len(due) == 0 {
		return nil
	}
	m.turn++
	return due[m.turn%len(due)]
}

func (m *factMemory) learn(f *fact, values []core.Value) {
	m.asked[f] = true
	delete(m.failed, f)
	for i, a := range f.gives {
		if i < len(values) && values[i].Kind() != core.KindNone {
			m.values[a.name] = values[i]
		} else {
			delete(m.values, a.name)
		}
	}
}

// into adds the attributes that facts give to a device's. What could not be read
// so far is unknown.
func (m *factMemory) into(attributes map[string]core.Value, facts []*fact) {
	for _, f := range facts {
		for _, a := range f.gives {
			if v, ok := m.values[a.name]; ok {
				attributes[a.name] = v
			} else if !m.asked[f] || m.failed[f] > 0 {
				attributes[a.name] = core.Unknown()
			}
		}
	}
}

// factsOf returns the facts that devices of a scope have: those of a MIG
// instance itself if own is set, else those that the GPU answers.
func factsOf(on scope, own bool) []*fact {
	var of []*fact
	for _, f := range facts {
		if f.on()&on != 0 && (on == onGPU || f.own == own) {
			of = append(of, f)
		}
	}
	return of
}

var (
	gpuFacts    = factsOf(onGPU, false) // of a whole GPU
	parentFacts = factsOf(onMIG, false) // of a GPU, for its MIG instances
	partFacts   = factsOf(onMIG, true)  // of a MIG instance
)

// one makes the reader of a fact with a single value from a call.
func one[T any](call func(nvml.Device) (T, error), value func(T) core.Value) func(*source) ([]core.Value, error) {
	return func(s *source) ([]core.Value, error) {
		v, err := call(s.device)
		if err != nil {
			return nil, err
		}
		return []core.Value{value(v)}, nil
	}
}

// text is the value of a text, none if it is empty.
func text[T ~string](s T) core.Value {
	if s == "" {
		return core.Value{}
	}
	return core.String(string(s))
}

// word is the value of a named constant, none if its name is not known.
func word[T interface{ String() string }](v T) core.Value { return text(v.String()) }

// enabled is the value of a mode that is on or off, in the words of nvidia-smi.
func enabled(on bool) core.Value {
	if on {
		return core.String("Enabled")
	}
	return core.String("Disabled")
}

// positive is the value of a number of things, none if there are none.
func positive[T ~int | ~int64 | ~uint32](n T) core.Value {
	if n <= 0 {
		return core.Value{}
	}
	return core.Count(int64(n))
}

// clock is the value of a clock in MHz.
func clock(mhz uint32) core.Value {
	if mhz == 0 {
		return core.Value{}
	}
	return core.Int(int64(mhz), core.MHz)
}

// maxLinks is the most NVLinks that a GPU has (nvml.h, NVML_NVLINK_MAX_LINKS).
const maxLinks = 36

// activeLinks counts the NVLinks that are up. One batch of fields tells the
// state of all; drivers that do not know the field are asked link by link.
func activeLinks(gpu nvml.Device) (int, error) {
	states := make([]nvml.Field, maxLinks)
	for i := range states {
		states[i] = nvml.Field{ID: nvml.FieldNVLinkState, Scope: uint32(i)}
	}
	values, err := gpu.FieldValues(states...)
	if err != nil && !nvml.Unsupported(err) {
		return 0, err
	}
	if len(values) > 0 && values[0].Err == nil {
		active := 0
		for _, v := range values {
			if state, ok := v.Uint(); ok && (state == nvml.NVLinkActive || state == nvml.NVLinkSleep) {
				active++
			}
		}
		return active, nil
	}
	active := 0
	for link := range maxLinks {
		up, err := gpu.NVLinkActive(link)
		switch {
		case err == nil && up:
			active++
		case err == nil:
		case errors.Is(err, nvml.ErrInvalidArgument) || nvml.Unsupported(err):
			if link == 0 {
				return 0, &nvml.CallError{Call: nvml.CallNVLinkState.String(), Return: nvml.ErrNotSupported}
			}
			return active, nil
		default:
			return 0, err
		}
	}
	return active, nil
}
