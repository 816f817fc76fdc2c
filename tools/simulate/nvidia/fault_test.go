package nvidia

import (
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// steady gives the scenario without what only grows.
func steady(t *testing.T, m *Machine) map[string]string {
	t.Helper()
	f, err := m.Scenario()
	check(t, err)
	values := make(map[string]string)
	for key, value := range f.All() {
		if !strings.HasPrefix(key, "event.") {
			values[key] = value
		}
	}
	return values
}

func TestEveryFaultCanBeRepaired(t *testing.T) {
	t.Parallel()
	all := len(faults)
	possible := map[string]int{
		"8xh100":     all,
		"4xa100-mig": all - 1, // no fabric
		"gb10":       all - 5, // no ECC, fabric, NVLink, rows to remap
		"2xt4":       all - 8, // and no recovery action, but ECC
		"driver450":  all - 8,
	}
	for _, p := range Profiles() {
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t, p.Name)
			before := steady(t, m)
			worked := 0
			for _, fault := range Faults() {
				if err := m.Break(0, fault.Name); err != nil {
					if diff := cmp.Diff(before, steady(t, m)); diff != "" {
						t.Errorf("%s failed and changed the scenario (-before +after):\n%s", fault.Name, diff)
					}
					continue
				}
				worked++
				if fault.Needs != "" && cmp.Equal(before, steady(t, m)) {
					t.Errorf("%s has changed nothing", fault.Name)
				}
				check(t, m.Repair(0))
				if diff := cmp.Diff(before, steady(t, m)); diff != "" {
					t.Errorf("after %s and repair (-before +after):\n%s", fault.Name, diff)
				}
			}
			if worked != possible[p.Name] {
				t.Errorf("%d of %d faults are possible, want %d", worked, len(faults), possible[p.Name])
			}
		})
	}
}

func TestFaultTellsTheWaiting(t *testing.T) {
	t.Parallel()
	tests := map[string][]string{
		"xid79":          {"xid 79"},
		"xid31":          {"xid 31"},
		"xid119":         {"xid 119", "recovery-action", "recovery-action"}, // the last from the repair
		"recovery-reset": {"recovery-action", "recovery-action"},
		"ecc":            {"ecc-double", "xid 48", "recovery-action", "recovery-action"},
		"lost":           nil,
	}
	for fault, want := range tests {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t, "8xh100")
			check(t, m.Break(5, fault))
			check(t, m.Repair(5))
			var got []string
			for i := 1; ; i++ {
				event, ok, err := m.Get("event." + strconv.Itoa(i))
				check(t, err)
				if !ok {
					break
				}
				got = append(got, strings.TrimPrefix(event, "gpu.5 "))
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRepairLeavesOtherGPUs(t *testing.T) {
	t.Parallel()
	m := newMachine(t, "8xh100")
	check(t, m.Break(1, "xid79"))
	check(t, m.Break(10-8, "hang"))
	check(t, m.Repair(1))
	if got := value(t, m, "gpu.2.call.*.hang"); got != "true" {
		t.Errorf("the other GPU's fault is %q after the repair", got)
	}
	if err := m.Break(1, "xid1000"); err == nil || !strings.Contains(err.Error(), "xid79") {
		t.Errorf("an unknown fault: %v", err)
	}
}
