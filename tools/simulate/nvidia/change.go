package nvidia

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nomad-devices/nomad-devices/tools/simulate/machine"
	"github.com/nomad-devices/nomad-devices/tools/simulate/scenario"
)

// AllGPUs stands for every GPU, and for calls that belong to none, where a
// method wants the number of a GPU.
const AllGPUs = -1

// EveryFunction stands for all functions of the driver but those that start and
// end the library.
const EveryFunction = "*"

// keptEvents is how many events stay in the scenario. A program that waits for
// them sees each within milliseconds.
const keptEvents = 64

// GPU is a GPU of the scenario.
type GPU struct {
	Number  int // in the scenario
	UUID    string
	Name    string
	BusID   string // as in sysfs
	Minor   int    // of /dev/nvidiaN
	Present bool
	MIG     []MIGDevice
}

// MIGDevice is a MIG device of a GPU.
type MIGDevice struct {
	UUID    string // empty: the driver makes one up
	Profile string
	GI, CI  int
}

// GPUs gives the GPUs of the scenario, also those that were taken out.
func (m *Machine) GPUs() ([]GPU, error) {
	f, err := m.Scenario()
	if err != nil {
		return nil, err
	}
	v := newView(f)
	var all []GPU
	for _, card := range v.Cards() {
		n := card.Number
		g := GPU{
			Number: n, UUID: v.Card(n, "uuid"), Name: card.Name, BusID: card.Address,
			Minor: int(v.Number(n, "minor_number", int64(n))), Present: card.Present,
		}
		for _, s := range v.slots(n) {
			g.MIG = append(g.MIG, MIGDevice{UUID: v.migUUID(n, s), Profile: s.profile, GI: s.gi, CI: s.ci})
		}
		all = append(all, g)
	}
	return all, nil
}

// describe says what a GPU is, in the words of all vendors. A GPU that is cut up
// is offered as its MIG devices.
func describe(plain machine.View, n int, card *machine.Card) {
	v := view{plain}
	card.Name, card.Address = v.Card(n, "name"), v.Card(n, "pci.bus_id")
	uuid := v.Card(n, "uuid")
	card.Aliases = []string{uuid}
	for _, s := range v.slots(n) {
		if id := v.migUUID(n, s); id != "" { // else the driver makes one up
			card.Devices = append(card.Devices, id)
		}
	}
	if len(card.Devices) == 0 {
		card.Devices = []string{uuid}
	}
}

func (v view) migUUID(n int, s migSlot) string { return v.Card(n, fmt.Sprintf("mig.%d.uuid", s.slot)) }

// edit changes the scenario with what is known of it.
func (m *Machine) edit(change func(f *scenario.File, v view) error) error {
	return m.Edit(func(f *scenario.File) error { return change(f, newView(f)) })
}

// editGPU changes the scenario for one GPU, which must exist.
func (m *Machine) editGPU(n int, change func(f *scenario.File, v view) error) error {
	return m.EditCard(n, func(f *scenario.File, v machine.View) error { return change(f, view{v}) })
}

// XID reports an XID of a GPU to all who wait for events.
func (m *Machine) XID(gpu, xid int) error { return m.Event(gpu, "xid "+strconv.Itoa(xid)) }

// Event reports an event of a GPU: what a scenario has after "gpu.N " in an
// event line, like "ecc-double" or "xid 43 gi=2 ci=0".
func (m *Machine) Event(gpu int, event string) error {
	return m.editGPU(gpu, func(f *scenario.File, _ view) error { return addEvent(f, gpu, event) })
}

func addEvent(f *scenario.File, gpu int, event string) error {
	var sequences []uint64
	for key := range f.All() {
		if text, ok := strings.CutPrefix(key, "event."); ok {
			if n, err := strconv.ParseUint(text, 10, 64); err == nil {
				sequences = append(sequences, n)
			}
		}
	}
	slices.Sort(sequences)
	next := uint64(1)
	if len(sequences) > 0 {
		next = sequences[len(sequences)-1] + 1
	}
	for len(sequences) >= keptEvents {
		f.Unset("event." + strconv.FormatUint(sequences[0], 10))
		sequences = sequences[1:]
	}
	return f.Set("event."+strconv.FormatUint(next, 10), fmt.Sprintf("gpu.%d %s", gpu, event))
}

// Lose makes a GPU fall off the bus: all calls for it say so. The kernel still
// shows it.
func (m *Machine) Lose(gpu int) error { return m.SetCard(gpu, "lost", "true") }

// Return brings a lost GPU back.
func (m *Machine) Return(gpu int) error { return m.SetCard(gpu, "lost", "false") }

// Hang makes calls of a function for a GPU not return until Release.
func (m *Machine) Hang(gpu int, function string) error {
	return m.setRule(gpu, function, "hang", "true")
}

// Release lets the calls return that Hang holds.
func (m *Machine) Release(gpu int, function string) error {
	return m.setRule(gpu, function, "hang", "")
}

// Fail makes calls of a function for a GPU return an NVML code; 0 ends that.
func (m *Machine) Fail(gpu int, function string, code int) error {
	if code == 0 {
		return m.setRule(gpu, function, "return", "")
	}
	return m.setRule(gpu, function, "return", strconv.Itoa(code))
}

// FailTimes makes the next calls, as many as times says, return an NVML code.
// Each process has its own count.
func (m *Machine) FailTimes(gpu int, function string, code, times int) error {
	return m.setRule(gpu, function, "return", fmt.Sprintf("%d x%d", code, times))
}

// Latency makes every call take a time; 0 ends that.
func (m *Machine) Latency(d time.Duration) error {
	if d <= 0 {
		return m.setRule(AllGPUs, EveryFunction, "latency_us", "")
	}
	return m.setRule(AllGPUs, EveryFunction, "latency_us", strconv.FormatInt(d.Microseconds(), 10))
}

func (m *Machine) setRule(gpu int, function, what, value string) error {
	if err := checkFunction(function); err != nil {
		return err
	}
	key := "call." + function + "." + what
	change := func(f *scenario.File, v view) error {
		if gpu >= 0 {
			key = v.Key(gpu, key)
		}
		if value == "" {
			f.Unset(key)
			return nil
		}
		return f.Set(key, value)
	}
	if gpu < 0 {
		return m.edit(change)
	}
	return m.editGPU(gpu, change)
}

func checkFunction(name string) error {
	if name == EveryFunction {
		return nil
	}
	all, err := exports(newestAPI, nil)
	if err != nil {
		return err
	}
	if !slices.Contains(all, name) {
		return fmt.Errorf("the simulated driver has no function %q: name one by its C name, like nvmlDeviceGetTemperature, or *", name)
	}
	return nil
}

// Upgrade puts another driver version in. Programs that have the library loaded
// get errors from every call until they start anew, as on a real machine.
func (m *Machine) Upgrade(version string) error {
	return m.edit(func(f *scenario.File, v view) error {
		old := v.Machine("driver.version")
		values := maps.Collect(f.All())
		for key, value := range values {
			if strings.HasPrefix(key, "gpu.") && strings.HasSuffix(key, ".gsp.version") && value == old {
				if err := f.Set(key, version); err != nil {
					return err
				}
			}
		}
		return f.Set("driver.version", version)
	})
}
