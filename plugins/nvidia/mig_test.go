package nvidia

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/plugins/nvidia/internal/nvml"
	"github.com/nomad-devices/nomad-devices/plugins/nvidia/internal/nvml/nvmltest"
)

func groups(s scan) []string {
	var all []string
	for _, d := range s.devices {
		all = append(all, d.Group.String())
	}
	slices.Sort(all)
	return all
}

func TestMIGTypeGPU(t *testing.T) {
	t.Parallel()
	b := newBench(t, nvmltest.New(nvmltest.SplitA100(0)), func(c *Config) { c.MIGType = typeGPU })
	want := []string{"nvidia/gpu/NVIDIA A100-SXM4-40GB MIG 1g.5gb", "nvidia/gpu/NVIDIA A100-SXM4-40GB MIG 3g.20gb"}
	if got := groups(b.good()); !slices.Equal(got, want) {
		t.Errorf("groups %v, want %v", got, want)
	}
}

// TestMIGLayoutChanges changes the layout as an operator does.
func TestMIGLayoutChanges(t *testing.T) {
	t.Parallel()
	gpu := nvmltest.A100(0)
	b := newBench(t, nvmltest.New(gpu))
	const whole = "nvidia/gpu/NVIDIA A100-SXM4-40GB"
	small, big := "nvidia/mig/NVIDIA A100-SXM4-40GB MIG 1g.5gb", "nvidia/mig/NVIDIA A100-SXM4-40GB MIG 3g.20gb"
	step := func(what string, change func(), want ...string) scan {
		t.Helper()
		b.lib.Update(change)
		s := b.good()
		if got := groups(s); !slices.Equal(got, want) {
			t.Errorf("%s: groups %v, want %v", what, got, want)
		}
		return s
	}
	step("whole", func() {}, whole)
	step("MIG on", func() { gpu.MIG, gpu.Minor = true, 7 })
	if s := b.good(); len(s.notes) != 1 || !strings.Contains(s.notes[0].Text, "no instance") {
		t.Errorf("notes %v", s.notes)
	}
	s := step("two instances", func() {
		gpu.Instance(2, 0, "3g.20gb", nvml.MIGAttributes{GPUInstanceSlices: 3, ComputeInstanceSlices: 3, MemoryMB: 19968})
		gpu.Instance(9, 0, "1g.5gb", nvml.MIGAttributes{GPUInstanceSlices: 1, ComputeInstanceSlices: 1, MemoryMB: 4864})
	}, small, big)
	if s := b.good(); len(s.notes) != 0 {
		t.Errorf("notes %v", s.notes)
	}
	for _, d := range s.devices {
		if r, err := refOf(d); err != nil || r.minor != 7 {
			t.Errorf("%s: minor %d, want the new one, 7", d.ID, r.minor)
		}
	}
	step("one removed", func() { gpu.Slots[0] = nil }, small)
	// The same UUID with another profile must not keep the old facts.
	s = step("made anew under the same UUID", func() {
		m := gpu.Slots[1]
		m.Name = strings.Replace(m.Name, "1g.5gb", "1g.10gb", 1)
		m.MIGAttributes.MemoryMB, m.Memory.Total, m.GI = 9728, 9728<<20, 7
	}, "nvidia/mig/NVIDIA A100-SXM4-40GB MIG 1g.10gb")
	d := s.only(t)
	if r, _ := refOf(d); d.Attributes["memory"] != core.Int(9728, core.MiB) || r.at.gi != 7 || d.Attributes["mig_profile"] != core.String("1g.10gb") {
		t.Errorf("device %v", plain(d))
	}
	s = step("MIG off", func() { gpu.MIG, gpu.MIGPending, gpu.Slots, gpu.Minor = false, false, []*nvmltest.GPU{}, 0 }, whole)
	if d := s.only(t); d.Attributes["mig_mode"] != core.String("Disabled") || d.Attributes["cuda_cores"] != core.Count(6912) {
		t.Errorf("device %v", plain(d))
	}
}

// TestMIGDenied: a GPU that had MIG and says once that there is no such thing
// keeps its instances, and can be turned into a whole one later.
func TestMIGDenied(t *testing.T) {
	t.Parallel()
	gpu := nvmltest.SplitA100(0)
	b := newBench(t, nvmltest.New(gpu))
	want := b.good().ids()
	for range 2 {
		b.lib.Update(func() { gpu.Fail(nvml.CallMIGMode, nvml.ErrNotSupported) })
		if got := b.scan().ids(); !slices.Equal(got, want) {
			t.Errorf("while MIG is denied there are %v, want %v", got, want)
		}
		b.lib.Update(func() { gpu.Fail(nvml.CallMIGMode, nvml.Success) })
		if got := b.good().ids(); !slices.Equal(got, want) {
			t.Errorf("afterwards there are %v, want %v", got, want)
		}
	}
	b.lib.Update(func() { gpu.MIG, gpu.Slots = false, []*nvmltest.GPU{} })
	if got := b.good().ids(); !slices.Equal(got, []string{gpu.UUID}) {
		t.Errorf("without MIG there are %v, want the GPU", got)
	}
}

