package gpumetrics

import "testing"

func TestPerCycle(t *testing.T) {
	t.Parallel()
	type counters struct{ time, cycles, ppt, busy uint64 }
	at := func(structure string, c counters) Metrics {
		return filled(t, structure, func(m member) (uint64, bool) {
			switch m.name {
			case "firmware_timestamp":
				return c.time, c.time > 0
			case "accumulation_counter":
				return c.cycles, c.cycles > 0
			case "ppt_residency_acc":
				return c.ppt, true
			case "xcp_stats.gfx_busy_acc":
				return c.busy + uint64(m.index), m.partition == 0 && m.index < 2
			}
			return 0, false
		})
	}
	const top = 1 << 32
	for _, test := range []struct {
		name          string
		earlier, now  counters
		ppt, busy     float64
		known, number bool
	}{
		{"a quarter", counters{1, 1000, 50, 0}, counters{2, 2000, 300, 40000}, 0.25, 40, true, true},
		{"nothing", counters{1, 1000, 50, 7}, counters{2, 2000, 50, 7}, 0, 0, true, true},
		{"around the end of 32 bits", counters{1, top - 500, top - 100, 0}, counters{2, 500, 400, 1000}, 0.5, 1, true, true},
		{"no cycle", counters{1, 1000, 50, 0}, counters{2, 1000, 50, 0}, 0, 0, false, false},
		{"the same table", counters{1, 1000, 50, 0}, counters{1, 1000, 50, 0}, 0, 0, false, false},
		{"begun anew", counters{9, 2000, 50, 0}, counters{2, 3000, 50, 0}, 0, 0, false, false},
		{"cycles begun anew", counters{1, 2000, 50, 0}, counters{2, 1000, 60, 0}, 0, 0, false, false},
		{"one counter begun anew", counters{1, 1000, 500, 0}, counters{2, 2000, 10, 1000}, 0, 1, false, true},
		{"no clock", counters{0, 1000, 50, 0}, counters{0, 2000, 300, 40000}, 0.25, 40, true, true},
		{"cycles unknown", counters{1, 0, 50, 0}, counters{2, 1000, 300, 0}, 0, 0, false, false},
	} {
		earlier, now := at("v1_8", test.earlier), at("v1_8", test.now)
		if got, ok := now.PerCycle(earlier, PPTResidencyAcc); ok != test.known || got != test.ppt {
			t.Errorf("%s: at the power limit %v, %t, want %v, %t", test.name, got, ok, test.ppt, test.known)
		}
		if got, ok := now.Partition(0).PerCycle(earlier.Partition(0), GFXBusyAcc); ok != test.number || got != test.busy {
			t.Errorf("%s: busy by %v, %t, want %v, %t", test.name, got, ok, test.busy, test.number)
		}
	}
	earlier, now := at("v1_8", counters{1, 1000, 50, 0}), at("v1_8", counters{2, 2000, 300, 0})
	if got, ok := now.PerCycle(earlier, SocketPower); ok {
		t.Errorf("the power in a cycle is %v", got)
	}
	if got, ok := now.PerCycle(Metrics{}, PPTResidencyAcc); ok {
		t.Errorf("since nothing %v", got)
	}
}
