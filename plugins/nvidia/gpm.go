package nvidia

import (
	"time"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/plugins/nvidia/internal/nvml"
)

// gpmInterval is the least time between two samples that the driver computes
// metrics from (nvml.h, nvmlGpmMetricsGet: "greater than 100ms").
const gpmInterval = 110 * time.Millisecond

// gpmStats are the metrics that are read, and what they are published as.
var gpmStats = []struct {
	metric nvml.GPMMetric
	stat   *stat
}{
	{nvml.GPMGraphicsUtil, statGPMGraphics},
	{nvml.GPMSMUtil, statGPMSM},
	{nvml.GPMSMOccupancy, statGPMOccupancy},
	{nvml.GPMTensorUtil, statGPMTensor},
	{nvml.GPMDRAMUtil, statGPMDRAM},
	{nvml.GPMFP64Util, statGPMFP64},
	{nvml.GPMFP32Util, statGPMFP32},
	{nvml.GPMFP16Util, statGPMFP16},
	{nvml.GPMPCIeTX, statGPMPCIeTX},
	{nvml.GPMPCIeRX, statGPMPCIeRX},
	{nvml.GPMNVLinkRX, statGPMNVLinkRX},
	{nvml.GPMNVLinkTX, statGPMNVLinkTX},
}

// gpmMemory holds the samples of a card's devices between two cycles. A metric
// is the difference of two samples, so the first cycle has none.
type gpmMemory struct {
	// none says that the card has no such metrics; asked says that this is
	// known.
	none, asked bool
	pairs       map[string]*gpmPair // by device ID
}

// gpmPair is two buffers that take turns.
type gpmPair struct {
	older, spare nvml.GPMSample
	at           time.Time // when older was taken; zero if it is empty
}

func (p *gpmPair) free() {
	for _, s := range []nvml.GPMSample{p.older, p.spare} {
		if s != nil {
			_ = s.Free() // there is nobody who could act on it
		}
	}
}

// measure takes a sample of a device by take and returns the metrics since the
// sample before it. gpu is the whole card.
func (g *gpmMemory) measure(lib nvml.Library, gpu nvml.Device, id string, on scope, take func(nvml.GPMSample) error) ([]core.Reading, error) {
	pair, err := g.pair(lib, gpu, id)
	if pair == nil {
		return nil, err
	}
	now := time.Now()
	if !pair.at.IsZero() && now.Sub(pair.at) < gpmInterval {
		return nil, nil // another reader was here just now; the older sample stays
	}
	if err := take(pair.spare); err != nil {
		return nil, err
	}
	had := !pair.at.IsZero()
	pair.older, pair.spare, pair.at = pair.spare, pair.older, now
	if !had {
		return nil, nil
	}
	metrics := make([]nvml.GPMMetric, 0, len(gpmStats))
	for _, s := range gpmStats {
		if s.stat.on&on != 0 {
			metrics = append(metrics, s.metric)
		}
	}
	values, err := lib.GPMMetrics(pair.spare, pair.older, metrics)
	if err != nil {
		return nil, err
	}
	byMetric := make(map[nvml.GPMMetric]core.Value, len(values))
	for _, v := range values {
		if v.Err == nil {
			byMetric[v.Metric] = core.Float(v.Value, core.NoUnit) // unknown where it is not finite
		}
	}
	readings := make([]core.Reading, 0, len(values))
	for _, s := range gpmStats {
		if v := byMetric[s.metric]; v.Known() {
			readings = append(readings, s.stat.is(v))
		}
	}
	return readings, nil
}

// pair returns the buffers of a device, or nil where the card has no metrics.
func (g *gpmMemory) pair(lib nvml.Library, gpu nvml.Device, id string) (*gpmPair, error) {
	if !g.asked {
		supported, err := gpu.GPMSupported()
		if err != nil && !nvml.Unsupported(err) {
			return nil, err
		}
		g.none, g.asked = !supported, true
	}
	if g.none {
		return nil, nil
	}
	if pair := g.pairs[id]; pair != nil {
		return pair, nil
	}
	pair := new(gpmPair)
	for _, buffer := range []*nvml.GPMSample{&pair.older, &pair.spare} {
		sample, err := lib.NewGPMSample()
		if err != nil {
			pair.free()
			g.none = nvml.Unsupported(err)
			return nil, err
		}
		*buffer = sample
	}
	if g.pairs == nil {
		g.pairs = make(map[string]*gpmPair)
	}
	g.pairs[id] = pair
	return pair, nil
}

// keep frees the samples of devices that are gone, or of all if there is none
// left.
func (g *gpmMemory) keep(ids map[string]bool) {
	for id, pair := range g.pairs {
		if !ids[id] {
			pair.free()
			delete(g.pairs, id)
		}
	}
}
