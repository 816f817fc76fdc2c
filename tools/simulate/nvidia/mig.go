package nvidia

import (
	"crypto/sha256"
	"fmt"
	"strconv"
	"strings"

	"github.com/nomad-devices/nomad-devices/tools/simulate/scenario"
)

// MIG cuts a GPU anew: one MIG device for each profile ("3g.40gb",
// "1c.3g.40gb"), none for no profile. Devices that were there with the same
// place and profile keep their UUID.
func (m *Machine) MIG(gpu int, profiles ...string) error {
	return m.editGPU(gpu, func(f *scenario.File, v view) error {
		if v.Card(gpu, "mig.mode") == "" {
			return fmt.Errorf("GPU %d (%s) has no MIG", gpu, v.Card(gpu, "name"))
		}
		layout, err := plan(v, gpu, profiles)
		if err != nil {
			return fmt.Errorf("GPU %d (%s): %w", gpu, v.Card(gpu, "name"), err)
		}
		return writeLayout(f, v, gpu, layout)
	})
}

// MIGOff ends MIG on a GPU: it is whole again.
func (m *Machine) MIGOff(gpu int) error {
	return m.editGPU(gpu, func(f *scenario.File, v view) error {
		if v.Card(gpu, "mig.mode") == "" {
			return fmt.Errorf("GPU %d (%s) has no MIG", gpu, v.Card(gpu, "name"))
		}
		if err := writeLayout(f, v, gpu, nil); err != nil {
			return err
		}
		return f.SetAll(map[string]string{v.Key(gpu, "mig.mode"): "0", v.Key(gpu, "mig.pending"): "0"})
	})
}

// instance is a GPU instance that is being filled with compute instances.
type instance struct {
	profile     string
	gi          int
	slices      int
	used        int
	computeUsed int
}

// plan places profiles on a GPU as the driver would, or says why they do not
// fit.
func plan(v view, gpu int, profiles []string) ([]migSlot, error) {
	if most := int(v.Number(gpu, "mig.max", 7)); len(profiles) > most {
		return nil, fmt.Errorf("%d MIG devices do not fit: %d is the most", len(profiles), most)
	}
	var (
		layout  []migSlot
		current *instance
		taken   = make(map[int]bool)
		counts  = make(map[string]int64)
		slices  int
		memory  int64
	)
	total, _ := v.Bytes(gpu, "memory.total")
	maxMemory := total >> 20 // the profiles count in MiB
	for i, profile := range profiles {
		compute, outer := splitProfile(profile)
		properties := v.Card(gpu, "mig.profile."+outer)
		if properties == "" {
			return nil, fmt.Errorf("there is no MIG profile %q: see the mig.profile keys of the scenario", profile)
		}
		width, err := strconv.Atoi(outer[:strings.IndexByte(outer, 'g')])
		if err != nil {
			return nil, fmt.Errorf("MIG profile %q: %w", profile, err)
		}
		if compute == 0 {
			compute = width
		}
		fits := current != nil && current.profile == outer && compute < width && current.used+compute <= current.slices
		if !fits {
			current = &instance{profile: outer, gi: freeInstance(taken, width), slices: width}
			taken[current.gi] = true
			slices += width
			memory += word(properties, "memory")
			if counts[outer]++; counts[outer] > word(properties, "instances") {
				return nil, fmt.Errorf("%d of %s do not fit", counts[outer], outer)
			}
		}
		if slices > 7 || (maxMemory > 0 && memory > maxMemory) {
			return nil, fmt.Errorf("%s do not fit together", strings.Join(profiles, ", "))
		}
		layout = append(layout, migSlot{slot: i, profile: profile, gi: current.gi, ci: current.computeUsed})
		current.used += compute
		current.computeUsed++
	}
	return layout, nil
}

// splitProfile tells the compute slices from the GPU instance: "1c.3g.40gb" is
// 1 and "3g.40gb". 0 slices are all of the instance.
func splitProfile(profile string) (int, string) {
	head, rest, ok := strings.Cut(profile, ".")
	if text, isCompute := strings.CutSuffix(head, "c"); ok && isCompute {
		if n, err := strconv.Atoi(text); err == nil {
			return n, rest
		}
	}
	return 0, profile
}

// freeInstance numbers an instance as the driver does: large ones come first.
func freeInstance(taken map[int]bool, slices int) int {
	first := map[int]int{7: 0, 4: 1, 3: 1, 2: 3}
	id, ok := first[slices]
	if !ok {
		id = 7
	}
	for taken[id] {
		id++
	}
	return id
}

// word reads "name=123" among the words of a value; 0 if it is not there.
func word(text, name string) int64 {
	for field := range strings.FieldsSeq(text) {
		if value, ok := strings.CutPrefix(field, name+"="); ok {
			if n, err := strconv.ParseInt(value, 0, 64); err == nil {
				return n
			}
		}
	}
	return 0
}

func writeLayout(f *scenario.File, v view, gpu int, layout []migSlot) error {
	kept := make(map[migSlot]string)
	for _, s := range v.slots(gpu) {
		uuid := v.migUUID(gpu, s)
		s.slot = 0
		kept[s] = uuid
	}
	clearSlots(f, v.Key(gpu, "mig."))
	generation := v.Number(gpu, "mig.generation", 0) + 1
	values := map[string]string{"mig.mode": "1", "mig.pending": "1", "mig.generation": strconv.FormatInt(generation, 10)}
	for _, s := range layout {
		prefix := fmt.Sprintf("mig.%d.", s.slot)
		place := s
		place.slot = 0
		uuid := kept[place]
		if uuid == "" {
			uuid = makeUUID(fmt.Sprint(v.Card(gpu, "uuid"), place, generation))
		}
		values[prefix+"profile"] = s.profile
		values[prefix+"uuid"] = uuid
		values[prefix+"gi"] = strconv.Itoa(s.gi)
		values[prefix+"ci"] = strconv.Itoa(s.ci)
	}
	own := make(map[string]string, len(values))
	for key, value := range values {
		own[v.Key(gpu, key)] = value
	}
	if err := f.SetAll(own); err != nil {
		return err
	}
	if v.supportsEvent(gpu, eventMIG) {
		return addEvent(f, gpu, "mig")
	}
	return nil
}

// clearSlots removes "gpu.N.mig.I." keys, but not those of the GPU's MIG itself.
func clearSlots(f *scenario.File, prefix string) {
	var stale []string
	for key := range f.All() {
		rest, ok := strings.CutPrefix(key, prefix)
		if ok && len(rest) > 1 && rest[0] >= '0' && rest[0] <= '9' {
			stale = append(stale, key)
		}
	}
	for _, key := range stale {
		f.Unset(key)
	}
}

func makeUUID(seed string) string {
	x := fmt.Sprintf("%x", sha256.Sum256([]byte(seed)))
	return fmt.Sprintf("MIG-%s-%s-5%s-a%s-%s", x[:8], x[8:12], x[13:16], x[17:20], x[20:32])
}
