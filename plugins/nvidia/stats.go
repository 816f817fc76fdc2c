package nvidia

import (
	"context"
	"fmt"
	"time"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/plugins/nvidia/internal/nvml"
)

// statFields is what one batch asks about a whole GPU.
var statFields = append(
	nvml.Fields(
		nvml.FieldPowerAverage, nvml.FieldPowerInstant, nvml.FieldEnergy, nvml.FieldMemoryTemperature,
		nvml.FieldPCIeReplay, nvml.FieldNVLinkRecoveryTotal,
		nvml.FieldECCSingleVolL1, nvml.FieldECCSingleVolL2, nvml.FieldECCSingleVolDevice,
		nvml.FieldECCSingleVolatile, nvml.FieldECCDoubleVolatile, nvml.FieldECCSingleAggregate, nvml.FieldECCDoubleAggregate,
		nvml.FieldRemappedCorrectable, nvml.FieldRemappedUncorrected, nvml.FieldRemapPending, nvml.FieldRemapFailure,
		nvml.FieldRetiredSingle, nvml.FieldRetiredDouble, nvml.FieldRetiredPending,
		nvml.FieldRecoveryAction,
	),
	nvml.Field{ID: nvml.FieldNVLinkDataTX, Scope: nvml.AllLinks},
	nvml.Field{ID: nvml.FieldNVLinkDataRX, Scope: nvml.AllLinks},
)

// parentFields is what a MIG instance shows of its GPU.
var parentFields = nvml.Fields(nvml.FieldPowerAverage, nvml.FieldPowerInstant, nvml.FieldRecoveryAction)

// parentAge is how long what was read about a GPU serves for all its MIG
// instances. They are measured one after the other.
const parentAge = 500 * time.Millisecond

// usualReadings is how many readings a GPU that supports everything has, rounded
// up: a slice that grows is copied again and again.
const usualReadings = 56

// instruments is what measuring the devices of a card remembers from cycle to
// cycle. All but xids belong to one call at a time.
type instruments struct {
	gpm    gpmMemory
	xids   xidLog
	parent parentState
}

// parentState is what was last read about a GPU for its MIG instances.
type parentState struct {
	at       time.Time
	readings []core.Reading
}

// meter gathers the readings of one device in one cycle.
type meter struct {
	ctx      context.Context
	readings []core.Reading
	// stop is an error after which asking on is useless: the GPU is gone, or
	// nobody waits for the answer any more.
	stop error
	// failed is the last error of a call that may work next time.
	failed error
}

// put adds a reading that has a value.
func (m *meter) put(r core.Reading) {
	if r.Value.Known() {
		m.readings = append(m.readings, r)
	}
}

// note takes the error of a call and reports whether it succeeded.
func (m *meter) note(err error) bool {
	switch {
	case err == nil:
		return true
	case severe(err):
		m.stop = err
	case !nvml.Unsupported(err):
		m.failed = err
	}
	return false
}

// measure asks for a value unless asking is useless.
func measure[T any](m *meter, call func() (T, error)) (value T, ok bool) {
	if m.stop == nil {
		m.stop = m.ctx.Err()
	}
	if m.stop != nil {
		return value, false
	}
	value, err := call()
	return value, m.note(err)
}

// result returns the readings, and an error if the device is unusable or nothing
// at all could be read.
func (m *meter) result() ([]core.Reading, error) {
	switch {
	case m.stop != nil && severe(m.stop):
		fault := callFault(m.stop)
		return m.readings, &fault
	case m.stop != nil:
		return m.readings, m.stop
	case len(m.readings) == 0 && m.failed != nil:
		return nil, fmt.Errorf("no statistic could be read: %w", m.failed)
	default:
		return m.readings, nil
	}
}

// subject is a device to measure.
type subject struct {
	lib  nvml.Library
	host *sysfs.FS
	id   string
	// gpu is the whole GPU, part the MIG instance in it if at is not wholeGPU.
	gpu, part nvml.Device
	at        instance
	// limit is the power limit of the GPU in watts, if it is known.
	limit core.Value
}

// measure reads the statistics of a device.
func (in *instruments) measure(ctx context.Context, s subject) ([]core.Reading, error) {
	m := &meter{ctx: ctx, readings: make([]core.Reading, 0, usualReadings)}
	if s.at == wholeGPU {
		m.memory(s.gpu, s.host)
		in.wholeGPU(m, s)
	} else {
		m.memory(s.part, s.host)
		in.part(m, s)
	}
	return m.result()
}

