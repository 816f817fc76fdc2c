//go:build linux && cgo

package nvml

import (
	"sync"
	"time"

	gonvml "github.com/NVIDIA/go-nvml/pkg/nvml"
)

func (d *device) MIGMode() (current, pending bool, err error) {
	p, err := ask(d.gate, CallMIGMode, func() (pair, gonvml.Return) {
		c, p, r := d.h.GetMigMode()
		return pair{c == gonvml.DEVICE_MIG_ENABLE, p == gonvml.DEVICE_MIG_ENABLE}, r
	})
	return p.current, p.pending, err
}

func (d *device) MaxMIGDevices() (int, error) {
	return ask(d.gate, CallMaxMIGDevices, d.h.GetMaxMigDeviceCount)
}

func (d *device) MIGDevice(slot int) (Device, error) {
	h, err := askFor(d.gate, CallMIGDevice, uint64(slot), func() (gonvml.Device, gonvml.Return) { return d.h.GetMigDeviceHandleByIndex(slot) })
	if err != nil {
		return nil, err
	}
	return newDevice(d.gate.symbols, h), nil
}

func (d *device) GPUInstance() (int, error) {
	return ask(d.gate, CallGPUInstance, d.h.GetGpuInstanceId)
}

func (d *device) ComputeInstance() (int, error) {
	return ask(d.gate, CallComputeInstance, d.h.GetComputeInstanceId)
}

func (d *device) MIGAttributes() (MIGAttributes, error) {
	a, err := ask(d.gate, CallMIGAttributes, d.h.GetAttributes)
	return MIGAttributes{
		Multiprocessors: int(a.MultiprocessorCount), CopyEngines: int(a.SharedCopyEngineCount),
		Decoders: int(a.SharedDecoderCount), Encoders: int(a.SharedEncoderCount),
		JPEGs: int(a.SharedJpegCount), OFAs: int(a.SharedOfaCount),
		GPUInstanceSlices: int(a.GpuInstanceSliceCount), ComputeInstanceSlices: int(a.ComputeInstanceSliceCount),
		MemoryMB: a.MemorySizeMB,
	}, err
}

func (d *device) SupportedEvents() (EventMask, error) {
	m, err := ask(d.gate, CallSupportedEvents, d.h.GetSupportedEventTypes)
	return EventMask(m), err
}

// RegisterEvents goes through a gate without a memory: the answer depends on
// the mask, which the caller changes to find one that is accepted.
func (d *device) RegisterEvents(mask EventMask, set EventSet) error {
	s, ok := set.(*eventSet)
	if !ok {
		return &CallError{Call: CallRegisterEvents.String(), Return: ErrInvalidArgument, Detail: "the event set is not of this library"}
	}
	return NewGate(d.gate.symbols).Do(CallRegisterEvents, 0, func() Return { return Return(d.h.RegisterEvents(uint64(mask), s.set)) })
}

type eventSet struct {
	set  gonvml.EventSet
	gate *Gate
}

func (l *library) NewEventSet() (EventSet, error) {
	set, err := ask(l.opened(), CallEventSetCreate, func() (gonvml.EventSet, gonvml.Return) { return l.native().EventSetCreate() })
	if err != nil {
		return nil, err
	}
	return &eventSet{set: set, gate: NewGate(l.opened().symbols)}, nil
}

func (s *eventSet) Wait(timeout time.Duration) (Event, error) {
	e, err := ask(s.gate, CallEventSetWait, func() (gonvml.EventData, gonvml.Return) {
		return s.set.Wait(uint32(max(timeout.Milliseconds(), 0)))
	})
	if err != nil {
		return Event{}, err
	}
	return Event{
		Handle: NewHandle(e.Device), Kind: EventMask(e.EventType), Data: e.EventData,
		GPUInstance: e.GpuInstanceId, ComputeInstance: e.ComputeInstanceId,
	}, nil
}

func (s *eventSet) Free() error {
	return s.gate.Do(CallEventSetFree, 0, func() Return { return Return(s.set.Free()) })
}

func (d *device) GPMSupported() (bool, error) {
	s, err := ask(d.gate, CallGPMSupport, d.h.GpmQueryDeviceSupport)
	return s.IsSupportedDevice != 0, err
}

func (d *device) GPMSample(into GPMSample) error {
	return d.sample(CallGPMSampleGet, into, func(s gonvml.GpmSample) gonvml.Return { return d.h.GpmSampleGet(s) })
}

func (d *device) GPMMIGSample(gpuInstance int, into GPMSample) error {
	return d.sample(CallGPMMIGSampleGet, into, func(s gonvml.GpmSample) gonvml.Return { return d.h.GpmMigSampleGet(gpuInstance, s) })
}

func (d *device) sample(c Call, into GPMSample, f func(gonvml.GpmSample) gonvml.Return) error {
	s, ok := into.(*gpmSample)
	if !ok {
		return &CallError{Call: c.String(), Return: ErrInvalidArgument, Detail: "the sample is not of this library"}
	}
	return d.gate.Do(c, 0, func() Return { return Return(f(s.sample)) })
}

type gpmSample struct {
	sample gonvml.GpmSample
	gate   *Gate
}

func (l *library) NewGPMSample() (GPMSample, error) {
	s, err := ask(l.opened(), CallGPMSampleAlloc, func() (gonvml.GpmSample, gonvml.Return) { return l.native().GpmSampleAlloc() })
	if err != nil {
		return nil, err
	}
	return &gpmSample{sample: s, gate: NewGate(l.opened().symbols)}, nil
}

func (s *gpmSample) Free() error {
	return s.gate.Do(CallGPMSampleFree, 0, func() Return { return Return(s.sample.Free()) })
}

// gpmBuffers keeps go-nvml's answers for reuse: each has room for all metrics
// that there are, which makes it the largest thing that measuring needs.
var gpmBuffers = sync.Pool{New: func() any { return new(gonvml.GpmMetricsGetType) }}

// GPMMetrics fills the metrics by index: the array in go-nvml's type grows with
// its versions.
func (l *library) GPMMetrics(older, newer GPMSample, metrics []GPMMetric) ([]GPMValue, error) {
	invalid := &CallError{Call: CallGPMMetricsGet.String(), Return: ErrInvalidArgument}
	first, ok1 := older.(*gpmSample)
	second, ok2 := newer.(*gpmSample)
	get := gpmBuffers.Get().(*gonvml.GpmMetricsGetType)
	defer func() {
		*get = gonvml.GpmMetricsGetType{} // a buffer holds on to no sample
		gpmBuffers.Put(get)
	}()
	if !ok1 || !ok2 || len(metrics) > len(get.Metrics) {
		return nil, invalid
	}
	get.NumMetrics, get.Sample1, get.Sample2 = uint32(len(metrics)), first.sample, second.sample
	for i, m := range metrics {
		get.Metrics[i].MetricId = uint32(m)
	}
	if err := NewGate(l.opened().symbols).Do(CallGPMMetricsGet, 0, func() Return { return Return(l.native().GpmMetricsGet(get)) }); err != nil {
		return nil, err
	}
	values := make([]GPMValue, len(metrics))
	for i, m := range metrics {
		values[i] = GPMValue{Metric: m, Value: get.Metrics[i].Value}
		if r := Return(get.Metrics[i].NvmlReturn); r != Success {
			values[i].Err, values[i].Value = &CallError{Call: CallGPMMetricsGet.String(), Return: r}, 0
		}
	}
	return values, nil
}
