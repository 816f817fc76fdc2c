package nvidia

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/plugins/nvidia/internal/nvml"
	"github.com/nomad-devices/nomad-devices/plugins/nvidia/internal/nvml/nvmltest"
)

// fakeDriver returns a running fake driver and its GPUs.
func fakeDriver(t *testing.T, gpus ...*nvmltest.GPU) (*nvmltest.Library, []nvml.Device) {
	t.Helper()
	lib := nvmltest.New(gpus...)
	if err := lib.Init(); err != nil {
		t.Fatal(err)
	}
	devices := make([]nvml.Device, len(gpus))
	for i := range gpus {
		d, err := lib.DeviceByIndex(i)
		if err != nil {
			t.Fatal(err)
		}
		devices[i] = d
	}
	lib.ResetCounts()
	return lib, devices
}

func setField(g *nvmltest.GPU, id nvml.FieldID, n uint64) { g.Fields[nvml.Field{ID: id}] = n }

func codes(faults []core.Fault) []string {
	var all []string
	for _, f := range faults {
		all = append(all, f.Severity.String()+" "+f.Code)
	}
	return all
}

func TestExamine(t *testing.T) {
	t.Parallel()
	old := func(g *nvmltest.GPU) { delete(g.Fields, nvml.Field{ID: nvml.FieldRecoveryAction}) }
	for _, tt := range []struct {
		name    string
		gpu     *nvmltest.GPU
		change  func(g *nvmltest.GPU)
		want    []string
		cleared bool
		says    string
	}{
		{"well", nvmltest.H100(0), nil, nil, true, ""},
		{"well, old driver", nvmltest.H100(0), old, nil, false, ""},
		{"well, hardly anything supported", nvmltest.GB10(), nil, nil, false, ""},
		{
			"the driver asks for a reset", nvmltest.H100(0),
			func(g *nvmltest.GPU) { setField(g, nvml.FieldRecoveryAction, 1) },
			[]string{"hard recovery-action"},
			false, "recovery: reset the GPU; drain the node",
		},
		{
			"the driver asks for a drain", nvmltest.H100(0),
			func(g *nvmltest.GPU) { setField(g, nvml.FieldRecoveryAction, 4) },
			[]string{"hard recovery-action"},
			false, "drain and reset the GPU",
		},
		{
			"the driver asks for something new", nvmltest.H100(0),
			func(g *nvmltest.GPU) { setField(g, nvml.FieldRecoveryAction, 42) },
			[]string{"hard recovery-action"},
			false, "number 42",
		},
		{
			"lost", nvmltest.H100(0), func(g *nvmltest.GPU) { g.Lost = true },
			[]string{"hard lost"},
			false, "fallen off the bus",
		},
		{
			"reset required", nvmltest.H100(0),
			func(g *nvmltest.GPU) { g.Fail(nvml.CallFieldValues, nvml.ErrResetRequired) },
			[]string{"hard reset-required"},
			false, "nvidia-smi --gpu-reset",
		},
		{
			"the call fails", nvmltest.H100(0),
			func(g *nvmltest.GPU) { g.Fail(nvml.CallFieldValues, nvml.ErrUnknown) },
			[]string{"soft health-unreadable"},
			false, "NVML error 999",
		},
		{
			"a row waits", nvmltest.H100(0),
			func(g *nvmltest.GPU) { setField(g, nvml.FieldRemapPending, 1) },
			[]string{"notice row-remap-pending"},
			true, "next reset",
		},
		{
			"a bank waits", nvmltest.H100(0),
			func(g *nvmltest.GPU) { setField(g, nvml.FieldBankRemapPending, 1) },
			[]string{"notice row-remap-pending"},
			true, "next reset",
		},
		{
			"a row could not be replaced", nvmltest.A100(0),
			func(g *nvmltest.GPU) { setField(g, nvml.FieldRemapFailure, 1) },
			[]string{"hard row-remap-failure"},
			true, "field diagnostics",
		},
		{
			"damage beyond repair", nvmltest.H100(0), func(g *nvmltest.GPU) { g.Unrepairable = true },
			[]string{"hard memory-unrepairable"},
			true, "replacement",
		},
		{
			"a contained error", nvmltest.H100(0),
			func(g *nvmltest.GPU) { setField(g, nvml.FieldECCDoubleVolatile, 3) },
			[]string{"notice ecc-uncorrectable"},
			true, "uncorrectable memory errors",
		},
		{
			"a contained error with its row waiting is told once", nvmltest.H100(0),
			func(g *nvmltest.GPU) {
				setField(g, nvml.FieldECCDoubleVolatile, 3)
				setField(g, nvml.FieldRemapPending, 1)
			},
			[]string{"notice row-remap-pending"},
			true, "",
		},
		{
			"a bad page is in use", nvmltest.T4(0),
			func(g *nvmltest.GPU) {
				setField(g, nvml.FieldRetiredPending, 1)
				setField(g, nvml.FieldRetiredPendingDouble, 1)
			},
			[]string{"hard bad-page-in-use"},
			false, "nvidia-smi --gpu-reset",
		},
		{
			"a bad page, and a driver that says all is well", nvmltest.T4(0),
			func(g *nvmltest.GPU) {
				setField(g, nvml.FieldRetiredPendingDouble, 1)
				setField(g, nvml.FieldRecoveryAction, 0)
			},
			[]string{"notice page-retirement-pending"},
			true, "",
		},
		{
			"a weak page waits", nvmltest.T4(0),
			func(g *nvmltest.GPU) { setField(g, nvml.FieldRetiredPending, 1) },
			[]string{"notice page-retirement-pending"},
			false, "",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, devices := fakeDriver(t, tt.gpu)
			if tt.change != nil {
				tt.change(tt.gpu)
			}
			policy := newXIDPolicy(nil, []int{13})
			var m healthMemory
			faults, cleared := m.examine(devices[0], nvml.Fabric{}, policy)
			if got := codes(faults); !slices.Equal(got, tt.want) {
				t.Fatalf("faults %v, want %v", got, tt.want)
			}
			if (len(cleared) > 0) != tt.cleared {
				t.Errorf("cleared %v, want any: %v", cleared, tt.cleared)
			}
			if tt.cleared && (!slices.Contains(cleared, "xid-79") || slices.Contains(cleared, "xid-fatal-13")) {
				t.Errorf("cleared %v: want the catalogue's XIDs and not the operator's", cleared)
			}
			if tt.says != "" && !strings.Contains(faults[0].Error(), tt.says) {
				t.Errorf("fault says %q, want %q", faults[0].Error(), tt.says)
			}
		})
	}
}