// wholeGPU makes 11 calls and 2 more for GPM where everything is supported.
func (in *instruments) wholeGPU(m *meter, s subject) {
	values, _ := measure(m, func() ([]nvml.FieldValue, error) { return s.gpu.FieldValues(statFields...) })
	fields := m.fields(values)
	m.power(s, fields, statPower)
	if u, ok := measure(m, s.gpu.Utilization); ok {
		m.put(statUtilization.is(core.Count(int64(u.GPU))))
		m.put(statMemoryUtilization.is(core.Count(int64(u.Memory))))
	}
	m.number(statEncoder, s.gpu.EncoderUtilization)
	m.number(statDecoder, s.gpu.DecoderUtilization)
	m.temperature(s.gpu, statTemperature)
	m.bar1(s.gpu)
	m.ecc(s.gpu, fields)
	m.batch(fields)
	m.number(statSMClock, func() (uint32, error) { return s.gpu.Clock(nvml.ClockSM) })
	m.number(statMemoryClock, func() (uint32, error) { return s.gpu.Clock(nvml.ClockMemory) })
	if r, ok := measure(m, s.gpu.EventReasons); ok {
		m.put(statClockReasons.is(core.String(reasonsText(r))))
	}
	m.number(statFan, s.gpu.FanSpeed)
	m.processes(s.gpu)
	in.metrics(m, s, onGPU, s.gpu.GPMSample)
	in.errors(m, wholeGPU)
}

// part reads what a MIG instance has of its own, and what concerns it of its
// GPU.
func (in *instruments) part(m *meter, s subject) {
	m.bar1(s.part)
	m.processes(s.part)
	in.metrics(m, s, onMIG, func(sample nvml.GPMSample) error { return s.gpu.GPMMIGSample(int(s.at.gi), sample) })
	if now := time.Now(); now.Sub(in.parent.at) > parentAge {
		gpu := &meter{ctx: m.ctx, stop: m.stop}
		values, _ := measure(gpu, func() ([]nvml.FieldValue, error) { return s.gpu.FieldValues(parentFields...) })
		fields := gpu.fields(values)
		gpu.temperature(s.gpu, statParentTemperature)
		gpu.power(s, fields, statParentPower)
		gpu.recovery(fields)
		m.stop = gpu.stop
		in.parent = parentState{at: now, readings: gpu.readings}
	}
	m.readings = append(m.readings, in.parent.readings...)
	in.errors(m, s.at)
}

// memory reads the device's memory. A GPU that uses the node's memory has none
// of its own to tell of; what tasks can have there is the node's.
func (m *meter) memory(d nvml.Device, host *sysfs.FS) {
	if m.stop != nil {
		return
	}
	memory, err := d.Memory()
	if err == nil {
		m.put(statMemory.outOf(mebibytes(memory.Used), mebibytes(memory.Total)))
		if memory.HasReserved {
			m.put(statMemoryReserved.is(mebibytes(memory.Reserved)))
		}
		return
	}
	m.note(err)
	if !nvml.Unsupported(err) {
		return
	}
	data, err := host.Read(meminfoPath)
	if err != nil {
		m.failed = err
		return
	}
	system, err := parseMeminfo(data)
	if err != nil {
		m.failed = fmt.Errorf("%s: %w", meminfoPath, err)
		return
	}
	m.put(statMemory.outOf(mebibytes(system.used()), mebibytes(system.total)))
}

// fields returns the values of a batch.
func (m *meter) fields(values []nvml.FieldValue) vitals {
	known := make(vitals, len(values))
	for _, v := range values {
		if n, ok := v.Uint(); ok {
			known[v.Field.ID] = n
		} else if v.Err != nil {
			m.note(v.Err)
		}
	}
	return known
}

