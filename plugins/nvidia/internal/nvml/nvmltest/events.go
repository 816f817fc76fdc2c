package nvmltest

import (
	"slices"
	"sync"
	"time"

	"github.com/nomad-devices/nomad-devices/plugins/nvidia/internal/nvml"
)

// eventSet is a fake event set. As with the real one, events from before a
// registration are gone.
type eventSet struct {
	lib *Library
	ch  chan nvml.Event

	mu    sync.Mutex
	masks map[*GPU]nvml.EventMask
}

// NewEventSet implements [nvml.Library].
func (l *Library) NewEventSet() (nvml.EventSet, error) {
	s := &eventSet{lib: l, ch: make(chan nvml.Event, 64), masks: make(map[*GPU]nvml.EventMask)}
	return ask(l, nvml.CallEventSetCreate, func() (nvml.EventSet, nvml.Return) {
		l.sets = append(slices.Clone(l.sets), s)
		return s, nvml.Success
	})
}

// EventSets returns how many event sets exist.
func (l *Library) EventSets() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.sets)
}

func (s *eventSet) deliver(gpu *GPU, e nvml.Event) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if gpu != nil && s.masks[gpu]&e.Kind == 0 {
		return false
	}
	select {
	case s.ch <- e:
		return true
	default:
		return false // a real driver drops events too
	}
}

// Wait implements [nvml.EventSet]. A code in [Library.Errors] is returned at
// once.
func (s *eventSet) Wait(timeout time.Duration) (nvml.Event, error) {
	var e nvml.Event
	err := s.lib.gate().Do(nvml.CallEventSetWait, 0, func() nvml.Return {
		if r := s.lib.enter(nvml.CallEventSetWait, nil); r != nvml.Success {
			return r
		}
		timer := time.NewTimer(timeout)
		defer timer.Stop()
		select {
		case e = <-s.ch:
			return nvml.Success
		case <-timer.C:
			return nvml.ErrTimeout
		}
	})
	return e, err
}

// Free implements [nvml.EventSet].
func (s *eventSet) Free() error {
	_, err := ask(s.lib, nvml.CallEventSetFree, func() (struct{}, nvml.Return) {
		s.lib.sets = slices.DeleteFunc(slices.Clone(s.lib.sets), func(o *eventSet) bool { return o == s })
		return struct{}{}, nvml.Success
	})
	return err
}

func (d *device) SupportedEvents() (nvml.EventMask, error) {
	return known(d, nvml.CallSupportedEvents, func(g *GPU) nvml.EventMask { return g.Events })
}

func (d *device) RegisterEvents(mask nvml.EventMask, set nvml.EventSet) error {
	s, ok := set.(*eventSet)
	if !ok {
		return &nvml.CallError{Call: nvml.CallRegisterEvents.String(), Return: nvml.ErrInvalidArgument}
	}
	return d.lib.gate().Do(nvml.CallRegisterEvents, 0, func() nvml.Return {
		r := d.lib.enter(nvml.CallRegisterEvents, d.gpu)
		if r != nvml.Success {
			return r
		}
		d.lib.mu.Lock()
		supported := d.gpu.Events
		d.lib.mu.Unlock()
		if mask&^supported != 0 {
			return nvml.ErrNotSupported
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.masks[d.gpu] |= mask
		return nvml.Success
	})
}

// sample is a fake GPM sample.
type sample struct {
	lib    *Library
	values map[nvml.GPMMetric]float64
	freed  bool
}

// NewGPMSample implements [nvml.Library].
func (l *Library) NewGPMSample() (nvml.GPMSample, error) {
	return ask(l, nvml.CallGPMSampleAlloc, func() (nvml.GPMSample, nvml.Return) { return &sample{lib: l}, nvml.Success })
}

func (s *sample) Free() error {
	_, err := ask(s.lib, nvml.CallGPMSampleFree, func() (struct{}, nvml.Return) {
		if s.freed {
			return struct{}{}, nvml.ErrInvalidArgument
		}
		s.freed = true
		return struct{}{}, nvml.Success
	})
	return err
}

// GPMMetrics implements [nvml.Library]: it answers with the values that the
// newer sample holds.
func (l *Library) GPMMetrics(older, newer nvml.GPMSample, metrics []nvml.GPMMetric) ([]nvml.GPMValue, error) {
	return ask(l, nvml.CallGPMMetricsGet, func() ([]nvml.GPMValue, nvml.Return) {
		a, ok1 := older.(*sample)
		b, ok2 := newer.(*sample)
		if !ok1 || !ok2 || a.freed || b.freed || a.values == nil || b.values == nil || a == b {
			return nil, nvml.ErrInvalidArgument
		}
		values := make([]nvml.GPMValue, len(metrics))
		for i, m := range metrics {
			values[i].Metric = m
			if v, ok := b.values[m]; ok {
				values[i].Value = v
			} else {
				values[i].Err = &nvml.CallError{Call: nvml.CallGPMMetricsGet.String(), Return: nvml.ErrNotSupported}
			}
		}
		return values, nvml.Success
	})
}

func (d *device) GPMSupported() (bool, error) {
	return have(d, nvml.CallGPMSupport, func(g *GPU) bool { return g.GPM != nil })
}

func (d *device) GPMSample(into nvml.GPMSample) error {
	return d.fill(nvml.CallGPMSampleGet, into, func(g *GPU) *GPU { return g })
}

func (d *device) GPMMIGSample(gpuInstance int, into nvml.GPMSample) error {
	return d.fill(nvml.CallGPMMIGSampleGet, into, func(g *GPU) *GPU {
		for _, m := range g.Slots {
			if m != nil && m.GI == gpuInstance {
				return m
			}
		}
		return nil
	})
}

func (d *device) fill(c nvml.Call, into nvml.GPMSample, of func(*GPU) *GPU) error {
	s, ok := into.(*sample)
	if !ok {
		return &nvml.CallError{Call: c.String(), Return: nvml.ErrInvalidArgument}
	}
	_, err := get(d, c, 0, func(g *GPU) (struct{}, nvml.Return) {
		source := of(g)
		if source == nil {
			return struct{}{}, nvml.ErrInvalidArgument
		}
		if source.GPM == nil {
			return struct{}{}, nvml.ErrNotSupported
		}
		s.values = source.GPM
		return struct{}{}, nvml.Success
	})
	return err
}