// TestStaleInstance measures through the Ref of an older scan: the driver may
// have given the handle to another instance.
func TestStaleInstance(t *testing.T) {
	t.Parallel()
	gpu := nvmltest.SplitA100(0)
	b := newBench(t, nvmltest.New(gpu))
	s := b.good()
	m := gpu.Slots[0]
	d := s.devices[m.UUID]
	if readings, err := b.Measure(t.Context(), d); err != nil || len(readings) == 0 {
		t.Fatalf("readings %v, error %v", readings, err)
	}
	b.lib.Update(func() { m.UUID = "MIG-another" })
	if readings, err := b.Measure(t.Context(), d); err == nil || !strings.Contains(err.Error(), "layout") {
		t.Errorf("readings %v, error %v", readings, err)
	}
}

// TestOneInstanceFails costs that instance.
func TestOneInstanceFails(t *testing.T) {
	t.Parallel()
	gpu := nvmltest.SplitA100(0)
	b := newBench(t, nvmltest.New(gpu))
	b.good()
	b.lib.Update(func() { gpu.Slots[0].Fail(nvml.CallUUID, nvml.ErrUnknown) })
	s := b.scan()
	if got := s.ids(); !slices.Equal(got, []string{gpu.Slots[2].UUID}) {
		t.Errorf("devices %v", got)
	}
	if err := s.errs[gpu.PCI.Address()]; !errors.Is(err, nvml.ErrUnknown) {
		t.Errorf("error %v", err)
	}
}

// TestLostWhileReadingInstances has a GPU that falls off the bus half way.
func TestLostWhileReadingInstances(t *testing.T) {
	t.Parallel()
	gpu := nvmltest.SplitA100(0)
	b := newBench(t, nvmltest.New(gpu))
	b.good()
	b.lib.Update(func() { gpu.Slots[2].Fail(nvml.CallUUID, nvml.ErrGPUIsLost) })
	s := b.scan()
	if d := s.devices[gpu.PCI.Address()+"?"]; len(s.devices) != 1 || !slices.Equal(codes(d.Faults), []string{"hard lost"}) {
		t.Errorf("devices %v, errors %v", s.ids(), s.errs)
	}
}

