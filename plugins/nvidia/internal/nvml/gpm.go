package nvml

// GPMMetric is a performance metric of Hopper and newer (nvml.h,
// NVML_GPM_METRIC_*).
type GPMMetric uint32

// The metrics: percents from 0 to 100, and MiB/s.
const (
	GPMGraphicsUtil GPMMetric = 1
	GPMSMUtil       GPMMetric = 2
	GPMSMOccupancy  GPMMetric = 3
	GPMTensorUtil   GPMMetric = 5
	GPMDRAMUtil     GPMMetric = 10
	GPMFP64Util     GPMMetric = 11
	GPMFP32Util     GPMMetric = 12
	GPMFP16Util     GPMMetric = 13
	GPMPCIeTX       GPMMetric = 20 // MiB/s from the GPU
	GPMPCIeRX       GPMMetric = 21 // MiB/s to the GPU
	GPMNVLinkRX     GPMMetric = 60 // MiB/s, all links
	GPMNVLinkTX     GPMMetric = 61 // MiB/s, all links
)

// GPMMaxMetrics is the most metrics that one call answers.
const GPMMaxMetrics = 477

// GPMSample holds the counters of one device at one moment.
type GPMSample interface {
	// Free gives the sample back.
	Free() error
}

// GPMValue is one metric. Look at Err before the value, which may also be NaN.
type GPMValue struct {
	Metric GPMMetric
	Value  float64
	Err    error
}
