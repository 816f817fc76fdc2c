package familytest

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/core/sysfs/sysfstest"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/family"
)

// Torture breaks each file that is looked at in a tree, one after the other and
// in several ways, and fails the test unless
//
//   - devices of other cards show what they showed before,
//   - nothing is invented: no device of a card that was not there, and no value
//     but those of the sound tree and the Allowed ones,
//   - a device that was known before keeps its ID and its group.
//
// A panic fails the test by itself.
type Torture struct {
	// Tree is the tree, as a text. It should be small: each of its files is broken
	// in each way, and the whole looked at twice.
	Tree string
	// Families returns the families to look through.
	Families func() []family.Family
	// Allowed are values that may take the place of others, by the name of the
	// attribute or reading: what a second source says.
	Allowed map[string][]core.Value
	// Shared are the names of readings that a card has by the other cards, such
	// as a number in a row. They may be missing while another card is broken.
	Shared []string
}

// Excerpt returns the lines of a tree's file that hold one of the parts.
func Excerpt(tb testing.TB, file string, parts ...string) string {
	tb.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		tb.Fatal(err)
	}
	var b strings.Builder
	for l := range strings.Lines(string(text)) {
		if slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(l, part) }) {
			b.WriteString(l)
		}
	}
	return b.String()
}

// broken is a way for a file to be broken: reading it fails, or brings garbage.
type broken struct {
	name    string
	errno   error
	content []byte
}

var ways = []broken{
	{name: "missing", errno: syscall.ENOENT},
	{name: "unreadable", errno: syscall.EIO},
	{name: "unsupported", errno: syscall.EINVAL},
	{name: "empty", content: []byte{}},
	{name: "garbage", content: []byte("\xff\xfe\x00garbage\x01")},
	{name: "long", content: bytes.Repeat([]byte("x"), 4096)},
	{name: "huge", content: bytes.Repeat([]byte("9\n"), sysfs.MaxFile)},
}

// Run runs the test.
func (x Torture) Run(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("each file is broken in seven ways, which takes a while")
	}
	t.Parallel()
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			x.run(t, way)
		})
	}
}

func (x Torture) run(t *testing.T, way broken) {
	t.Helper()
	hook := &accesses{seen: map[string]bool{}}
	host := sysfs.New(sysfstest.UnpackText(t, x.Tree), sysfs.WithHook(hook.access))
	memory, cards := family.NewMemory(), map[string]bool{}
	sound := x.texts(t, host, memory, cards)
	hook.mu.Lock()
	paths := slices.Sorted(maps.Keys(hook.seen))
	hook.mu.Unlock()
	if len(paths) < len(sound) {
		t.Fatalf("%d files are looked at for %d devices", len(paths), len(sound))
	}
	for _, path := range paths {
		restore, ok := way.apply(t, host, hook, path)
		if !ok {
			continue
		}
		at := fmt.Sprintf("%s is %s", path, way.name)
		x.compare(t, at, sound, x.texts(t, host, family.NewMemory(), nil), path, cards, false)
		x.compare(t, at+", and was read before", sound, x.texts(t, host, memory, nil), path, cards, true)
		restore()
	}
}

// apply breaks a file, and returns how to mend it.
func (b broken) apply(t *testing.T, host *sysfs.FS, hook *accesses, path string) (restore func(), ok bool) {
	t.Helper()
	if b.errno != nil {
		hook.set(path, b.errno)
		return func() { hook.set("", nil) }, true
	}
	at, err := host.Resolve(path)
	if err != nil {
		return nil, false
	}
	info, err := host.Lstat(at)
	if err != nil || !info.Mode().IsRegular() {
		return nil, false
	}
	was, err := os.ReadFile(host.Full(at))
	if err != nil {
		t.Fatal(err)
	}
	write := func(content []byte) {
		if err := os.WriteFile(host.Full(at), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(b.content)
	return func() { write(was) }, true
}

// texts returns what is known of each device, and marks the cards that there are.
func (x Torture) texts(t *testing.T, host *sysfs.FS, memory *family.Memory, cards map[string]bool) map[string]string {
	t.Helper()
	look := Scan(t, host, memory, x.Families()...)
	texts := map[string]string{}
	for _, d := range look.Devices {
		texts[d.ID] = Text(d)
	}
	if cards != nil {
		for _, of := range slices.Concat(look.IDs(), look.Claims) {
			cards[card(of)] = true
		}
	}
	return texts
}

func (x Torture) compare(t *testing.T, at string, want, got map[string]string, path string, cards map[string]bool, known bool) {
	t.Helper()
	owner := card(path)
	for id, text := range want {
		switch now, there := got[id]; {
		case owner != "" && owner != card(id) && x.unshared(now) != x.unshared(text):
			t.Errorf("%s: the device %s of another card changes:\n%s", at, id, now)
		case !there:
		case known && line(now, "  group ") != line(text, "  group ") && !strings.HasSuffix(line(text, "  group "), "-unknown"):
			t.Errorf("%s: the device %s moves to %s", at, id, line(now, "  group "))
		default:
			x.invented(t, at, text, now)
		}
	}
	for id := range got {
		if !cards[card(id)] {
			t.Errorf("%s: there is a device %s", at, id)
		}
	}
}

// unshared returns a text without the Shared readings.
func (x Torture) unshared(text string) string {
	var b strings.Builder
	for l := range strings.Lines(text) {
		if !slices.ContainsFunc(x.Shared, func(name string) bool { return strings.HasPrefix(l, "  reading "+name+" ") }) {
			b.WriteString(l)
		}
	}
	return b.String()
}

// invented fails the test if a text has an attribute, a reading or a node that the
// sound text has not.
func (x Torture) invented(t *testing.T, at, sound, now string) {
	t.Helper()
	for l := range strings.Lines(now) {
		l = strings.TrimSuffix(l, "\n")
		fact, value, ok := strings.Cut(l, " = ")
		fields := strings.Fields(fact)
		if !ok && (len(fields) == 0 || fields[0] != "node") || value == "unknown" || strings.Contains(sound, l+"\n") {
			continue
		}
		number, _, _ := strings.Cut(value, " ")
		if !slices.ContainsFunc(x.Allowed[fields[1]], func(v core.Value) bool { return v.String() == value || v.String() == number }) {
			t.Errorf("%s: it shows %q", at, strings.TrimSpace(l))
		}
	}
}

// line returns the line of a text with a beginning.
func line(text, beginning string) string {
	for l := range strings.Lines(text) {
		if strings.HasPrefix(l, beginning) {
			return strings.TrimSpace(l)
		}
	}
	return ""
}

// card returns the card that an ID, a claim or a path belongs to: what the
// functions of a PCI slot share, or "".
func card(of string) string {
	if !strings.HasPrefix(of, "/") {
		if prefix, place, _ := strings.Cut(of, ":"); !hexadecimal(prefix) {
			of = place
		}
		of = "/" + of
	}
	address, _, _ := family.Function(of)
	slot, _, _ := strings.Cut(string(address), ".")
	return slot
}

func hexadecimal(text string) bool { return strings.Trim(text, "0123456789abcdef") == "" }

// accesses records what is looked at, and lets one path fail.
type accesses struct {
	mu   sync.Mutex
	seen map[string]bool
	path string
	err  error
}

func (a *accesses) access(_, path string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.seen[path] = true
	if path == a.path {
		return a.err
	}
	return nil
}

func (a *accesses) set(path string, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.path, a.err = path, err
}