// TestSamplesAreFreed measures instances and takes one away.
func TestSamplesAreFreed(t *testing.T) {
	t.Parallel()
	gpu := nvmltest.H100(0)
	for gi := range 2 {
		m := gpu.Instance(gi, 0, "1g.10gb", nvml.MIGAttributes{GPUInstanceSlices: 1, ComputeInstanceSlices: 1, MemoryMB: 9984})
		m.GPM = gpu.GPM
	}
	b := newBench(t, nvmltest.New(gpu))
	for _, d := range b.good().devices {
		if _, err := b.Measure(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	if n := b.lib.Counts()[nvml.CallGPMSampleAlloc]; n != 4 {
		t.Fatalf("%d samples, want two for each instance", n)
	}
	b.good()
	b.lib.Update(func() { gpu.Slots[0] = nil })
	b.good()
	if n := b.lib.Counts()[nvml.CallGPMSampleFree]; n != 2 {
		t.Errorf("%d samples were freed, want those of the instance that is gone", n)
	}
}

// TestParentIsSick lays what is wrong with a GPU on all its instances.
func TestParentIsSick(t *testing.T) {
	t.Parallel()
	gpu := nvmltest.SplitA100(0)
	b := newBench(t, nvmltest.New(gpu))
	b.good()
	b.lib.Update(func() { setField(gpu, nvml.FieldRecoveryAction, 1) })
	s := b.scan()
	if len(s.devices) != 2 {
		t.Errorf("devices %v", s.ids())
	}
	for id, d := range s.devices {
		if !slices.Equal(codes(d.Faults), []string{"hard " + codeRecovery}) {
			t.Errorf("%s: %v", id, codes(d.Faults))
		}
	}
	b.lib.Update(func() { gpu.Fail(nvml.CallFieldValues, nvml.ErrResetRequired) })
	s = b.scan()
	if d, ok := s.devices[gpu.PCI.Address()+"?"]; !ok || len(s.devices) != 1 || len(d.Faults) == 0 {
		t.Errorf("devices %v", s.ids())
	}
}

func TestMIGModeFails(t *testing.T) {
	t.Parallel()
	gpu := nvmltest.SplitA100(0)
	b := newBench(t, nvmltest.New(gpu))
	gpu.Fail(nvml.CallMIGMode, nvml.ErrUnknown)
	if s := b.scan(); len(s.devices) != 0 || len(s.errs) != 1 {
		t.Errorf("a GPU whose mode is not known was offered: %v, errors %v", s.ids(), s.errs)
	}
	b.lib.Update(func() { gpu.Fail(nvml.CallMIGMode, nvml.Success) })
	want := b.good().text(t)
	b.lib.Update(func() { gpu.Fail(nvml.CallMIGMode, nvml.ErrUnknown) })
	if diff := cmp.Diff(want, b.good().text(t)); diff != "" {
		t.Errorf("with the mode known last (-want +got):\n%s", diff)
	}
}

// TestNameWithoutProfile works out the profile.
func TestNameWithoutProfile(t *testing.T) {
	t.Parallel()
	gpu := nvmltest.SplitA100(0)
	for _, m := range gpu.Slots {
		if m != nil {
			m.Name = gpu.Name
		}
	}
	want := []string{"nvidia/mig/NVIDIA A100-SXM4-40GB MIG 1g.5gb", "nvidia/mig/NVIDIA A100-SXM4-40GB MIG 3g.20gb"}
	if got := groups(newBench(t, nvmltest.New(gpu)).good()); !slices.Equal(got, want) {
		t.Errorf("groups %v, want %v", got, want)
	}
}

func TestProfileOf(t *testing.T) {
	t.Parallel()
	const a100, a100x2, h100, a30 = 40960, 81920, 81559, 24576
	for _, tt := range []struct {
		total         uint64
		gi, ci        int
		memory        uint64
		want, unknown string // unknown is without the GPU's memory
	}{
		{a100, 1, 1, 4864, "1g.5gb", "1g.5gb"},
		{a100, 1, 1, 9856, "1g.10gb", "1g.10gb"},
		{a100, 2, 2, 9856, "2g.10gb", "2g.10gb"},
		{a100, 3, 3, 19968, "3g.20gb", "3g.20gb"},
		{a100, 7, 7, 40192, "7g.40gb", "7g.39gb"},
		{a100, 3, 1, 19968, "1c.3g.20gb", "1c.3g.20gb"},
		{a100x2, 1, 1, 9728, "1g.10gb", "1g.10gb"},
		{a100x2, 7, 7, 80896, "7g.80gb", "7g.79gb"},
		{h100, 1, 1, 9984, "1g.10gb", "1g.10gb"},
		{h100, 1, 1, 20096, "1g.20gb", "1g.20gb"},
		{h100, 4, 4, 40448, "4g.40gb", "4g.40gb"},
		{a30, 1, 1, 5952, "1g.6gb", "1g.6gb"},
		{a30, 2, 2, 12032, "2g.12gb", "2g.12gb"},
	} {
		a := nvml.MIGAttributes{GPUInstanceSlices: tt.gi, ComputeInstanceSlices: tt.ci, MemoryMB: tt.memory}
		if got := profileOf(a, tt.total<<20); got != tt.want {
			t.Errorf("%+v of %d MiB: %s, want %s", a, tt.total, got, tt.want)
		}
		if got := profileOf(a, 0); got != tt.unknown {
			t.Errorf("%+v: %s, want %s", a, got, tt.unknown)
		}
	}
}

func TestMIGProfile(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"NVIDIA H100 80GB HBM3 MIG 1g.10gb":          "1g.10gb",
		"NVIDIA A100-SXM4-40GB MIG 1c.3g.20gb":       "1c.3g.20gb",
		"NVIDIA H100 80GB HBM3 MIG 1g.10gb+me":       "1g.10gb+me",
		"NVIDIA MIG Board MIG 1g.5gb":                "1g.5gb",
		"NVIDIA A100-SXM4-40GB":                      "",
		"NVIDIA A100-SXM4-40GB MIG ":                 "",
		"":                                           "",
		"NVIDIA RTX PRO 6000 Blackwell MIG 1g.24gb":  "1g.24gb",
		"NVIDIA RTX PRO 6000 MIG 1g.24gb+gfx":        "1g.24gb+gfx",
		"NVIDIA RTX PRO 6000 Blackwell MIG 1g.24gb ": "1g.24gb",
	} {
		if got := migProfile(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

func FuzzMIGProfile(f *testing.F) {
	f.Add("NVIDIA H100 80GB HBM3 MIG 1g.10gb")
	f.Add(" MIG  MIG ")
	f.Fuzz(func(t *testing.T, name string) {
		got := migProfile(name)
		if !strings.HasSuffix(strings.TrimSpace(name), got) || got != strings.TrimSpace(got) || strings.Contains(got, " MIG ") {
			t.Errorf("%q: %q", name, got)
		}
	})
}

func FuzzProfileOf(f *testing.F) {
	f.Add(3, 1, uint64(19968), uint64(40960<<20))
	f.Fuzz(func(t *testing.T, gi, ci int, memory, total uint64) {
		got := profileOf(nvml.MIGAttributes{GPUInstanceSlices: gi, ComputeInstanceSlices: ci, MemoryMB: memory}, total)
		if !strings.HasSuffix(got, "gb") || strings.Contains(got, "NaN") || strings.Contains(got, "Inf") {
			t.Errorf("%s", got)
		}
	})
}
