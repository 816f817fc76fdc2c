package nvidia

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/core/sysfs/sysfstest"
	"github.com/nomad-devices/nomad-devices/plugins/nvidia/internal/nvml"
	"github.com/nomad-devices/nomad-devices/plugins/nvidia/internal/nvml/nvmltest"
)

// host is a machine with these lines of a sysfstest machine.
func host(t *testing.T, tsv string) *sysfs.FS {
	t.Helper()
	fs := sysfs.New(sysfstest.UnpackText(t, tsv))
	t.Cleanup(func() { _ = fs.Close() })
	return fs
}

// wholeSubject is a whole GPU to measure.
func wholeSubject(lib nvml.Library, gpu nvml.Device, id string) subject {
	return subject{lib: lib, id: id, gpu: gpu, at: wholeGPU, limit: core.Int(700, core.Watt)}
}

// shown renders readings as "name: value / limit unit".
func shown(readings []core.Reading) map[string]string {
	all := make(map[string]string, len(readings))
	for _, r := range readings {
		s := r.Value.String()
		if r.Limit.Known() {
			s += " / " + core.Count(r.Limit.AsInt()).String()
		}
		all[r.Name] = strings.TrimSpace(s + " " + r.Unit)
	}
	return all
}

func TestMeasureGPU(t *testing.T) {
	t.Parallel()
	gpu := nvmltest.H100(0)
	gpu.ComputeProcesses = 2
	lib, devices := fakeDriver(t, gpu)
	var in instruments
	in.xids.watch()
	in.xids.add(wholeGPU, 31)
	s := wholeSubject(lib, devices[0], gpu.UUID)

	first, err := in.measure(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	if first[0].Name != "Memory state" {
		t.Errorf("the summary is %q", first[0].Name)
	}
	want := map[string]string{
		"Memory state":                     "4 / 81559 MiB",
		"Memory reserved":                  "551 MiB",
		"Power usage":                      "71 / 700 W",
		"Power instant":                    "72 W",
		"Energy consumption":               "90000 J",
		"GPU utilization":                  "12 %",
		"Memory utilization":               "3 %",
		"Encoder utilization":              "1 %",
		"Decoder utilization":              "2 %",
		"Temperature":                      "31 C",
		"Memory temperature":               "38 C",
		"BAR1 buffer state":                "2 / 131072 MiB",
		"ECC L1 errors":                    "0 #",
		"ECC L2 errors":                    "0 #",
		"ECC memory errors":                "0 #",
		"ECC corrected errors":             "0 #",
		"ECC uncorrected errors":           "0 #",
		"ECC corrected errors, lifetime":   "2 #",
		"ECC uncorrected errors, lifetime": "0 #",
		"Remapped rows, correctable":       "0 #",
		"Remapped rows, uncorrectable":     "0 #",
		"Row remapping pending":            "false",
		"Row remapping failed":             "false",
		"PCIe replays":                     "0 #",
		"NVLink data sent":                 "1000 KiB",
		"NVLink data received":             "2000 KiB",
		"SM clock":                         "345 MHz",
		"Memory clock":                     "2619 MHz",
		"Clock event reasons":              "idle",
		"Compute processes":                "2 #",
		"Recovery action":                  "none",
		"XID errors":                       "1 #",
		"Last XID":                         "31",
	}
	if diff := cmp.Diff(want, shown(first)); diff != "" {
		t.Errorf("first cycle (-want +got):\n%s", diff)
	}

	// The second cycle has the metrics that need two samples, if they are far
	// enough apart.
	if again, _ := in.measure(t.Context(), s); len(again) != len(first) {
		t.Errorf("%d readings at once after %d: metrics from samples too close together", len(again), len(first))
	}
	in.gpm.pairs[gpu.UUID].at = time.Now().Add(-time.Second)
	lib.ResetCounts()
	second, err := in.measure(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	got := shown(second)
	for name, value := range map[string]string{
		"SM activity": "11 %", "SM occupancy": "7.25 %", "Tensor activity": "3.5 %", "DRAM activity": "4 %",
		"PCIe sent": "100 MiB/s", "NVLink receive rate": "300 MiB/s", "FP64 activity": "0 %",
	} {
		if got[name] != value {
			t.Errorf("%s is %q, want %q", name, got[name], value)
		}
	}
	if n := lib.Total(); n > 13 {
		t.Errorf("%d driver calls in one cycle, want 13 at most: %v", n, lib.Counts())
	}
}

// Each reading must be one of the table, for that kind of device, once.
func TestReadingsAreOfTheTable(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, s := range stats {
		if s.name == "" || s.description == "" || s.on == 0 || seen[s.name] {
			t.Errorf("bad line in the table: %+v", s)
		}
		seen[s.name] = true
	}
	for _, gpu := range []*nvmltest.GPU{nvmltest.H100(0), nvmltest.A100(0), nvmltest.T4(0), nvmltest.GB10()} {
		lib, devices := fakeDriver(t, gpu)
		s := wholeSubject(lib, devices[0], gpu.UUID)
		s.host = host(t, "/proc/meminfo\tMemTotal: 1024 kB\\nMemAvailable: 1024 kB\\n\n")
		var in instruments
		readings, err := in.measure(t.Context(), s)
		if err != nil {
			t.Errorf("%s: %v", gpu.Name, err)
		}
		once := map[string]bool{}
		for _, r := range readings {
			i := slices.IndexFunc(stats, func(s *stat) bool { return s.name == r.Name })
			if i < 0 || stats[i].on&onGPU == 0 || stats[i].unit != r.Unit || once[r.Name] {
				t.Errorf("%s: reading %+v", gpu.Name, r)
			}
			once[r.Name] = true
		}
	}
}

// What is not supported is absent, and is not asked for again.
func TestMeasureUnsupported(t *testing.T) {
	t.Parallel()
	gpu := nvmltest.GB10()
	lib, devices := fakeDriver(t, gpu)
	s := wholeSubject(lib, devices[0], gpu.UUID)
	s.limit = core.Value{}
	s.host = host(t, "/proc/meminfo\tMemTotal:  125513716 kB\\nMemFree: 921044 kB\\nMemAvailable:   98303272 kB\\n\n")
	var in instruments
	readings, err := in.measure(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	got := shown(readings)
	if want := "26572 / 122571 MiB"; got["Memory state"] != want {
		t.Errorf("memory %q, want the node's: %q", got["Memory state"], want)
	}
	if want := "5 W"; got["Power usage"] != want { // 4.5 W, by its own call
		t.Errorf("power %q, want %q", got["Power usage"], want)
	}
	for _, name := range []string{"BAR1 buffer state", "ECC L1 errors", "ECC memory errors", "Memory clock", "Memory temperature", "Energy consumption", "XID errors"} {
		if v, ok := got[name]; ok {
			t.Errorf("%s is not supported and reads %q", name, v)
		}
	}
	before := lib.Counts()
	lib.ResetCounts()
	if _, err := in.measure(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	for _, c := range []nvml.Call{nvml.CallMemory, nvml.CallMemoryV2, nvml.CallBAR1, nvml.CallFieldValues, nvml.CallMemoryErrors, nvml.CallGPMSupport} {
		if n := lib.Counts()[c]; n != 0 {
			t.Errorf("%v was asked again %d times", c, n)
		}
	}
	if lib.Total() >= len(before) {
		t.Logf("first cycle %v, second %v", before, lib.Counts())
	}
}

func TestMeasureWithoutFields(t *testing.T) {
	t.Parallel()
	gpu := nvmltest.H100(0)
	gpu.Fail(nvml.CallFieldValues, nvml.ErrNotSupported)
	gpu.MemoryErrors[nvmltest.Counter{Type: nvml.Corrected, Scope: nvml.Volatile, Location: nvml.L2Cache}] = 7
	lib, devices := fakeDriver(t, gpu)
	var in instruments
	readings, err := in.measure(t.Context(), wholeSubject(lib, devices[0], gpu.UUID))
	if err != nil {
		t.Fatal(err)
	}
	got := shown(readings)
	if got["Power usage"] != "71 / 700 W" || got["ECC L2 errors"] != "7 #" || got["ECC L1 errors"] != "0 #" {
		t.Errorf("power %q, L2 %q, L1 %q by their own calls", got["Power usage"], got["ECC L2 errors"], got["ECC L1 errors"])
	}
}

func TestMeasureFailures(t *testing.T) {
	t.Parallel()
	measure := func(t *testing.T, ctx context.Context, gpu *nvmltest.GPU, change func(*nvmltest.GPU)) ([]core.Reading, *nvmltest.Library, error) {
		t.Helper()
		lib, devices := fakeDriver(t, gpu)
		change(gpu)
		var in instruments
		readings, err := in.measure(ctx, wholeSubject(lib, devices[0], gpu.UUID))
		return readings, lib, err
	}
	t.Run("lost", func(t *testing.T) {
		t.Parallel()
		readings, lib, err := measure(t, t.Context(), nvmltest.H100(0), func(g *nvmltest.GPU) { g.Lost = true })
		fault, ok := errors.AsType[*core.Fault](err)
		if !ok || fault.Code != codeLost || len(readings) != 0 {
			t.Errorf("%v and %d readings, want the fault", err, len(readings))
		}
		if n := lib.Total(); n != 1 {
			t.Errorf("%d calls to a lost GPU, want 1", n)
		}
	})
	t.Run("lost on the way", func(t *testing.T) {
		t.Parallel()
		readings, lib, err := measure(t, t.Context(), nvmltest.H100(0), func(g *nvmltest.GPU) {
			g.Fail(nvml.CallUtilization, nvml.ErrGPUIsLost)
		})
		if err == nil || len(readings) == 0 {
			t.Errorf("%v and %d readings, want what there was and the fault", err, len(readings))
		}
		if lib.Counts()[nvml.CallBAR1] != 0 {
			t.Error("asked on after the GPU was lost")
		}
	})
	t.Run("one call fails", func(t *testing.T) {
		t.Parallel()
		readings, _, err := measure(t, t.Context(), nvmltest.H100(0), func(g *nvmltest.GPU) {
			g.Fail(nvml.CallTemperatureV, nvml.ErrUnknown)
		})
		got := shown(readings)
		if _, ok := got["Temperature"]; ok || err != nil || got["GPU utilization"] == "" {
			t.Errorf("error %v, readings %v: want all but the temperature", err, got)
		}
	})
	t.Run("nothing can be read", func(t *testing.T) {
		t.Parallel()
		_, _, err := measure(t, t.Context(), nvmltest.H100(0), func(g *nvmltest.GPU) {
			for _, c := range nvml.Calls() {
				g.Fail(c, nvml.ErrUnknown)
			}
		})
		if err == nil || !errors.Is(err, nvml.ErrUnknown) {
			t.Errorf("error %v, want the driver's", err)
		}
	})
	t.Run("nobody waits any more", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, lib, err := measure(t, ctx, nvmltest.H100(0), func(*nvmltest.GPU) {})
		if !errors.Is(err, context.Canceled) || lib.Total() > 1 {
			t.Errorf("error %v after %d calls", err, lib.Total())
		}
	})
	t.Run("a metric is no number", func(t *testing.T) {
		t.Parallel()
		gpu := nvmltest.H100(0)
		gpu.GPM[nvml.GPMSMUtil] = math.NaN()
		lib, devices := fakeDriver(t, gpu)
		var in instruments
		s := wholeSubject(lib, devices[0], gpu.UUID)
		_, _ = in.measure(t.Context(), s)
		in.gpm.pairs[gpu.UUID].at = time.Now().Add(-time.Second)
		readings, err := in.measure(t.Context(), s)
		got := shown(readings)
		if _, ok := got["SM activity"]; ok || err != nil || got["Tensor activity"] == "" {
			t.Errorf("error %v, SM activity %q, tensor %q", err, got["SM activity"], got["Tensor activity"])
		}
	})
}

func TestMeasureMIG(t *testing.T) {
	t.Parallel()
	gpu := nvmltest.SplitA100(0)
	gpu.GPM = map[nvml.GPMMetric]float64{}
	for i, m := range []*nvmltest.GPU{gpu.Slots[0], gpu.Slots[2]} {
		m.GPM = map[nvml.GPMMetric]float64{nvml.GPMSMUtil: float64(10 * (i + 1)), nvml.GPMPCIeTX: 5}
		m.ComputeProcesses = i
	}
	lib, devices := fakeDriver(t, gpu)
	var in instruments
	in.xids.watch()
	subjects := make([]subject, 2)
	for i, slot := range []int{0, 2} {
		part, err := devices[0].MIGDevice(slot)
		if err != nil {
			t.Fatal(err)
		}
		m := gpu.Slots[slot]
		subjects[i] = subject{
			lib: lib, id: m.UUID, gpu: devices[0], part: part,
			at: instance{uint32(m.GI), uint32(m.CI)}, limit: core.Int(400, core.Watt),
		}
	}
	in.xids.add(subjects[1].at, 13)
	for _, s := range subjects {
		if _, err := in.measure(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		in.gpm.pairs[s.id].at = time.Now().Add(-time.Second)
	}
	in.parent = parentState{}
	lib.ResetCounts()
	for i, s := range subjects {
		readings, err := in.measure(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		got := shown(readings)
		if readings[0].Name != "Memory state" {
			t.Errorf("the summary is %q", readings[0].Name)
		}
		for name, want := range map[string][2]string{
			"SM activity":        {"10 %", "20 %"},
			"Compute processes":  {"0 #", "1 #"},
			"XID errors":         {"0 #", "1 #"},
			"Last XID":           {"", "13"},
			"Parent temperature": {"31 C", "31 C"},
			"Parent power usage": {"71 / 400 W", "71 / 400 W"},
			"Recovery action":    {"none", "none"},
			"GPU utilization":    {"", ""},
			"PCIe sent":          {"", ""}, // of the whole GPU: not the instance's
		} {
			if got[name] != want[i] {
				t.Errorf("instance %d: %s is %q, want %q", i, name, got[name], want[i])
			}
		}
		for _, r := range readings {
			i := slices.IndexFunc(stats, func(s *stat) bool { return s.name == r.Name })
			if i < 0 || stats[i].on&onMIG == 0 {
				t.Errorf("%s is not a statistic of instances", r.Name)
			}
		}
	}
	counts := lib.Counts()
	if counts[nvml.CallFieldValues] != 1 || counts[nvml.CallTemperatureV] != 1 {
		t.Errorf("the GPU was asked once for each instance: %v", counts)
	}
	if n := lib.Total(); n > 2*6+2 {
		t.Errorf("%d calls for two instances: %v", n, counts)
	}

	in.gpm.keep(map[string]bool{subjects[0].id: true})
	if len(in.gpm.pairs) != 1 || lib.Counts()[nvml.CallGPMSampleFree] != 2 {
		t.Errorf("samples of an instance that is gone were not freed: %v", lib.Counts())
	}
}

func TestReasonsText(t *testing.T) {
	t.Parallel()
	for reasons, want := range map[nvml.EventReasons]string{
		0: "none",
		nvml.ReasonSWPowerCap | nvml.ReasonHWThermalSlowdown: "power cap, hardware thermal slowdown",
		nvml.ReasonGPUIdle | 1<<40:                           "idle, 0x10000000000",
	} {
		if got := reasonsText(reasons); got != want {
			t.Errorf("%#x is %q, want %q", reasons, got, want)
		}
	}
}
