//go:build linux && cgo

package nvmltest

import (
	"math"
	"sync"
	"testing"
	"time"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
	"github.com/google/go-cmp/cmp"

	"github.com/nomad-devices/nomad-devices/tools/simulate/nvidia"
)

const wholeGPU = 0xFFFFFFFF

func TestEventsReachEverySetOnce(t *testing.T) {
	t.Parallel()
	on(t, "4xa100-mig", nvidia.Options{}, func(m *nvidia.Machine, lib nvml.Interface) {
		initialise(t, lib)
		check(t, m.XID(0, 13)) // before anyone waits: nobody gets it
		first, second := eventSet(t, lib), eventSet(t, lib)

		begin := time.Now()
		_, ret := first.Wait(120)
		want(t, "Wait without an event", ret, nvml.ERROR_TIMEOUT)
		if took := time.Since(begin); took < 110*time.Millisecond {
			t.Errorf("Wait came back after %v, want the timeout of 120ms", took)
		}
		check(t, m.XID(1, 79))
		check(t, m.Event(0, "xid 43 gi=2 ci=0"))
		check(t, m.Event(2, "recovery-action"))
		type event struct {
			GPU    int
			Type   uint64
			Data   uint64
			GI, CI uint32
		}
		expected := []event{
			{1, nvml.EventTypeXidCriticalError, 79, wholeGPU, wholeGPU},
			{0, nvml.EventTypeXidCriticalError, 43, 2, 0},
			{2, nvml.EventTypeGpuRecoveryAction, 0, wholeGPU, wholeGPU},
		}
		for name, set := range map[string]nvml.EventSet{"first": first, "second": second} {
			var got []event
			for range expected {
				data, ret := set.Wait(2000)
				want(t, "Wait of the "+name+" set", ret, nvml.SUCCESS)
				index, ret := data.Device.GetIndex()
				want(t, "GetIndex", ret, nvml.SUCCESS)
				got = append(got, event{index, data.EventType, data.EventData, data.GpuInstanceId, data.ComputeInstanceId})
			}
			if diff := cmp.Diff(expected, got); diff != "" {
				t.Errorf("%s set (-want +got):\n%s", name, diff)
			}
			_, ret := set.Wait(0)
			want(t, "Wait after the last event", ret, nvml.ERROR_TIMEOUT)
		}
	})
}

func eventSet(t *testing.T, lib nvml.Interface) nvml.EventSet {
	t.Helper()
	set, ret := lib.EventSetCreate()
	want(t, "EventSetCreate", ret, nvml.SUCCESS)
	count, ret := lib.DeviceGetCount()
	want(t, "DeviceGetCount", ret, nvml.SUCCESS)
	for i := range count {
		d := device(t, lib, i)
		types, ret := d.GetSupportedEventTypes()
		want(t, "GetSupportedEventTypes", ret, nvml.SUCCESS)
		want(t, "RegisterEvents with an unknown type", d.RegisterEvents(types|1<<40, set), nvml.ERROR_NOT_SUPPORTED)
		want(t, "RegisterEvents", d.RegisterEvents(types, set), nvml.SUCCESS)
	}
	t.Cleanup(func() {
		if ret := set.Free(); ret != nvml.SUCCESS {
			t.Errorf("Free returned %v", ret)
		}
	})
	return set
}

func TestMIGLayoutChangesWhileRunning(t *testing.T) {
	t.Parallel()
	on(t, "4xa100-mig", nvidia.Options{}, func(m *nvidia.Machine, lib nvml.Interface) {
		initialise(t, lib)
		d := device(t, lib, 0)
		names := func() []string {
			var all []string
			for _, mig := range migDevices(t, d) {
				name, ret := mig.GetName()
				want(t, "GetName", ret, nvml.SUCCESS)
				all = append(all, name)
			}
			return all
		}
		_, ret := d.GetUtilizationRates()
		want(t, "GetUtilizationRates with MIG on", ret, nvml.ERROR_NOT_SUPPORTED)
		before := migDevices(t, d)
		check(t, m.MIG(0, "7g.80gb"))
		settle()
		if diff := cmp.Diff([]string{"NVIDIA A100-SXM4-80GB MIG 7g.80gb"}, names()); diff != "" {
			t.Errorf("layout (-want +got):\n%s", diff)
		}
		_, ret = before[3].GetUUID()
		want(t, "a handle of the old layout", ret, nvml.ERROR_INVALID_ARGUMENT)
		parent, ret := before[0].GetDeviceHandleFromMigDeviceHandle()
		want(t, "GetDeviceHandleFromMigDeviceHandle", ret, nvml.SUCCESS)
		if index, _ := parent.GetIndex(); index != 0 {
			t.Errorf("the parent has index %d, want 0", index)
		}
		check(t, m.MIGOff(0))
		settle()
		if left := names(); len(left) != 0 {
			t.Errorf("MIG devices after MIG was ended: %v", left)
		}
		_, ret = d.GetUtilizationRates()
		want(t, "GetUtilizationRates with MIG off", ret, nvml.SUCCESS)
		_, ret = d.SetMigMode(nvml.DEVICE_MIG_ENABLE)
		want(t, "SetMigMode", ret, nvml.ERROR_NO_PERMISSION)
	})
}

