package amd

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/describe"
	"github.com/nomad-devices/nomad-devices/core/sysfs/pci"
	"github.com/nomad-devices/nomad-devices/plugins/amd/internal/gpumetrics"
	"github.com/nomad-devices/nomad-devices/plugins/amd/internal/kfd"
)

const (
	// parentAge is how long what was read about a GPU serves for all its
	// partitions. They are measured one after the other.
	parentAge = 500 * time.Millisecond
	// usualReadings is how many readings a GPU has that supports everything,
	// rounded up.
	usualReadings = 36
	// maxMetrics is the most bytes that the driver gives of gpu_metrics.
	maxMetrics = 4096
)

// parentReadings is what was last read about a GPU.
type parentReadings struct {
	at    time.Time
	power power
	// metrics is the firmware's snapshot, before the one that was read before it:
	// some statistics are about the time between the two.
	metrics, before gpumetrics.Metrics
	uses            map[uint32]kfd.Use
	usesKnown       bool
	// shared are the readings that its partitions have too.
	shared []core.Reading
	failed error
}

// meter gathers the readings of one device.
type meter struct {
	readings []core.Reading
	failed   error // the last error of a read that may work the next time
}

// put adds a reading, unless its value could not be read.
func (m *meter) put(s *describe.Stat, value core.Value, err error) {
	m.outOf(s, value, core.Value{}, err)
}

// outOf adds a reading with a limit, if that is known.
func (m *meter) outOf(s *describe.Stat, value, limit core.Value, err error) {
	switch {
	case err == nil && value.Known():
		m.readings = append(m.readings, s.OutOf(value, limit))
	case err != nil && !unsupported(err):
		m.failed = err
	}
}

// metric adds a reading from the firmware's snapshot, if it is there.
func (m *meter) metric(s *describe.Stat, value float64, ok bool) {
	if ok {
		m.readings = append(m.readings, s.Is(rounded(value)))
	}
}

// has reports whether a statistic was added.
func (m *meter) has(s *describe.Stat) bool {
	for _, r := range m.readings {
		if r.Name == s.Name {
			return true
		}
	}
	return false
}

// measure reads the statistics of a device of the card.
func (c *card) measure(r *ref) ([]core.Reading, error) {
	m := &meter{readings: make([]core.Reading, 0, usualReadings)}
	if r.part == whole {
		m.memory(c)
	}
	if now := time.Now(); r.part == whole || now.Sub(c.parent.at) > parentAge {
		c.readParent(now)
	}
	p := &c.parent
	if r.part != whole {
		m.partitionMemory(r, p)
	}
	switch p.power {
	case powerSuspended:
		m.put(statSleep, core.String("suspended"), nil)
	case powerActive:
		if r.part == whole {
			m.wholeGPU(c, p)
		} else {
			m.partition(c, r, p)
		}
		m.readings = append(m.readings, p.shared...)
		if use, ok := p.uses[r.node.ID]; ok || p.usesKnown && r.node.ID != 0 {
			m.put(statProcesses, core.Count(int64(use.Processes)), nil)
		}
	}
	if err := errors.Join(m.failed, p.failed); err != nil && len(m.readings) == 0 {
		return nil, fmt.Errorf("no statistic could be read: %w", err)
	}
	return m.readings, nil
}

// readParent reads what all devices of the card share.
func (c *card) readParent(now time.Time) {
	p := parentReadings{at: now, power: c.power(), before: c.parent.metrics}
	p.uses, p.usesKnown = kfd.Uses(c.vendor.host, c.nodes...)
	if p.power == powerActive {
		c.hwmon.find(c)
		p.metrics = c.readMetrics()
		var m meter
		m.sensors(c)
		m.firmware(&p)
		m.bus(c, &p)
		m.errors(&c.watch.ras)
		p.shared, p.failed = m.readings, m.failed
	}
	c.parent = p
}

// readMetrics reads the firmware's snapshot. Cards without one, and a driver that
// writes a newer revision, have no metrics.
func (c *card) readMetrics() gpumetrics.Metrics {
	data, err := c.vendor.host.ReadLimit(c.file("gpu_metrics"), maxMetrics)
	if err != nil {
		return gpumetrics.Metrics{}
	}
	metrics, err := gpumetrics.Decode(data)
	said := ""
	if errors.Is(err, gpumetrics.ErrRevision) {
		if said = err.Error(); said != c.said {
			c.vendor.log.Info("the firmware's metrics are not read", "gpu", c.address, "reason", err)
		}
	}
	c.said = said
	if err != nil {
		return gpumetrics.Metrics{}
	}
	return metrics
}

