package faults

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/nomad/plugins/device"

	"github.com/nomad-devices/nomad-devices/tools/simulate/nvidia"
	"github.com/nomad-devices/nomad-devices/tools/simulate/scenario"
)

// versionMismatch is NVML_ERROR_LIB_RM_VERSION_MISMATCH: the process has to end.
const versionMismatch = 18

// errorCodes are all codes of nvml.h, and some that are not in it.
func errorCodes() []int {
	codes := []int{999, 12345, -1}
	for code := 1; code <= 29; code++ {
		codes = append(codes, code)
	}
	return codes
}

// patient settings keep a device that was in trouble from being trusted before
// the next trouble, and so from being held back as one that fails again and
// again.
const patient = `fingerprint_period = "1s"
driver_timeout = "5s"
health {
  unhealthy_after = "1"
  recover_after = "8"
}
`

// clones are the keys that add GPUs to a machine, each like those it has.
func clones(first, gpus int) map[string]string {
	set := map[string]string{}
	for n := first; n < gpus; n++ {
		sum := sha256.Sum256([]byte(strconv.Itoa(n)))
		for key, value := range map[string]string{
			"uuid":         fmt.Sprintf("GPU-%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16]),
			"serial":       strconv.Itoa(1652123200000 + n),
			"minor_number": strconv.Itoa(n),
			"pci.bus_id":   fmt.Sprintf("%04x:%02x:00.0", 1+n/100, 2*(n%100)+1),
		} {
			set[fmt.Sprintf("gpu.%d.%s", n, key)] = value
		}
	}
	return set
}

// everyError has one GPU for each function of the driver. Code after code, each
// GPU's function fails with it.
func everyError(t *trial) {
	functions, _ := usedFunctions(t)
	t.beside("functions of a GPU", func(t *trial) {
		gpus := len(functions) + 1 // the last one is left alone
		s := newStand(t, options{start: nvidia.Options{Set: clones(8, gpus)}, settings: patient})
		stop := s.watchStatistics(gpus-1, gpus)
		for _, code := range errorCodes() {
			if code != versionMismatch {
				s.failAll(functions, code)
			}
		}
		stop()
		s.repairAll(functions)
	})
	t.beside("a driver of another version", func(t *trial) {
		s := newStand(t, options{mayEnd: true})
		s.failAll([]string{"nvmlDeviceGetUUID"}, versionMismatch)
		s.ended()
		t.do(s.machine.Fail(0, "nvmlDeviceGetUUID", 0))
		s.launch()
		s.sick()
	})
	t.beside("functions of the machine", func(t *trial) {
		global := slices.DeleteFunc(slices.Clone(functions), func(f string) bool {
			return f == "nvmlInit_v2" || strings.HasPrefix(f, "nvmlDeviceGet") && f != "nvmlDeviceGetCount_v2" && f != "nvmlDeviceGetHandleByPciBusId_v2"
		})
		s := newStand(t, options{settings: patient})
		for _, code := range errorCodes() {
			if code == versionMismatch {
				continue
			}
			t.do(s.machine.Edit(func(f *scenario.File) error {
				for _, function := range global {
					if err := f.Set("call."+function+".return", strconv.Itoa(code)); err != nil {
						return err
					}
				}
				return nil
			}))
			s.scans()
		}
		t.do(s.machine.Edit(func(f *scenario.File) error {
			for _, function := range global {
				f.Unset("call." + function + ".return")
			}
			return nil
		}))
		s.sick()
	})
	t.beside("the start of the library", func(t *trial) {
		s := newStand(t, options{settings: patient, anyway: true, start: nvidia.Options{Set: map[string]string{"call.nvmlInit_v2.return": "999"}}})
		for _, code := range errorCodes() {
			if code == versionMismatch {
				continue
			}
			t.do(s.machine.Set("call.nvmlInit_v2.return", strconv.Itoa(code)))
			// A driver that changes is tried at once, whatever it has answered.
			t.do(os.WriteFile(filepath.Join(s.machine.Root(), "sys/module/nvidia/version"), fmt.Appendf(nil, "1.%d\n", code+2), 0o600))
			s.calls("nvmlInit_v2", 1, false) // a change of the machine would write the file anew
			if now, _, _ := s.stream.now(); len(now.devices()) > 0 {
				t.Fatalf("nvmlInit fails with %d, and there are %v", code, now)
			}
		}
		t.do(s.machine.Unset("call.nvmlInit_v2.return")) // and the driver is as it was
		s.sick()
	})
}

// failAll makes one function of each GPU fail, and waits until it was called.
func (s *stand) failAll(functions []string, code int) {
	s.t.Helper()
	s.t.do(s.machine.Edit(func(f *scenario.File) error {
		for n, function := range functions {
			if err := f.Set(fmt.Sprintf("gpu.%d.call.%s.return", n, function), strconv.Itoa(code)); err != nil {
				return err
			}
		}
		return nil
	}))
	if code != versionMismatch {
		s.scans()
	}
	now, _, _ := s.stream.now()
	if len(now.devices()) != len(s.gpus) {
		s.t.Fatalf("with code %d there are %d devices instead of %d", code, len(now.devices()), len(s.gpus))
	}
	if d := now.device(s.uuid(len(s.gpus) - 1)); !d.Healthy {
		s.t.Fatalf("with code %d for the others, a healthy GPU is %v", code, d)
	}
}

// repairAll takes the rules of failAll away.
func (s *stand) repairAll(functions []string) {
	s.t.Helper()
	s.t.do(s.machine.Edit(func(f *scenario.File) error {
		for n, function := range functions {
			f.Unset(fmt.Sprintf("gpu.%d.call.%s.return", n, function))
		}
		return nil
	}))
	s.until("every device to be healthy, or held back because it failed again and again", func(s *stand, now state) bool {
		for _, g := range s.gpus {
			d := now.device(g.UUID)
			if d == nil || !d.Healthy && !heldBack(d) {
				return false
			}
		}
		return true
	})
}

// heldBack reports whether a device is well and not trusted yet.
func heldBack(d *device.Device) bool { return strings.Contains(d.HealthDesc, "is held back until") }

// scans waits until the plugin has looked at the machine as it is now: until it
// has begun a second look, since the first may have been under way before the
// change.
func (s *stand) scans() {
	s.t.Helper()
	s.calls("nvmlDeviceGetCount_v2", 2, true)
}

// calls waits until the plugin has called a function so many times. With poke it
// reports harmless events of the last GPU, after each of which the plugin looks.
func (s *stand) calls(function string, times uint64, poke bool) {
	s.t.Helper()
	count := func() uint64 {
		calls, err := s.machine.Calls()
		s.t.do(err)
		return calls[function]
	}
	before, next := count(), time.Now()
	for end := time.Now().Add(patience); count() < before+times; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("in %v the plugin called %s %d times", patience, function, count()-before)
		}
		if poke && time.Now().After(next) {
			s.t.do(s.machine.Event(s.gpus[len(s.gpus)-1].Number, "recovery-action"))
			next = time.Now().Add(400 * time.Millisecond)
		}
	}
}

