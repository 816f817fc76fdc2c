//go:build linux && cgo

package nvmltest

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
	"github.com/google/go-cmp/cmp"

	"github.com/nomad-devices/nomad-devices/tools/simulate/nvidia"
)

var update = flag.Bool("update", false, "write the golden files anew")

// goldenVariable hands -update to the inner process.
const goldenVariable = "NVMLTEST_UPDATE"

// TestProfiles reads all that a program can read from the GPUs of each profile.
func TestProfiles(t *testing.T) {
	if *update {
		t.Setenv(goldenVariable, "1")
	}
	for _, p := range nvidia.Profiles() {
		t.Run(p.Name, func(t *testing.T) {
			on(t, p.Name, nvidia.Options{}, func(_ *nvidia.Machine, lib nvml.Interface) {
				initialise(t, lib)
				golden(t, p.Name, describe(t, lib))
			})
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if os.Getenv(goldenVariable) != "" {
		check(t, os.MkdirAll("testdata", 0o755))
		check(t, os.WriteFile(path, []byte(got), 0o644))
		return
	}
	want, err := os.ReadFile(path)
	check(t, err)
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("what the driver says differs from %s (-want +got); run with -update if it should:\n%s", path, diff)
	}
}

// describe lists the machine as a program sees it.
func describe(t *testing.T, lib nvml.Interface) string {
	t.Helper()
	var out strings.Builder
	say := func(what string, ret nvml.Return, values ...any) {
		if ret != nvml.SUCCESS {
			fmt.Fprintf(&out, "%s: %v\n", what, ret)
			return
		}
		fmt.Fprintf(&out, "%s: %s", what, fmt.Sprintln(values...))
	}
	version, ret := lib.SystemGetDriverVersion()
	say("driver", ret, version)
	version, ret = lib.SystemGetNVMLVersion()
	say("nvml", ret, version)
	cuda, ret := lib.SystemGetCudaDriverVersion()
	say("cuda", ret, cuda)
	count, ret := lib.DeviceGetCount()
	want(t, "DeviceGetCount", ret, nvml.SUCCESS)
	for i := range count {
		d := device(t, lib, i)
		fmt.Fprintf(&out, "\nGPU %d\n", i)
		for _, r := range readers {
			if lib.Extensions().LookupSymbol(r.symbol) != nil {
				fmt.Fprintf(&out, "%s: no such function\n", r.symbol)
				continue
			}
			values, ret := r.read(d)
			say(r.symbol, ret, values...)
		}
		describeFields(d, say)
		describeMIG(t, &out, d, say)
	}
	return out.String()
}

func describeFields(d nvml.Device, say func(string, nvml.Return, ...any)) {
	ids := []uint32{
		nvml.FI_DEV_ECC_SBE_VOL_TOTAL, nvml.FI_DEV_ECC_DBE_AGG_TOTAL, nvml.FI_DEV_ECC_DBE_VOL_DEV, nvml.FI_DEV_MEMORY_TEMP,
		nvml.FI_DEV_TOTAL_ENERGY_CONSUMPTION, nvml.FI_DEV_PCIE_REPLAY_COUNTER, nvml.FI_DEV_NVLINK_THROUGHPUT_DATA_TX,
		nvml.FI_DEV_REMAPPED_FAILURE, nvml.FI_DEV_POWER_INSTANT, nvml.FI_DEV_GET_GPU_RECOVERY_ACTION,
	}
	values := make([]nvml.FieldValue, len(ids))
	for i, id := range ids {
		values[i] = nvml.FieldValue{FieldId: id, ScopeId: 0xFFFFFFFF}
	}
	if ret := d.GetFieldValues(values); ret != nvml.SUCCESS {
		say("fields", ret)
		return
	}
	for _, v := range values {
		say(fmt.Sprintf("field %d", v.FieldId), nvml.Return(v.NvmlReturn), "type", v.ValueType, "value", number(v))
	}
}

func describeMIG(t *testing.T, out *strings.Builder, d nvml.Device, say func(string, nvml.Return, ...any)) {
	t.Helper()
	for _, mig := range migDevices(t, d) {
		uuid, ret := mig.GetUUID()
		fmt.Fprintln(out)
		say("MIG", ret, uuid)
		name, ret := mig.GetName()
		say("name", ret, name)
		gi, ret := mig.GetGpuInstanceId()
		ci, _ := mig.GetComputeInstanceId()
		say("instances", ret, gi, ci)
		memory, ret := mig.GetMemoryInfo()
		say("memory", ret, memory.Total, memory.Used)
		attributes, ret := mig.GetAttributes()
		say("attributes", ret, fmt.Sprintf("%+v", attributes))
		_, ret = mig.GetTemperature(nvml.TEMPERATURE_GPU)
		say("temperature", ret)
	}
}

func migDevices(t *testing.T, d nvml.Device) []nvml.Device {
	t.Helper()
	current, _, ret := d.GetMigMode()
	if ret == nvml.ERROR_NOT_SUPPORTED || (ret == nvml.SUCCESS && current == nvml.DEVICE_MIG_DISABLE) {
		return nil
	}
	want(t, "GetMigMode", ret, nvml.SUCCESS)
	most, ret := d.GetMaxMigDeviceCount()
	want(t, "GetMaxMigDeviceCount", ret, nvml.SUCCESS)
	var all []nvml.Device
	for i := range most {
		mig, ret := d.GetMigDeviceHandleByIndex(i)
		if ret == nvml.ERROR_NOT_FOUND {
			continue
		}
		want(t, "GetMigDeviceHandleByIndex", ret, nvml.SUCCESS)
		all = append(all, mig)
	}
	return all
}