// memory adds how full the GPU's memory is. The files need no access to the
// hardware (amdgpu_vram_mgr.c).
func (m *meter) memory(c *card) {
	for _, kind := range []struct {
		stat *describe.Stat
		name string
	}{{statMemory, "vram"}, {statVisible, "vis_vram"}, {statGTT, "gtt"}} {
		total, err := c.vendor.host.ReadUint(c.file("mem_info_" + kind.name + "_total"))
		if err == nil && total > kfd.MaxMemory {
			err = errImplausible
		}
		if err != nil || total == 0 {
			m.put(kind.stat, core.Value{}, err)
			continue
		}
		used, err := c.vendor.host.ReadUint(c.file("mem_info_" + kind.name + "_used"))
		if err == nil && used > total {
			err = errImplausible
		}
		m.outOf(kind.stat, core.Count(int64(used>>20)), core.Count(int64(total>>20)), err)
	}
}

// partitionMemory adds what processes hold of a partition.
func (m *meter) partitionMemory(r *ref, p *parentReadings) {
	if !p.usesKnown || r.node.ID == 0 {
		return
	}
	var total core.Value
	if r.node.Memory > 0 {
		total = core.Count(int64(r.node.Memory >> 20))
	}
	m.outOf(statMemoryPartition, core.Count(int64(p.uses[r.node.ID].Memory>>20)), total, nil)
}

// wholeGPU adds what partitions do not have.
func (m *meter) wholeGPU(c *card, p *parentReadings) {
	for _, busy := range []struct {
		stat  *describe.Stat
		name  string
		field gpumetrics.Field
	}{
		{statUtilization, "gpu_busy_percent", gpumetrics.GFXActivity},
		{statMemoryBusy, "mem_busy_percent", gpumetrics.MemActivity},
		{statMedia, "vcn_busy_percent", gpumetrics.MediaActivity},
	} {
		percent, err := within(0, 100)(c.vendor.host.ReadInt(c.file(busy.name)))
		m.put(busy.stat, core.Count(percent), err)
		if err != nil {
			value, ok := p.metrics.Float(busy.field)
			m.metric(busy.stat, value, ok && value <= 100)
		}
	}
	edge, err := c.hwmon.temperature(c, "edge", "input")
	m.put(statTempEdge, thousandths(edge), err)
	millivolts, err := within(0, 10_000)(c.hwmon.readChannel(c, "in0", "input"))
	m.put(statVoltage, core.Float(float64(millivolts)/1000, core.NoUnit), err)
	turns, err := within(0, 100_000)(c.hwmon.readChannel(c, "fan1", "input"))
	var fastest core.Value
	if n, maxErr := c.hwmon.readChannel(c, "fan1", "max"); maxErr == nil && n > 0 {
		fastest = core.Count(n)
	}
	m.outOf(statFan, core.Count(turns), fastest, err)
}

// partition adds what a partition has of its own, from the GPU's snapshot or, on
// newer kernels, from one that the partition has to itself.
func (m *meter) partition(c *card, r *ref, p *parentReadings) {
	own, before := p.metrics.Partition(r.part), p.before.Partition(r.part)
	busy, ok := own.PerCycle(before, gpumetrics.GFXBusyAcc)
	if !ok {
		busy, ok = own.Float(gpumetrics.GFXBusy)
	}
	if !ok {
		own = c.readPartitionMetrics(r)
		busy, ok = own.Float(gpumetrics.GFXBusy)
	}
	m.metric(statUtilization, busy, ok && busy <= 100)
	media, ok := own.Float(gpumetrics.MediaActivity)
	m.metric(statMedia, media, ok && media <= 100)
}

// readPartitionMetrics reads the snapshot of one partition: xcp/xcp_metrics of the
// device that its render node belongs to (amdgpu_xcp.c).
func (c *card) readPartitionMetrics(r *ref) gpumetrics.Metrics {
	data, err := c.vendor.host.ReadLimit(renderClass(r.node.RenderMinor)+"/device/xcp/xcp_metrics", maxMetrics)
	if err != nil {
		return gpumetrics.Metrics{}
	}
	metrics, err := gpumetrics.DecodePartition(data)
	if err != nil {
		return gpumetrics.Metrics{}
	}
	return metrics
}

// sensors adds temperatures, power and clocks.
func (m *meter) sensors(c *card) {
	h := &c.hwmon
	for _, label := range []string{"junction", "edge"} {
		degrees, err := h.temperature(c, label, "input")
		if errors.Is(err, errNoSensor) {
			continue
		}
		var limit core.Value
		if n, limitErr := h.temperature(c, label, "crit"); limitErr == nil && n > 0 {
			limit = thousandths(n)
		}
		m.outOf(statTemperature, thousandths(degrees), limit, err)
		break
	}
	memory, err := h.temperature(c, "mem", "input")
	m.put(statTempMemory, thousandths(memory), err)

	var watts core.Value
	err = errNoSensor
	for _, what := range []string{"average", "input"} {
		var microwatts int64
		if microwatts, err = within(0, most)(h.readChannel(c, "power1", what)); err == nil {
			watts = millionths(microwatts)
			break
		}
	}
	var limit core.Value
	if n, limitErr := within(1, most)(h.readChannel(c, "power1", "cap")); limitErr == nil {
		limit = millionths(n)
	}
	m.outOf(statPower, watts, limit, err)

	for _, clock := range []struct {
		stat  *describe.Stat
		label string
	}{{statCoreClock, "sclk"}, {statMemoryClock, "mclk"}} {
		hertz, err := within(0, 100e9)(h.read(c, clock.label, "input"))
		m.put(clock.stat, core.Count(hertz/1_000_000), err)
	}
}