// ended waits until the plugin has ended by itself.
func (s *stand) ended() {
	s.t.Helper()
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-s.plugin.Exited():
	case <-late.C:
		s.t.Fatal("the process does not end, and only a fresh one could go on")
	}
	<-s.stream.done
}

// watchStatistics checks every statistics message until the function that it
// returns is called; each must have so many devices, and values for the one GPU.
func (s *stand) watchStatistics(well, devices int) (stop func()) {
	done, quit := make(chan error, 1), make(chan struct{})
	go func() {
		for groups, err := range s.plugin.Stats(s.t.Context(), time.Second) {
			if err == nil {
				err = validStats(groups)
			}
			all := measured{}
			for _, g := range groups {
				maps.Copy(all, g.InstanceStats)
			}
			switch {
			case err != nil:
			case len(all) < devices:
				err = fmt.Errorf("there are statistics of %d devices, and %d devices", len(all), devices)
			case !all.has(s.uuid(well)):
				err = fmt.Errorf("the healthy GPU has no statistics: %v", all[s.uuid(well)])
			}
			select {
			case <-quit:
				done <- err
				return
			default:
			}
			if err != nil {
				done <- err
				return
			}
		}
		done <- fmt.Errorf("the statistics ended")
	}()
	return func() {
		s.t.Helper()
		close(quit)
		if err := <-done; err != nil {
			s.t.Errorf("statistics: %v", err)
		}
	}
}