func TestGPM(t *testing.T) {
	t.Parallel()
	on(t, "8xh100", nvidia.Options{}, func(m *nvidia.Machine, lib nvml.Interface) {
		initialise(t, lib)
		d := device(t, lib, 0)
		check(t, m.MIG(0, "1g.10gb"))
		check(t, m.SetAll(map[string]string{"gpu.0.gpm.2": "37.5", "gpu.0.mig.0.gpm.2": "80"}))
		settle()
		one, ret := lib.GpmSampleAlloc()
		want(t, "GpmSampleAlloc", ret, nvml.SUCCESS)
		two, ret := lib.GpmSampleAlloc()
		want(t, "GpmSampleAlloc", ret, nvml.SUCCESS)
		measure := func(between time.Duration, take func(nvml.GpmSample) nvml.Return) (float64, nvml.Return) {
			want(t, "sample", take(one), nvml.SUCCESS)
			time.Sleep(between)
			want(t, "sample", take(two), nvml.SUCCESS)
			get := nvml.GpmMetricsGetType{Version: nvml.GPM_METRICS_GET_VERSION, NumMetrics: 2, Sample1: one, Sample2: two}
			get.Metrics[0].MetricId = uint32(nvml.GPM_METRIC_SM_UTIL)
			get.Metrics[1].MetricId = uint32(nvml.GPM_METRIC_MAX) - 1
			want(t, "GpmMetricsGet", lib.GpmMetricsGet(&get), nvml.SUCCESS)
			want(t, "a metric that is not there", nvml.Return(get.Metrics[1].NvmlReturn), nvml.ERROR_NOT_SUPPORTED)
			return get.Metrics[0].Value, nvml.Return(get.Metrics[0].NvmlReturn)
		}
		whole := func(s nvml.GpmSample) nvml.Return { return d.GpmSampleGet(s) }
		value, ret := measure(120*time.Millisecond, whole)
		want(t, "metric", ret, nvml.SUCCESS)
		if value != 37.5 {
			t.Errorf("SM utilisation of the GPU is %v, want 37.5", value)
		}
		if value, _ = measure(0, whole); !math.IsNaN(value) {
			t.Errorf("two samples at once give %v, want NaN", value)
		}
		value, ret = measure(120*time.Millisecond, func(s nvml.GpmSample) nvml.Return { return d.GpmMigSampleGet(7, s) })
		want(t, "metric", ret, nvml.SUCCESS)
		if value != 80 {
			t.Errorf("SM utilisation of the instance is %v, want 80", value)
		}
		want(t, "Free", one.Free(), nvml.SUCCESS)
		want(t, "a second Free", one.Free(), nvml.ERROR_INVALID_ARGUMENT)
		want(t, "Free", two.Free(), nvml.SUCCESS)
	})
}

func TestProcesses(t *testing.T) {
	t.Parallel()
	on(t, "2xt4", nvidia.Options{}, func(m *nvidia.Machine, lib nvml.Interface) {
		initialise(t, lib)
		d := device(t, lib, 0)
		infos, ret := d.GetComputeRunningProcesses()
		want(t, "GetComputeRunningProcesses", ret, nvml.SUCCESS)
		if len(infos) != 0 {
			t.Errorf("%d processes on an idle GPU", len(infos))
		}
		check(t, m.SetAll(map[string]string{
			"gpu.0.process.0": "compute pid=4242 memory=2GiB sm=40 mem=10",
			"gpu.0.process.1": "graphics pid=4343 memory=16MiB",
		}))
		settle()
		infos, ret = d.GetComputeRunningProcesses()
		want(t, "GetComputeRunningProcesses", ret, nvml.SUCCESS)
		expected := []nvml.ProcessInfo{{Pid: 4242, UsedGpuMemory: 2 << 30, GpuInstanceId: wholeGPU, ComputeInstanceId: wholeGPU}}
		if diff := cmp.Diff(expected, infos); diff != "" {
			t.Errorf("processes (-want +got):\n%s", diff)
		}
		samples, ret := d.GetProcessUtilization(0)
		want(t, "GetProcessUtilization", ret, nvml.SUCCESS)
		if len(samples) != 1 || samples[0].SmUtil != 40 {
			t.Errorf("utilisation of processes: %+v, want one with 40 %%", samples)
		}
	})
}