// A fault must not go away because reading it failed, and reading nothing is no
// evidence of health.
func TestExamineKeepsWhatItKnew(t *testing.T) {
	t.Parallel()
	gpu := nvmltest.H100(0)
	setField(gpu, nvml.FieldRemapFailure, 1)
	lib, devices := fakeDriver(t, gpu)
	var m healthMemory
	policy := newXIDPolicy(nil, nil)
	m.examine(devices[0], nvml.Fabric{}, policy)

	lib.Update(func() { gpu.Fail(nvml.CallFieldValues, nvml.ErrUnknown) })
	faults, cleared := m.examine(devices[0], nvml.Fabric{}, policy)
	if got, want := codes(faults), []string{"soft health-unreadable", "hard row-remap-failure"}; !slices.Equal(got, want) {
		t.Errorf("while reading fails: %v, want %v", got, want)
	}
	if cleared != nil {
		t.Errorf("cleared %v by a recovery action of an earlier scan", cleared)
	}

	// One field fails, the others do not.
	read := func(fields ...nvml.Field) ([]nvml.FieldValue, error) {
		values := make([]nvml.FieldValue, len(fields))
		for i, f := range fields {
			values[i] = nvml.UintField(f, 0)
			if f.ID == nvml.FieldRemapFailure {
				values[i] = nvml.FieldValue{Field: f, Return: nvml.ErrUnknown, Err: nvml.ErrUnknown}
			}
		}
		return values, nil
	}
	if faults, cleared := m.checkup(read, policy); !slices.Equal(codes(faults), []string{"hard row-remap-failure"}) || cleared == nil {
		t.Errorf("one field fails: %v, cleared %v", codes(faults), cleared)
	}

	lib.Update(func() {
		gpu.Fail(nvml.CallFieldValues, nvml.Success)
		setField(gpu, nvml.FieldRemapFailure, 0)
	})
	if faults, _ := m.examine(devices[0], nvml.Fabric{}, policy); faults != nil {
		t.Errorf("after the repair: %v", codes(faults))
	}
}

// A field can fail with what concerns the whole GPU while the batch succeeds.
func TestCheckupSeesLossInAField(t *testing.T) {
	t.Parallel()
	var m healthMemory
	faults, cleared := m.checkup(func(fields ...nvml.Field) ([]nvml.FieldValue, error) {
		values := make([]nvml.FieldValue, len(fields))
		for i, f := range fields {
			values[i] = nvml.UintField(f, 0)
		}
		values[1] = nvml.FieldValue{Field: fields[1], Return: nvml.ErrGPUIsLost, Err: nvml.ErrGPUIsLost}
		return values, nil
	}, newXIDPolicy(nil, nil))
	if !slices.Equal(codes(faults), []string{"hard lost"}) || cleared != nil {
		t.Errorf("faults %v, cleared %v", codes(faults), cleared)
	}
	if !errors.Is(faults[0].Err, nvml.ErrGPUIsLost) {
		t.Errorf("the fault does not keep its cause: %v", faults[0].Err)
	}
}

