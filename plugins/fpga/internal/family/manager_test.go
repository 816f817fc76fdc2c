package family_test

import (
	"errors"
	"testing"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/family"
)

// The states are all of state_str in drivers/fpga/fpga-mgr.c, with what vendors'
// kernels put behind them.
func TestManagerFaults(t *testing.T) {
	t.Parallel()
	const healthy core.Severity = -1
	for text, want := range map[string]core.Severity{
		"operating": healthy, "unknown": healthy,
		"power off": core.Hard, "firmware request error": core.Hard, "parse header error": core.Hard,
		"write init error": core.Hard, "write error": core.Hard, "write complete error": core.Hard,
		"write error: 0xffffffea": core.Hard, "operating: 0x0": healthy, "power off: 0x1": core.Hard,
		"power up": core.Soft, "reset": core.Soft, "firmware request": core.Soft, "parse header": core.Soft,
		"write init": core.Soft, "write": core.Soft, "write complete": core.Soft, "write: 0x1": core.Soft,
		"": healthy, "resettled": healthy, "\x00\xff": healthy,
	} {
		got := healthy
		for _, fault := range family.ManagerFaults(family.Is(text)) {
			got = fault.Severity
			if fault.Code == "" || fault.Reason == "" || fault.Remedy == "" {
				t.Errorf("%q: %+v", text, fault)
			}
		}
		if got != want {
			t.Errorf("%q: severity %v, want %v", text, got, want)
		}
	}
	for _, unread := range []family.Fact[string]{{}, {State: family.None}, family.Failed[string](errors.New("busy"))} {
		if faults := family.ManagerFaults(unread); len(faults) != 0 {
			t.Errorf("%+v: %v", unread, faults)
		}
	}
}
