package faults

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/nomad-devices/nomad-devices/tools/simulate/nvidia"
	"github.com/nomad-devices/nomad-devices/tools/simulate/scenario"
)

// rubbish are values that no hardware should have. "\xHH" is a byte.
var rubbish = []string{
	"", "0", "-1", "-9223372036854775808", "9223372036854775807", "18446744073709551615", "4294967295", "99999999999999999999",
	"nan", "-inf", "1e308", `\xff\xfe\xc3`, `\x0a\x1b[31m\x07`, `\x09`, "a,b", "${attr.x}", "true", "0x2330", "7GB",
	`\xe2\x80\xae`, strings.Repeat("x", 90),
}

// garbage spreads the values that a GPU can have over GPUs. All of them are
// rubbish of one kind, and then of the next.
func garbage(t *trial) {
	for profile, first := range map[string]int{"8xh100": 8, "4xa100-mig": 4} {
		t.beside(profile, func(t *trial) {
			keys := keysOf(t, profile)
			if profile == "4xa100-mig" {
				keys = slices.DeleteFunc(keys, func(key string) bool { return !strings.HasPrefix(key, "mig.") })
			}
			victims := spread(keys)
			set := clones(first, first+len(victims)+1) // the last one is left alone
			if profile == "4xa100-mig" {
				set[fmt.Sprintf("gpu.%d.mig.mode", first+len(victims))] = "0"
				for i := range victims {
					set[fmt.Sprintf("gpu.%d.mig.mode", first+i)] = "1"
					set[fmt.Sprintf("gpu.%d.mig.0.profile", first+i)] = "3g.40gb"
					set[fmt.Sprintf("gpu.%d.mig.0.gi", first+i)] = "1"
				}
			}
			s := newStand(t, options{profile: profile, start: nvidia.Options{Set: set}, settings: patient, anyway: true})
			well := len(s.gpus) - 1
			healthy := func(_ *stand, now state) bool {
				d := now.device(s.uuid(well))
				return d != nil && d.Healthy
			}
			before := s.until("the devices", func(s *stand, now state) bool { return healthy(s, now) && now.healthy() > len(victims) })
			stop := s.watchStatistics(well, 0)
			for _, value := range rubbish {
				t.do(s.machine.Edit(func(f *scenario.File) error {
					for i, keys := range victims {
						for _, key := range keys {
							if err := f.Set(fmt.Sprintf("gpu.%d.%s", first+i, key), value); err != nil {
								return err
							}
						}
					}
					return f.Set("cuda.version", value)
				}))
				s.scans()
				if now, _, _ := s.stream.now(); !healthy(s, now) {
					t.Fatalf("with %q in the others a healthy GPU is lost:\n%s", value, now.short())
				}
			}
			stop()
			// The values as they were; a GPU whose identity was rubbish is back.
			t.do(s.machine.Edit(func(f *scenario.File) error {
				for i, keys := range victims {
					for _, key := range keys {
						full := fmt.Sprintf("gpu.%d.%s", first+i, key)
						f.Unset(full)
						if value, ok := set[full]; ok {
							if err := f.Set(full, value); err != nil {
								return err
							}
						}
					}
				}
				return f.Set("cuda.version", "13.0")
			}))
			s.until("the devices as they were", func(_ *stand, now state) bool {
				for _, d := range before.devices() {
					if again := now.device(d.ID); again == nil || !again.Healthy && !heldBack(again) {
						return false
					}
				}
				return true
			})
		})
	}
	for i, value := range rubbish {
		if len(value) > 80 {
			continue // NVML's own buffer ends there
		}
		t.beside(fmt.Sprint("the driver's version ", i), func(t *trial) {
			s := newStand(t, options{profile: "2xt4", anyway: true, start: nvidia.Options{Set: map[string]string{"driver.version": value}}})
			s.stream.soon(t)
			if value != "" { // which is a driver that is not loaded
				s.sick()
			}
		})
	}
}

// spread gives each key that says who or what a GPU is a GPU of its own, where
// it hides nothing else, and the others one for each few.
func spread(keys []string) [][]string {
	var alone [][]string
	rest := slices.DeleteFunc(slices.Clone(keys), func(key string) bool {
		identity := slices.Contains([]string{"uuid", "name", "minor_number", "pci.bus_id"}, key) || strings.HasPrefix(key, "mig.")
		if identity {
			alone = append(alone, []string{key})
		}
		return identity
	})
	return append(alone, slices.Collect(slices.Chunk(rest, 5))...)
}

// keysOf returns the keys that a GPU of a profile has.
func keysOf(t *trial, profile string) []string {
	t.Helper()
	profiles := nvidia.Profiles()
	at := slices.IndexFunc(profiles, func(p nvidia.Profile) bool { return p.Name == profile })
	f, err := scenario.Parse(profiles[at].Text)
	t.do(err)
	keys := map[string]bool{"events": true}
	for full := range f.All() {
		if parts := strings.SplitN(full, ".", 3); len(parts) == 3 && parts[0] == "gpu" {
			keys[parts[2]] = true
		}
	}
	if len(keys) < 60 {
		t.Fatalf("%s has %d keys only, this test proves nothing", profile, len(keys))
	}
	return slices.Sorted(maps.Keys(keys))
}