// Without a recovery action, only a GPU that went away and came back has left its
// XIDs behind.
func TestExamineAfterLoss(t *testing.T) {
	t.Parallel()
	gpu := nvmltest.T4(0)
	lib, devices := fakeDriver(t, gpu)
	policy := newXIDPolicy(nil, nil)
	var m healthMemory
	look := func() []string {
		_, cleared := m.examine(devices[0], nvml.Fabric{}, policy)
		return cleared
	}
	if got := look(); got != nil {
		t.Errorf("cleared %v by being readable", got)
	}
	lib.Update(func() { gpu.Lost = true })
	if got := look(); got != nil {
		t.Errorf("cleared %v while lost", got)
	}
	lib.Update(func() {
		gpu.Lost = false
		gpu.Fail(nvml.CallFieldValues, nvml.ErrResetRequired)
	})
	if got := look(); got != nil {
		t.Errorf("cleared %v while a reset is needed", got)
	}
	lib.Update(func() { gpu.Fail(nvml.CallFieldValues, nvml.Success) })
	if got := look(); !slices.Equal(got, []string{"*"}) {
		t.Errorf("cleared %v after the GPU came back, want all", got)
	}
	if got := look(); got != nil {
		t.Errorf("cleared %v again", got)
	}
	m.lost(nvml.ErrGPUIsLost) // by another call
	if got := look(); !slices.Equal(got, []string{"*"}) {
		t.Errorf("cleared %v after the GPU came back, want all", got)
	}
}

func TestExamineCalls(t *testing.T) {
	t.Parallel()
	lib, devices := fakeDriver(t, nvmltest.H100(0))
	var m healthMemory
	for range 3 {
		m.examine(devices[0], nvml.Fabric{}, newXIDPolicy(nil, nil))
	}
	if got := lib.Total(); got != 3*2 {
		t.Errorf("%d calls in 3 scans, want 2 each: %v", got, lib.Counts())
	}
}

func TestRecoveryNames(t *testing.T) {
	t.Parallel()
	for action := nvml.RecoveryNone; action <= nvml.RecoverySystemReboot; action++ {
		if int(action) >= len(recoveryActions) || recoveryActions[action].name == "" {
			t.Fatalf("recovery action %d has no name", action)
		}
		if action != nvml.RecoveryNone && recoveryFault(uint64(action)).Remedy == "" {
			t.Errorf("recovery action %d has no remedy", action)
		}
	}
}

func TestFabricFaults(t *testing.T) {
	t.Parallel()
	up := nvml.Fabric{State: nvml.FabricCompleted, Health: nvml.FabricHealthy}
	for _, tt := range []struct {
		name  string
		scans []nvml.Fabric
		want  []string
	}{
		{"none", []nvml.Fabric{{}}, nil},
		{"joined", []nvml.Fabric{up}, nil},
		{"never joined", []nvml.Fabric{{State: nvml.FabricInProgress}}, []string{"notice fabric-not-ready"}},
		{"joining failed", []nvml.Fabric{{State: nvml.FabricCompleted, Status: nvml.ErrUnknown}}, []string{"notice fabric-not-ready"}},
		{"fell out", []nvml.Fabric{up, {State: nvml.FabricNotStarted}}, []string{"soft fabric"}},
		{"fell out and back", []nvml.Fabric{up, {State: nvml.FabricNotStarted}, up}, nil},
		{"unhealthy", []nvml.Fabric{{State: nvml.FabricCompleted, Health: nvml.FabricUnhealthy}}, []string{"soft fabric"}},
		{"route unhealthy", []nvml.Fabric{{State: nvml.FabricCompleted, HealthMask: 1 << 4}}, []string{"soft fabric"}},
		{"route healthy", []nvml.Fabric{{State: nvml.FabricCompleted, HealthMask: 2<<4 | 2}}, nil},
		{"the summary outranks the mask", []nvml.Fabric{{State: nvml.FabricCompleted, Health: nvml.FabricHealthy, HealthMask: 1 << 4}}, nil},
		{"slow", []nvml.Fabric{{State: nvml.FabricCompleted, HealthMask: 1}}, []string{"notice fabric-limited"}},
		{"limited", []nvml.Fabric{{State: nvml.FabricCompleted, Health: nvml.FabricHealthLimitedCapacity}}, []string{"notice fabric-limited"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var m healthMemory
			var got []core.Fault
			for _, f := range tt.scans {
				got = m.fabricFaults(f)
			}
			if !slices.Equal(codes(got), tt.want) {
				t.Errorf("faults %v, want %v", codes(got), tt.want)
			}
		})
	}
}
