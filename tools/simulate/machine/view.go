package machine

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/nomad-devices/nomad-devices/tools/simulate/scenario"
)

// MaxCards is how many cards a machine can have: their numbers are 0 to 511.
const MaxCards = 512

// View reads the values of a scenario. A value "unsupported" is as good as
// none, and hides the one that all cards have. A View does not follow later
// changes.
type View struct {
	vendor *Vendor
	values map[string]string
}

// Of reads another scenario of the same vendor, or the same one after a change.
func (v View) Of(f *scenario.File) View { return v.vendor.View(f) }

// Machine gives a value of the whole machine; empty if it has none.
func (v View) Machine(key string) string { return supported(v.values[key]) }

// Card gives a value of a card: its own ("gpu.3.name"), that of its kind
// ("kind.mi210.name" where gpu.3.kind is mi210), or that of all cards
// ("gpu.*.name"); empty if there is none of them.
func (v View) Card(n int, key string) string {
	value, ok := v.values[v.Key(n, key)]
	if kind := v.values[v.Key(n, "kind")]; !ok && kind != "" {
		value, ok = v.values["kind."+kind+"."+key]
	}
	if !ok {
		value = v.values[v.vendor.Prefix+".*."+key]
	}
	return supported(value)
}

func supported(value string) string {
	if value == "unsupported" {
		return ""
	}
	return value
}

// Key names a value of a card in the scenario: "gpu.3.temperature".
func (v View) Key(n int, key string) string { return v.vendor.key(n, key) }

func (vendor *Vendor) key(n int, key string) string {
	return vendor.Prefix + "." + strconv.Itoa(n) + "." + key
}

// Number gives an integer of a card, in any base ("0x2330"), without a unit that
// follows it; otherwise if there is none.
func (v View) Number(n int, key string, otherwise int64) int64 {
	text, _, _ := strings.Cut(v.Card(n, key), " ")
	if value, err := strconv.ParseInt(text, 0, 64); err == nil {
		return value
	}
	return otherwise
}

// Scaled gives a value of a card times a factor, as an integer. What is no number
// comes as it is: that is how a scenario puts nonsense into a file.
func (v View) Scaled(n int, key string, factor float64) string {
	text := v.Card(n, key)
	if value, err := strconv.ParseFloat(text, 64); err == nil {
		return strconv.FormatFloat(value*factor, 'f', 0, 64)
	}
	return text
}

// Bytes gives an amount of memory of a card: a number of bytes, or one with the
// unit KiB, MiB or GiB. It is false if there is none.
func (v View) Bytes(n int, key string) (int64, bool) { return Bytes(v.Card(n, key)) }

// Bytes reads an amount of memory: a number of bytes, or one with the unit KiB,
// MiB or GiB. It is false for anything else.
func Bytes(text string) (int64, bool) {
	number, unit, _ := strings.Cut(text, " ")
	n, err := strconv.ParseInt(number, 0, 64)
	shift, known := map[string]int{"": 0, "KiB": 10, "MiB": 20, "GiB": 30}[unit]
	if err != nil || !known || n > math.MaxInt64>>shift {
		return 0, false
	}
	return n << shift, true
}

// True gives a truth of a card; otherwise if there is none.
func (v View) True(n int, key string, otherwise bool) bool { return True(v.Card(n, key), otherwise) }

// True reads a truth: true, false or a number.
func True(text string, otherwise bool) bool {
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

// Defined gives the numbers of the cards of the scenario in their order, also of
// those that were taken out.
func (v View) Defined() []int {
	var numbers []int
	for key := range v.values {
		text, ok := strings.CutPrefix(key, v.vendor.Prefix+".")
		if !ok {
			continue
		}
		text, ok = strings.CutSuffix(text, "."+v.vendor.Identity)
		n, err := strconv.Atoi(text)
		if ok && err == nil && n >= 0 && n < MaxCards && key == v.Key(n, v.vendor.Identity) {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers
}

// Present gives the numbers of the cards that are in the machine.
func (v View) Present() []int {
	return slices.DeleteFunc(v.Defined(), func(n int) bool { return !v.True(n, presentKey, true) })
}

// Loaded reports whether the driver is loaded.
func (v View) Loaded() bool { return True(v.Machine(loadedKey), true) }