// firmware adds what only the firmware's snapshot tells, and what the sensors did
// not.
func (m *meter) firmware(p *parentReadings) {
	for _, s := range []struct {
		stat  *describe.Stat
		field gpumetrics.Field
	}{
		{statTemperature, gpumetrics.TempHotspot},
		{statTempMemory, gpumetrics.TempMem},
		{statPower, gpumetrics.SocketPower},
		{statCoreClock, gpumetrics.GFXClock},
		{statMemoryClock, gpumetrics.MemClock},
		{statPCIeBandwidth, gpumetrics.PCIeBandwidth},
	} {
		if value, ok := p.metrics.Float(s.field); ok && !m.has(s.stat) {
			m.metric(s.stat, value, value > 0)
		}
	}
	if joules, ok := p.metrics.Float(gpumetrics.Energy); ok {
		m.put(statEnergy, core.Count(int64(joules)), nil)
	}
	if names, ok := p.metrics.Throttlers(); ok {
		text := "none"
		if len(names) > 0 {
			text = strings.Join(names, ", ")
		}
		m.put(statThrottle, core.String(text), nil)
	} else if bits, ok := p.metrics.Uint(gpumetrics.ThrottleStatus); ok {
		m.put(statThrottleBits, core.String(fmt.Sprintf("0x%08x", bits)), nil)
	}
	share := func(s *describe.Stat, fields ...gpumetrics.Field) {
		var sum float64
		known := false
		for _, f := range fields {
			if part, ok := p.metrics.PerCycle(p.before, f); ok {
				sum, known = sum+part, true
			}
		}
		m.metric(s, min(100*sum, 100), known)
	}
	share(statPowerLimited, gpumetrics.PPTResidencyAcc)
	share(statHeatLimited, gpumetrics.SocketThermalResidencyAcc, gpumetrics.VRThermalResidencyAcc, gpumetrics.HBMThermalResidencyAcc)
	share(statProchot, gpumetrics.ProchotResidencyAcc)
	for _, s := range []struct {
		stat  *describe.Stat
		field gpumetrics.Field
	}{{statXGMIRead, gpumetrics.XGMIRead}, {statXGMIWritten, gpumetrics.XGMIWritten}} {
		if kilobytes, ok := p.metrics.Uint(s.field); ok && kilobytes <= math.MaxInt64 {
			m.put(s.stat, core.Count(int64(kilobytes/1000)), nil)
		}
	}
}

// bus adds what concerns the link to the node.
func (m *meter) bus(c *card, p *parentReadings) {
	replays, err := within(0, math.MaxInt64)(c.vendor.host.ReadInt(c.file("pcie_replay_count")))
	m.put(statReplays, core.Count(replays), err)
	if err != nil {
		if n, ok := p.metrics.Uint(gpumetrics.PCIeReplays); ok && n <= math.MaxInt64 {
			m.put(statReplays, core.Count(int64(n)), nil)
		}
	}
	if link, _ := pci.ReadLinks(c.vendor.host, c.outermost()); link.Speed > 0 && link.Width > 0 {
		m.put(statLink, core.String(fmt.Sprintf("%g GT/s, %d lanes", link.Speed, link.Width)), nil)
	}
	errs, err := c.aer(c.address, "correctable")
	m.put(statCorrectable, core.Count(errs), err)
}

// errors adds the counters that health looks at. They are not read for the
// statistics: that asks the hardware, and takes time.
func (m *meter) errors(r *rasState) {
	for _, counter := range []struct {
		stat *describe.Stat
		of   func(errorCounts) (uint64, bool)
	}{
		{statUncorrected, func(e errorCounts) (uint64, bool) { return e.uncorrected, true }},
		{statCorrected, func(e errorCounts) (uint64, bool) { return e.corrected, e.hasCorrected }},
		{statDeferred, func(e errorCounts) (uint64, bool) { return e.deferred, e.hasDeferred }},
	} {
		if n, ok := r.total(counter.of); ok {
			m.put(counter.stat, core.Count(n), nil)
		}
	}
	if r.listed {
		m.put(statRetired, core.Count(int64(r.pages.retired)), nil)
	}
}

// thousandths is the value of a number of thousandths.
func thousandths(n int64) core.Value { return core.Float(float64(n)/1000, core.NoUnit) }

// millionths is the value of a number of millionths.
func millionths(n int64) core.Value { return core.Float(float64(n/1000)/1000, core.NoUnit) }

// rounded is the value of a number with two digits behind the point.
func rounded(f float64) core.Value { return core.Float(math.Round(f*100)/100, core.NoUnit) }
