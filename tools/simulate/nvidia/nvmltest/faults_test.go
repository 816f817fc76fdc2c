//go:build linux && cgo

package nvmltest

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"github.com/nomad-devices/nomad-devices/tools/simulate/nvidia"
)

func TestHangHoldsOneGPUAndIsReleased(t *testing.T) {
	t.Parallel()
	on(t, "2xt4", nvidia.Options{}, func(m *nvidia.Machine, lib nvml.Interface) {
		initialise(t, lib)
		sick, well := device(t, lib, 0), device(t, lib, 1)
		check(t, m.Hang(0, "nvmlDeviceGetTemperature"))
		settle()
		returned := make(chan nvml.Return, 1)
		go func() {
			_, ret := sick.GetTemperature(nvml.TEMPERATURE_GPU)
			returned <- ret
		}()
		select {
		case ret := <-returned:
			t.Fatalf("a call that hangs returned %v", ret)
		case <-time.After(200 * time.Millisecond):
		}
		_, ret := well.GetTemperature(nvml.TEMPERATURE_GPU)
		want(t, "the same call for the other GPU", ret, nvml.SUCCESS)
		_, ret = sick.GetPowerUsage()
		want(t, "another call for the same GPU", ret, nvml.SUCCESS)
		check(t, m.Release(0, "nvmlDeviceGetTemperature"))
		select {
		case ret := <-returned:
			want(t, "the released call", ret, nvml.SUCCESS)
		case <-time.After(5 * time.Second):
			t.Fatal("the call did not return after the hang was taken away")
		}
	})
}

func TestLatencyOfEveryCall(t *testing.T) {
	t.Parallel()
	on(t, "2xt4", nvidia.Options{}, func(m *nvidia.Machine, lib nvml.Interface) {
		initialise(t, lib)
		d := device(t, lib, 0)
		check(t, m.Latency(30*time.Millisecond))
		settle()
		begin := time.Now()
		_, ret := d.GetTemperature(nvml.TEMPERATURE_GPU)
		want(t, "GetTemperature", ret, nvml.SUCCESS)
		if took := time.Since(begin); took < 30*time.Millisecond {
			t.Errorf("the call took %v, want at least 30ms", took)
		}
		check(t, m.Latency(0))
		settle()
		begin = time.Now()
		for range 100 {
			_, ret = d.GetTemperature(nvml.TEMPERATURE_GPU)
		}
		want(t, "GetTemperature", ret, nvml.SUCCESS)
		if took := time.Since(begin); took > time.Second {
			t.Errorf("100 calls without latency took %v", took)
		}
	})
}

func TestReturnCodes(t *testing.T) {
	t.Parallel()
	on(t, "8xh100", nvidia.Options{}, func(m *nvidia.Machine, lib nvml.Interface) {
		initialise(t, lib)
		first, second := device(t, lib, 0), device(t, lib, 1)
		power := func(d nvml.Device) nvml.Return {
			_, ret := d.GetPowerUsage()
			return ret
		}
		check(t, m.Fail(0, "nvmlDeviceGetPowerUsage", 999))
		settle()
		want(t, "the failing GPU", power(first), nvml.ERROR_UNKNOWN)
		want(t, "the other GPU", power(second), nvml.SUCCESS)

		// The special rule is stronger than the general one.
		check(t, m.Fail(nvidia.AllGPUs, nvidia.EveryFunction, 4))
		settle()
		want(t, "the failing GPU", power(first), nvml.ERROR_UNKNOWN)
		want(t, "the other GPU", power(second), nvml.ERROR_NO_PERMISSION)
		_, ret := lib.DeviceGetHandleByIndex(3)
		want(t, "DeviceGetHandleByIndex", ret, nvml.ERROR_NO_PERMISSION)
		check(t, m.Fail(0, "nvmlDeviceGetPowerUsage", 0))
		check(t, m.Fail(nvidia.AllGPUs, nvidia.EveryFunction, 0))

		check(t, m.FailTimes(1, "nvmlDeviceGetPowerUsage", 19, 2))
		settle()
		want(t, "first of two", power(second), nvml.ERROR_IN_USE)
		check(t, m.Set("gpu.0.temperature", "77")) // does not start the count again
		settle()
		want(t, "second of two", power(second), nvml.ERROR_IN_USE)
		want(t, "third", power(second), nvml.SUCCESS)
	})
}

