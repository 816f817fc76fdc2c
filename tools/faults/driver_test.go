package faults

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/nomad-devices/nomad-devices/tools/simulate/nvidia"
)

func driverMissing(t *trial) {
	s := newStand(t, options{anyway: true, prepare: func(m *nvidia.Machine) error {
		if err := m.Unload(); err != nil {
			return err
		}
		return os.Rename(m.Library(), m.Library()+".absent")
	}})
	s.stream.soon(t)
	if now, _, _ := s.stream.now(); len(now.devices()) > 0 {
		t.Errorf("without a driver there are %v", now)
	}
	s.statistics(200*time.Millisecond, "no device", func(m measured) bool { return len(m) == 0 })
	// First the library comes, then the kernel's driver.
	t.do(os.Rename(s.machine.Library()+".absent", s.machine.Library()))
	time.Sleep(2 * time.Second)
	if now, _, _ := s.stream.now(); len(now.devices()) > 0 {
		t.Errorf("without the kernel's driver there are %v", now)
	}
	t.do(s.machine.Load())
	s.sick()
	s.reserves(0)
	s.measures(0)

	// A driver that goes takes the devices' health, not their place.
	t.do(s.machine.Unload())
	s.sick(0, 1, 2, 3, 4, 5, 6, 7)
	t.do(s.machine.Load())
	s.sick()
}

func driverUpgraded(t *trial) {
	s := newStand(t, options{mayEnd: true})
	before, _, _ := s.stream.now()
	t.do(s.machine.Upgrade("999.1.1"))
	s.ended()
	// The stream was open until the process was gone; ended in order it would
	// have cost every device.
	if now, _, _ := s.stream.now(); len(now.devices()) != len(before.devices()) {
		t.Errorf("the last message before the end lists %v", now)
	}
	s.launch()
	now := s.sick()
	if v := now[0].Attributes["driver_version"]; v == nil || v.String == nil || *v.String != "999.1.1" {
		t.Errorf("the fresh process tells of the driver %v", v)
	}
	s.reserves(0)
	s.measures(0)
}

func noEvents(t *trial) {
	for name, rule := range map[string][2]string{
		"no GPU has events":         {"gpu.*.events", "unsupported"},
		"none can be registered":    {"call.nvmlDeviceRegisterEvents.return", "3"},
		"no set of events":          {"call.nvmlEventSetCreate.return", "3"},
		"waiting for events fails":  {"call.nvmlEventSetWait_v2.return", "999"},
		"a wait that never returns": {"call.nvmlEventSetWait_v2.hang", "true"},
	} {
		t.beside(name, func(t *trial) {
			s := newStand(t, options{start: nvidia.Options{Set: map[string]string{rule[0]: rule[1]}}})
			t.do(s.machine.Break(5, "xid79"))
			s.sick(5)
			t.do(s.machine.Repair(5))
			s.sick()
		})
	}
}

// usedFunctions returns the functions of the driver that the plugin uses: all,
// and those of them that it uses where there is no MIG.
func usedFunctions(t *trial) (all, whole []string) {
	t.Helper()
	counts := map[string]bool{}
	for _, profile := range []string{"8xh100", "4xa100-mig"} {
		s := newStand(t, options{profile: profile, anyway: true, mayEnd: true})
		ids, seen := map[string]bool{}, 0
		s.statistics(500*time.Millisecond, "every device, twice", func(m measured) bool {
			for id := range m {
				ids[id] = true
			}
			seen++
			return len(ids) > 0 && seen > 2
		})
		calls, err := s.machine.Calls()
		t.do(err)
		s.stream.close()
		s.plugin.Close()
		for name := range calls {
			counts[name] = true
			if profile == "8xh100" {
				whole = append(whole, name)
			}
		}
	}
	if len(counts) < 50 {
		t.Fatalf("the plugin uses %d functions only, this test proves nothing: %v", len(counts), counts)
	}
	return slices.Sorted(maps.Keys(counts)), whole
}

// missingFunctions runs a process for each function of the driver that the
// plugin uses, on a driver that does not have it.
func missingFunctions(t *trial) {
	all, whole := usedFunctions(t)
	driver, err := nvidia.Build(t.Context(), "13.0")
	t.do(err)
	library, err := os.ReadFile(driver)
	t.do(err)

	// essential are those without which there is nothing to offer; the plugin
	// says so and goes on.
	essential := []string{"nvmlInit_v2", "nvmlShutdown", "nvmlDeviceGetCount_v2", "nvmlDeviceGetHandleByPciBusId_v2", "nvmlDeviceGetUUID", "nvmlDeviceGetName"}
	for _, name := range all {
		t.beside(name, func(t *trial) {
			path := filepath.Join(t.TempDir(), "libnvidia-ml.so.1")
			t.do(without(library, path, name))
			o := options{profile: "2xt4", start: nvidia.Options{Library: path}, anyway: true}
			if !slices.Contains(whole, name) {
				o.profile = "4xa100-mig"
			}
			s := newStand(t, o)
			s.stream.soon(t)
			if slices.Contains(essential, name) {
				s.statistics(500*time.Millisecond, "anything", func(measured) bool { return true })
				return
			}
			s.until("healthy devices", func(_ *stand, now state) bool { return now.healthy() > 0 && now.healthy() == len(now.devices()) })
			s.statistics(500*time.Millisecond, "a device", func(m measured) bool { return len(m) > 0 })
		})
	}
}
