package nvidia

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/nomad-devices/nomad-devices/tools/simulate/scenario"
)

// maxGPUs is the number of GPUs that the driver reads ("gpu.0." to "gpu.511.").
const maxGPUs = 512

// view reads a scenario the way the driver does.
type view struct {
	values map[string]string
}

func newView(f *scenario.File) view {
	return view{values: maps.Collect(f.All())}
}

// machine gives a value of the whole machine; empty if it has none.
func (v view) machine(key string) string {
	if value := v.values[key]; value != "unsupported" {
		return value
	}
	return ""
}

// gpu gives a value of a GPU: its own, or that of all GPUs; empty if neither.
func (v view) gpu(n int, key string) string {
	value, ok := v.values[gpuKey(n, key)]
	if !ok {
		value = v.values["gpu.*."+key]
	}
	if value == "unsupported" {
		return ""
	}
	return value
}

func (v view) gpuTrue(n int, key string, otherwise bool) bool {
	return isTrue(v.gpu(n, key), otherwise)
}

// isTrue reads a truth as the driver does: true, false or a number.
func isTrue(text string, otherwise bool) bool {
	switch text {
	case "true":
		return true
	case "false":
		return false
	}
	if n, err := strconv.ParseInt(text, 0, 64); err == nil {
		return n != 0
	}
	return otherwise
}

// defined gives the numbers of the GPUs of the scenario, also of those that
// were taken out.
func (v view) defined() []int {
	var numbers []int
	for n := range maxGPUs {
		if _, ok := v.values[gpuKey(n, "uuid")]; ok {
			numbers = append(numbers, n)
		}
	}
	return numbers
}

// present gives the numbers of the GPUs that are in the machine.
func (v view) present() []int {
	return slices.DeleteFunc(v.defined(), func(n int) bool { return !v.gpuTrue(n, "present", true) })
}

// loaded reports whether the driver is loaded.
func (v view) loaded() bool {
	return isTrue(v.machine("driver.loaded"), true) && v.machine("driver.version") != ""
}

// migSlot is a MIG device of a GPU.
type migSlot struct {
	slot    int
	profile string
	gi, ci  int
}

const migSlots = 8

// slots gives the MIG devices of a GPU; none while MIG is off.
func (v view) slots(n int) []migSlot {
	var slots []migSlot
	if !v.gpuTrue(n, "mig.mode", false) {
		return nil
	}
	for i := range migSlots {
		prefix := fmt.Sprintf("mig.%d.", i)
		profile := v.gpu(n, prefix+"profile")
		if profile == "" {
			continue
		}
		s := migSlot{slot: i, profile: profile, gi: i + 1}
		if gi, err := strconv.Atoi(v.gpu(n, prefix+"gi")); err == nil {
			s.gi = gi
		}
		if ci, err := strconv.Atoi(v.gpu(n, prefix+"ci")); err == nil {
			s.ci = ci
		}
		slots = append(slots, s)
	}
	return slots
}

func gpuKey(n int, key string) string { return "gpu." + strconv.Itoa(n) + "." + key }

// number reads an integer of a GPU in any base ("0x2330").
func (v view) number(n int, key string, otherwise int64) int64 {
	text, _, _ := strings.Cut(v.gpu(n, key), " ")
	if value, err := strconv.ParseInt(text, 0, 64); err == nil {
		return value
	}
	return otherwise
}