func TestLostAndRemovedGPUs(t *testing.T) {
	t.Parallel()
	on(t, "8xh100", nvidia.Options{}, func(m *nvidia.Machine, lib nvml.Interface) {
		initialise(t, lib)
		sick, well := device(t, lib, 3), device(t, lib, 4)
		uuid, ret := sick.GetUUID()
		want(t, "GetUUID", ret, nvml.SUCCESS)
		check(t, m.Lose(3))
		settle()
		_, ret = sick.GetUUID()
		want(t, "GetUUID of the lost GPU", ret, nvml.ERROR_GPU_IS_LOST)
		_, ret = lib.DeviceGetHandleByIndex(3)
		want(t, "DeviceGetHandleByIndex of the lost GPU", ret, nvml.ERROR_GPU_IS_LOST)
		_, ret = well.GetTemperature(nvml.TEMPERATURE_GPU)
		want(t, "another GPU", ret, nvml.SUCCESS)
		count, _ := lib.DeviceGetCount()
		if count != 8 {
			t.Errorf("%d GPUs are counted with one lost, want 8", count)
		}
		check(t, m.Return(3))
		settle()
		_, ret = sick.GetUUID()
		want(t, "GetUUID of the returned GPU", ret, nvml.SUCCESS)

		check(t, m.Remove(3))
		settle()
		if count, _ = lib.DeviceGetCount(); count != 7 {
			t.Errorf("%d GPUs are counted with one removed, want 7", count)
		}
		_, ret = lib.DeviceGetHandleByUUID(uuid)
		want(t, "DeviceGetHandleByUUID of the removed GPU", ret, nvml.ERROR_NOT_FOUND)
		_, ret = sick.GetUUID()
		want(t, "the old handle of the removed GPU", ret, nvml.ERROR_GPU_IS_LOST)
		check(t, m.Add(3))
		settle()
		_, ret = lib.DeviceGetHandleByUUID(uuid)
		want(t, "DeviceGetHandleByUUID of the GPU put back", ret, nvml.SUCCESS)
	})
}

func TestDriverComesLateAndGoes(t *testing.T) {
	t.Parallel()
	on(t, "2xt4", nvidia.Options{Set: map[string]string{"driver.loaded": "false"}}, func(m *nvidia.Machine, lib nvml.Interface) {
		want(t, "Init without a driver", lib.Init(), nvml.ERROR_DRIVER_NOT_LOADED)
		check(t, m.Load())
		want(t, "Init", lib.Init(), nvml.SUCCESS)
		d := device(t, lib, 0)
		check(t, m.Unload())
		settle()
		_, ret := d.GetName()
		want(t, "GetName", ret, nvml.ERROR_DRIVER_NOT_LOADED)
	})
}

func TestNoScenarioIsNoDriver(t *testing.T) {
	t.Parallel()
	on(t, "2xt4", nvidia.Options{}, func(m *nvidia.Machine, lib nvml.Interface) {
		initialise(t, lib)
		check(t, os.Remove(filepath.Join(m.Dir(), "scenario")))
		settle()
		_, ret := lib.DeviceGetCount()
		want(t, "DeviceGetCount", ret, nvml.ERROR_DRIVER_NOT_LOADED)
		want(t, "Init", lib.Init(), nvml.ERROR_DRIVER_NOT_LOADED)
	})
}

func TestInitReturn(t *testing.T) {
	t.Parallel()
	on(t, "2xt4", nvidia.Options{Set: map[string]string{"init.return": "18"}}, func(m *nvidia.Machine, lib nvml.Interface) {
		want(t, "Init", lib.Init(), nvml.ERROR_LIB_RM_VERSION_MISMATCH)
		check(t, m.Unset("init.return"))
		want(t, "Init", lib.Init(), nvml.SUCCESS)
	})
}

func TestUpgradeNeedsANewProcess(t *testing.T) {
	t.Parallel()
	on(t, "2xt4", nvidia.Options{}, func(m *nvidia.Machine, lib nvml.Interface) {
		initialise(t, lib)
		d := device(t, lib, 0)
		check(t, m.Upgrade("550.54.15"))
		settle()
		_, ret := d.GetName()
		want(t, "GetName", ret, nvml.ERROR_LIB_RM_VERSION_MISMATCH)
		_, ret = lib.DeviceGetCount()
		want(t, "DeviceGetCount", ret, nvml.ERROR_LIB_RM_VERSION_MISMATCH)
		want(t, "a second Init", lib.Init(), nvml.ERROR_LIB_RM_VERSION_MISMATCH)
		// A new process comes with the library of the new version.
		output, err := inner(t, m, "TestVersionOfANewProcess")
		if err != nil {
			t.Fatalf("%v\n%s", err, output)
		}
	})
}

// TestVersionOfANewProcess is run by TestUpgradeNeedsANewProcess.
func TestVersionOfANewProcess(t *testing.T) {
	t.Parallel()
	on(t, "2xt4", nvidia.Options{Set: map[string]string{"driver.version": "550.54.15"}}, func(_ *nvidia.Machine, lib nvml.Interface) {
		initialise(t, lib)
		version, ret := lib.SystemGetDriverVersion()
		want(t, "SystemGetDriverVersion", ret, nvml.SUCCESS)
		if version != "550.54.15" {
			t.Errorf("the driver is %s, want 550.54.15", version)
		}
	})
}