// batch adds the statistics that come straight from the fields.
func (m *meter) batch(fields vitals) {
	if mw, ok := fields[nvml.FieldPowerInstant]; ok {
		m.put(statPowerInstant.is(rounded(mw, 1000)))
	}
	if mj, ok := fields[nvml.FieldEnergy]; ok {
		m.put(statEnergy.is(rounded(mj, 1000)))
	}
	for _, count := range []struct {
		field nvml.FieldID
		stat  *stat
	}{
		{nvml.FieldMemoryTemperature, statMemoryTemperature},
		{nvml.FieldPCIeReplay, statPCIeReplays},
		{nvml.FieldNVLinkDataTX, statNVLinkTX},
		{nvml.FieldNVLinkDataRX, statNVLinkRX},
		{nvml.FieldNVLinkRecoveryTotal, statNVLinkRecoveries},
		{nvml.FieldECCSingleVolatile, statECCCorrected},
		{nvml.FieldECCDoubleVolatile, statECCUncorrected},
		{nvml.FieldECCSingleAggregate, statECCCorrectedTotal},
		{nvml.FieldECCDoubleAggregate, statECCUncorrectedTotal},
		{nvml.FieldRemappedCorrectable, statRemappedCorrectable},
		{nvml.FieldRemappedUncorrected, statRemappedUncorrectable},
	} {
		if n, ok := fields[count.field]; ok {
			m.put(count.stat.is(core.Count(int64(n))))
		}
	}
	if fields.has(nvml.FieldRetiredSingle) && fields.has(nvml.FieldRetiredDouble) {
		m.put(statRetiredPages.is(core.Count(int64(fields[nvml.FieldRetiredSingle] + fields[nvml.FieldRetiredDouble]))))
	}
	for _, flag := range []struct {
		field nvml.FieldID
		stat  *stat
	}{
		{nvml.FieldRemapPending, statRemapPending},
		{nvml.FieldRemapFailure, statRemapFailed},
		{nvml.FieldRetiredPending, statRetiredPending},
	} {
		if fields.has(flag.field) {
			m.put(flag.stat.is(core.Bool(fields.is(flag.field))))
		}
	}
	m.recovery(fields)
}

func (m *meter) recovery(fields vitals) {
	if action, ok := fields[nvml.FieldRecoveryAction]; ok {
		m.put(statRecovery.is(core.String(recoveryName(action))))
	}
}

// power prefers the fields, which cost no further call. NVML's own call returns
// the average where that exists and else the draw of the moment (nvml.h,
// nvmlDeviceGetPowerUsage), and so does this.
func (m *meter) power(s subject, fields vitals, as *stat) {
	mw, ok := fields[nvml.FieldPowerAverage]
	if !ok {
		mw, ok = fields[nvml.FieldPowerInstant]
	}
	if !ok {
		var usage uint32
		usage, ok = measure(m, s.gpu.PowerUsage)
		mw = uint64(usage)
	}
	if ok {
		m.put(as.outOf(rounded(mw, 1000), s.limit))
	}
}

// ecc adds the corrected errors by place, from the fields or else one by one.
func (m *meter) ecc(gpu nvml.Device, fields vitals) {
	for _, place := range []struct {
		field    nvml.FieldID
		location nvml.Location
		stat     *stat
	}{
		{nvml.FieldECCSingleVolL1, nvml.L1Cache, statECCL1},
		{nvml.FieldECCSingleVolL2, nvml.L2Cache, statECCL2},
		{nvml.FieldECCSingleVolDevice, nvml.DeviceMemory, statECCMemory},
	} {
		n, ok := fields[place.field]
		if !ok && len(fields) == 0 {
			n, ok = measure(m, func() (uint64, error) {
				return gpu.MemoryErrors(nvml.Corrected, nvml.Volatile, place.location)
			})
		}
		if ok {
			m.put(place.stat.is(core.Count(int64(n))))
		}
	}
}

func (m *meter) number(as *stat, call func() (uint32, error)) {
	if n, ok := measure(m, call); ok {
		m.put(as.is(core.Count(int64(n))))
	}
}

func (m *meter) temperature(d nvml.Device, as *stat) {
	if t, ok := measure(m, d.Temperature); ok {
		m.put(as.is(core.Count(int64(t))))
	}
}

func (m *meter) bar1(d nvml.Device) {
	if b, ok := measure(m, d.BAR1); ok {
		m.put(statBAR1.outOf(mebibytes(b.Used), mebibytes(b.Total)))
	}
}

func (m *meter) processes(d nvml.Device) {
	if n, ok := measure(m, d.ComputeProcesses); ok {
		m.put(statProcesses.is(core.Count(int64(n))))
	}
}

// metrics adds the performance metrics.
func (in *instruments) metrics(m *meter, s subject, on scope, take func(nvml.GPMSample) error) {
	readings, ok := measure(m, func() ([]core.Reading, error) { return in.gpm.measure(s.lib, s.gpu, s.id, on, take) })
	if ok {
		m.readings = append(m.readings, readings...)
	}
}

// errors adds the XIDs that concerned a part of the card.
func (in *instruments) errors(m *meter, part instance) {
	count, last, known := in.xids.of(part)
	if !known {
		return
	}
	m.put(statXIDs.is(core.Count(int64(count))))
	if count > 0 {
		m.put(statLastXID.is(core.Count(int64(last))))
	}
}

// mebibytes returns a number of bytes in MiB.
func mebibytes(bytes uint64) core.Value { return core.Count(int64(bytes >> 20)) }

// rounded divides and rounds to the nearest whole number.
func rounded(n, by uint64) core.Value { return core.Count(int64((n + by/2) / by)) }
