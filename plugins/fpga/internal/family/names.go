package family

import (
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/nomad-devices/nomad-devices/core"
)

// Slug returns a text in lower case with one dash for each run of characters
// outside [a-z0-9._-].
func Slug(text string) string {
	var b strings.Builder
	dash := false
	for _, r := range strings.ToLower(strings.TrimSpace(text)) {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '.' || r == '_' || r == '-' {
			b.WriteRune(r)
			dash = false
		} else if !dash {
			b.WriteByte('-')
			dash = true
		}
	}
	return strings.Trim(b.String(), "-")
}

// Number returns the number in a name that is a prefix, a number and a suffix, as
// the kernel counts.
func Number(name, prefix, suffix string) (n int, ok bool) {
	rest, ok := strings.CutPrefix(name, prefix)
	digits, ok2 := strings.CutSuffix(rest, suffix)
	n, err := strconv.Atoi(digits)
	return n, ok && ok2 && err == nil && digits == strconv.Itoa(n) && n >= 0
}

// Numbered returns the numbers in those of the names that have one, sorted.
func Numbered(names []string, prefix, suffix string) []int {
	var numbers []int
	for _, name := range names {
		if n, ok := Number(name, prefix, suffix); ok {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers
}

// GroupKey is what makes devices alike: a job author would ask for it.
type GroupKey struct {
	// Vendor is the maker of the silicon.
	Vendor string
	// Model is the board, or board and shell, in the maker's words.
	Model string
	// IDs tell versions of the model apart: the shell or the interface, then
	// the accelerator function. Those that name a device pass through [Keep].
	IDs []ID
}

// ID is one part of a [GroupKey]: hexadecimal digits, or "none", or "unknown".
type ID string

// IDOf returns the ID of a UUID.
func IDOf(f Fact[UUID]) ID {
	switch f.State {
	case Known:
		return ID(hex.EncodeToString(f.Value[:]))
	case None:
		return "none"
	default:
		return "unknown"
	}
}

func (id ID) short() string { return string(id[:min(len(id), 8)]) }

func (k GroupKey) name(part func(ID) string) string {
	var name strings.Builder
	name.WriteString(Slug(k.Model))
	for _, id := range k.IDs {
		name.WriteString("-" + part(id))
	}
	return name.String()
}

// Memory is what is kept from one scan to the next, for all families and as long
// as the plugin's configuration stands. It is safe for concurrent use.
type Memory struct {
	mu     sync.Mutex
	facts  map[string]any                 // see [Keep]
	groups map[core.Group]map[string]bool // the full keys that a short name stands for
}

// NewMemory returns an empty memory.
func NewMemory() *Memory {
	return &Memory{facts: map[string]any{}, groups: map[core.Group]map[string]bool{}}
}

// Group returns the group of a key: the model's slug, and the first eight digits
// of each ID. As soon as two keys would have one name, both have it with all
// digits.
func (m *Memory) Group(key GroupKey) core.Group {
	m.mu.Lock()
	defer m.mu.Unlock()
	group := core.Group{Vendor: key.Vendor, Type: DeviceType, Name: key.name(ID.short)}
	full := key.name(func(id ID) string { return string(id) })
	if m.groups[group] == nil {
		m.groups[group] = map[string]bool{}
	}
	keys := m.groups[group]
	if keys[full] = true; len(keys) > 1 {
		group.Name = full
	}
	return group
}

// Keep returns the fact, or the value known last under the key if the fact has
// none this time. Whatever a device's ID or group is made of goes through it: a
// failed read must not move a device, and only another value that was read does.
// The key names the device and the fact, such as "0000:65:00.1 shell".
func Keep[T any](m *Memory, key string, f Fact[T]) Fact[T] {
	m.mu.Lock()
	defer m.mu.Unlock()
	if f.Known() {
		m.facts[key] = f.Value
		return f
	}
	if v, ok := m.facts[key].(T); ok {
		return Is(v)
	}
	return f
}

// KeepID is [Keep] for a part of a group's name that some devices do not have. To
// have none is less than to have one, so that a device which had one keeps it;
// likely is what a device of which nothing was known before is called meanwhile.
func KeepID(m *Memory, key string, f, likely Fact[ID]) ID {
	if f.State == None {
		if kept := Keep(m, key, Fact[ID]{}); kept.Known() {
			return kept.Value
		}
		return Keep(m, key, Is[ID]("none")).Value
	}
	if f = Keep(m, key, f); f.Known() {
		return f.Value
	}
	switch likely.State {
	case Known:
		return likely.Value
	case None:
		return "none"
	default:
		return "unknown"
	}
}

// Variable returns the name of the environment variable that tells a task of a
// device, by the device's ID: FPGA_XRT_0000_65_00_1.
func Variable(id string) string {
	return "FPGA_" + strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		default:
			return '_'
		}
	}, id)
}