func TestOldDriverLacksFunctions(t *testing.T) {
	t.Parallel()
	on(t, "driver450", nvidia.Options{Without: []string{"nvmlDeviceGetSerial"}}, func(_ *nvidia.Machine, lib nvml.Interface) {
		initialise(t, lib)
		for name, there := range map[string]bool{
			"nvmlDeviceGetTemperature":                true,
			"nvmlDeviceGetComputeRunningProcesses":    true,
			"nvmlDeviceGetMemoryInfo_v2":              false,
			"nvmlDeviceGetComputeRunningProcesses_v3": false,
			"nvmlGpmSampleGet":                        false,
			"nvmlDeviceGetTemperatureV":               false,
			"nvmlDeviceGetSerial":                     false, // as ordered
		} {
			if err := lib.Extensions().LookupSymbol(name); (err == nil) != there {
				t.Errorf("%s: found = %t, want %t", name, err == nil, there)
			}
		}
		infos, ret := device(t, lib, 0).GetComputeRunningProcesses()
		want(t, "GetComputeRunningProcesses of the first version", ret, nvml.SUCCESS)
		if len(infos) != 0 {
			t.Errorf("%d processes on an idle GPU", len(infos))
		}
	})
}

func TestCallsAreCounted(t *testing.T) {
	t.Parallel()
	on(t, "2xt4", nvidia.Options{}, func(m *nvidia.Machine, lib nvml.Interface) {
		initialise(t, lib)
		d := device(t, lib, 0)
		check(t, m.ResetCalls())
		var group sync.WaitGroup
		for range 4 {
			group.Go(func() {
				for range 250 {
					d.GetTemperature(nvml.TEMPERATURE_GPU)
				}
			})
		}
		group.Wait()
		calls, err := m.Calls()
		check(t, err)
		if diff := cmp.Diff(map[string]uint64{"nvmlDeviceGetTemperature": 1000}, calls); diff != "" {
			t.Errorf("calls (-want +got):\n%s", diff)
		}
	})
}

// TestManyReadersOfAChangingMachine is for the race and address sanitizers, and
// for deadlocks: the values that it reads are any that were ever written.
func TestManyReadersOfAChangingMachine(t *testing.T) {
	t.Parallel()
	on(t, "4xa100-mig", nvidia.Options{}, func(m *nvidia.Machine, lib nvml.Interface) {
		initialise(t, lib)
		done := make(chan struct{})
		var group sync.WaitGroup
		for i := range 4 {
			d := device(t, lib, i)
			group.Go(func() {
				for {
					select {
					case <-done:
						return
					default:
					}
					d.GetTemperature(nvml.TEMPERATURE_GPU)
					d.GetMemoryInfo()
					for slot := range 8 {
						if mig, ret := d.GetMigDeviceHandleByIndex(slot); ret == nvml.SUCCESS {
							mig.GetUUID()
							mig.GetAttributes()
						}
					}
				}
			})
		}
		for i := range 25 {
			check(t, m.MIG(i%4, "1g.10gb", "2g.20gb"))
			check(t, m.Break(i%4, "xid79"))
			check(t, m.Repair(i%4))
			time.Sleep(10 * time.Millisecond)
		}
		close(done)
		group.Wait()
		_, ret := device(t, lib, 2).GetTemperature(nvml.TEMPERATURE_GPU)
		want(t, "GetTemperature", ret, nvml.SUCCESS)
	})
}

func TestTextOfAnyByte(t *testing.T) {
	t.Parallel()
	on(t, "2xt4", nvidia.Options{Set: map[string]string{"gpu.0.name": `a\xffb\x0a\x\xzz`}}, func(_ *nvidia.Machine, lib nvml.Interface) {
		initialise(t, lib)
		name, ret := device(t, lib, 0).GetName()
		want(t, "GetName", ret, nvml.SUCCESS)
		if name != "a\xffb\n\\x\\xzz" {
			t.Errorf("the name is %q", name)
		}
	})
}
