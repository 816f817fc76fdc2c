//go:build !linux || !cgo

package nvml

// unavailable stands in where the library cannot be called: go-nvml needs cgo,
// and the driver has a library for Linux.
type unavailable struct{}

// New returns a library that cannot be opened.
func New(string) Library { return unavailable{} }

func failure(c Call) error {
	return &CallError{
		Call: c.String(), Return: ErrLibraryNotFound,
		Detail: "this plugin was built without cgo or not for Linux; build it with CGO_ENABLED=1 GOOS=linux",
	}
}

func (unavailable) Init() error                        { return failure(CallInit) }
func (unavailable) Shutdown() error                    { return nil }
func (unavailable) DriverVersion() (string, error)     { return "", failure(CallDriverVersion) }
func (unavailable) CUDAVersion() (int, error)          { return 0, failure(CallCUDAVersion) }
func (unavailable) DeviceCount() (int, error)          { return 0, failure(CallDeviceCount) }
func (unavailable) DeviceByIndex(int) (Device, error)  { return nil, failure(CallHandleByIndex) }
func (unavailable) DeviceByPCI(string) (Device, error) { return nil, failure(CallHandleByPCI) }
func (unavailable) DeviceByUUID(string) (Device, error) {
	return nil, failure(CallHandleByUUID)
}
func (unavailable) NewEventSet() (EventSet, error)   { return nil, failure(CallEventSetCreate) }
func (unavailable) NewGPMSample() (GPMSample, error) { return nil, failure(CallGPMSampleAlloc) }
func (unavailable) GPMMetrics(GPMSample, GPMSample, []GPMMetric) ([]GPMValue, error) {
	return nil, failure(CallGPMMetricsGet)
}
func (unavailable) Has(Call) bool { return false }
