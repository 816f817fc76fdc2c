package amd

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/config"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/core/sysfs/sysfstest"
)

// broken is a way for a file to be broken: accesses fail, or it holds something else.
type broken struct {
	name    string
	errno   error
	content []byte
	size    int64 // of a file without end
	// also says what it is much like: it is tried on one machine, and later only.
	also string
}

var ways = []broken{
	{name: "absent", errno: syscall.ENOENT},
	{name: "gone", errno: syscall.ENODEV, also: "absent"},
	{name: "EIO", errno: syscall.EIO},
	{name: "EPERM", errno: syscall.EPERM, also: "EIO"},
	{name: "EBUSY", errno: syscall.EBUSY, also: "EIO"},
	{name: "EAGAIN", errno: syscall.EAGAIN, also: "EIO"},
	{name: "EINVAL", errno: syscall.EINVAL},
	{name: "empty", content: []byte{}, also: "garbage"},
	{name: "garbage", content: []byte("\xff\xfe\x00garbage\x01\n:\n")},
	{name: "all ones", content: []byte("18446744073709551615\n")},
	{name: "long", content: bytes.Repeat([]byte("x"), 4096), also: "garbage"},
	{name: "huge", size: 1 << 40, also: "long"},
}

// TestFaultsOfFiles breaks each file that is looked at, in each way, at first sight
// and later. Whatever happens, the other GPU shows what it showed, nothing is told
// that was not told of the sound machine, and a device that was known keeps its ID
// and its group, or bears a fault.
func TestFaultsOfFiles(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it takes some ten seconds")
	}
	other := server
	other.address, other.uid = otherAddress, 0x2222222222222222
	for name, g := range map[string]gpu{"divided": dpx, "radeon": radeon, "apu": apu} {
		for _, way := range ways {
			if name != "divided" && way.also != "" {
				continue
			}
			t.Run(name+"/"+way.name, func(t *testing.T) {
				t.Parallel()
				newTorture(t, machine(g, other)).run(way)
			})
		}
	}
}

// torture is a machine whose files are broken one after the other.
type torture struct {
	t     *testing.T
	root  string
	mu    sync.Mutex
	seen  map[string]bool
	path  string
	errno error
	sound map[string]string
	// node and minor are the other GPU's.
	node, minor int
}

// The other GPU is the one that must not suffer.
const (
	otherAddress = "0000:c2:00.0"
	otherID      = "GPU-2222222222222222"
)

func newTorture(t *testing.T, tsv string) *torture {
	t.Helper()
	return &torture{t: t, root: sysfstest.UnpackText(t, tsv), seen: map[string]bool{}}
}

// bench returns a new vendor on the machine.
func (x *torture) bench() *bench {
	host := sysfs.New(x.root, sysfs.WithHook(func(_, path string) error {
		x.mu.Lock()
		defer x.mu.Unlock()
		x.seen[path] = true
		if path == x.path {
			return x.errno
		}
		return nil
	}))
	x.t.Cleanup(func() { _ = host.Close() })
	return &bench{Vendor: newVendor(config.Defaults[Config](), hclog.NewNullLogger(), host), t: x.t, root: x.root, faults: new(sysfstest.Faults)}
}

func (x *torture) run(way broken) {
	known := x.bench()
	x.sound = known.texts(known.good())
	s := known.good()
	x.sound = known.texts(s) // and what is told with the second reading
	x.node, x.minor = s.devices[otherID].Ref.(*ref).node.Number, s.devices[otherID].Ref.(*ref).node.RenderMinor
	paths := slices.Sorted(maps.Keys(x.seen))
	if len(paths) < 60 {
		x.t.Fatalf("only %d files are looked at", len(paths))
	}
	broke := 0
	for _, path := range paths {
		if strings.Contains(path, otherAddress) {
			continue // what it has, the first one has, too
		}
		restore, ok := x.apply(way, path)
		if !ok {
			continue
		}
		broke++
		if way.also == "" {
			x.compare(x.bench(), way, path, false)
		}
		x.compare(known, way, path, true)
		restore()
	}
	known.scan()
	for id, text := range known.texts(known.scan()) {
		for l := range strings.Lines(text) {
			if !told(x.sound[id], l) {
				x.t.Errorf("all is mended: %s shows %s", id, l)
			}
		}
	}
	if broke < 25 {
		x.t.Errorf("only %d files were broken", broke)
	}
}

// apply breaks a file, and returns how to mend it.
func (x *torture) apply(way broken, path string) (restore func(), ok bool) {
	if way.errno != nil {
		x.mu.Lock()
		defer x.mu.Unlock()
		x.path, x.errno = path, way.errno
		return func() {
			x.mu.Lock()
			defer x.mu.Unlock()
			x.path = ""
		}, true
	}
	at, err := filepath.EvalSymlinks(filepath.Join(x.root, path))
	if err != nil {
		return nil, false
	}
	info, err := os.Lstat(at)
	if err != nil || !info.Mode().IsRegular() || strings.HasPrefix(path, "/dev/") {
		return nil, false
	}
	was, err := os.ReadFile(at)
	if err != nil {
		x.t.Fatal(err)
	}
	write := func(content []byte) {
		if err := os.WriteFile(at, content, 0o644); err != nil {
			x.t.Fatal(err)
		}
	}
	if way.size > 0 {
		if err := os.Truncate(at, way.size); err != nil {
			return nil, false
		}
	} else {
		write(way.content)
	}
	return func() { write(was) }, true
}

// compare looks at the machine, and compares it with the sound one.
func (x *torture) compare(b *bench, way broken, path string, known bool) {
	x.t.Helper()
	at := fmt.Sprintf("%s is %s, known %v", path, way.name, known)
	s := b.scan()
	now := b.texts(s)
	if x.foreign(path) && now[otherID] != x.sound[otherID] {
		x.t.Errorf("%s: the other GPU changes:\n%s", at, cmp.Diff(x.sound[otherID], now[otherID]))
	}
	for id, text := range now {
		sound, ok := x.sound[id]
		switch {
		case strings.HasSuffix(id, "?"):
			if len(s.devices[id].Faults) == 0 {
				x.t.Errorf("%s: a device without an ID and without a fault", at)
			}
			continue
		case !ok && known:
			x.t.Errorf("%s: there is a device %s", at, id)
			continue
		case !ok: // it could not be known better
			sound = x.card(s.devices[id].PCI)
		}
		for l := range strings.Lines(text) {
			if (ok || strings.HasPrefix(l, "  ")) && !told(sound, l) && !x.allowed(strings.TrimSpace(l), path, way, known) {
				x.t.Errorf("%s: %s shows %q", at, id, l)
			}
		}
	}
	if !known || s.err != nil {
		return
	}
	for id, text := range x.sound {
		address := line(text, "  pci ")
		_, unidentified := s.devices[address+"?"]
		switch absent := sysfs.IsAbsent(way.errno); {
		case now[id] != "":
			x.forgotten(at, way, path, text, now[id])
			if group := line(now[id], "  group "); group != line(text, "  group ") {
				x.t.Errorf("%s: %s moves to %s", at, id, group)
			}
		case unidentified || s.errs[address] != nil:
		case absent && (strings.Contains(path, "/nodes/") || strings.Contains(path, "/sys/bus/pci/devices")):
			// That is how the kernel says that it is not there.
		default:
			x.t.Errorf("%s: %s is not accounted for; errors %v", at, id, s.errs)
		}
	}
}

// forgotten fails the test if an attribute vanishes over something that could not be
// read: it is to be unknown, which keeps what was known.
func (x *torture) forgotten(at string, way broken, path, sound, now string) {
	x.t.Helper()
	switch {
	case way.errno == nil, sysfs.IsAbsent(way.errno), errors.Is(way.errno, syscall.EINVAL): // that is, there is no such thing
		return
	case strings.HasSuffix(path, "_label"): // then a sensor is not known by its name
		return
	}
	for l := range strings.Lines(sound) {
		if name, _, attribute := strings.Cut(l, " = "); attribute && !strings.Contains(now, name+" = ") {
			x.t.Errorf("%s: the attribute%s is forgotten", at, name)
		}
	}
}

// foreign reports whether a file has nothing to do with the other GPU.
func (x *torture) foreign(path string) bool {
	if strings.Contains(path, "/topology/nodes/") {
		return !strings.Contains(path, fmt.Sprintf("/nodes/%d/", x.node))
	}
	for _, of := range []string{"/topology", "/kfd/proc", "/sys/module", "/proc/sys", "/dev/kfd", otherAddress, fmt.Sprintf("renderD%d", x.minor)} {
		if strings.Contains(path, of) {
			return false
		}
	}
	return path != "/sys/bus/pci/devices"
}

// card returns all that is told of the devices of a card.
func (x *torture) card(address core.PCIAddress) string {
	var all strings.Builder
	for _, text := range x.sound {
		if line(text, "  pci ") == string(address) {
			all.WriteString(text)
		}
	}
	return all.String()
}

// told reports whether a line is among those of a text, its limit aside.
func told(text, l string) bool {
	if strings.Contains(text, l) {
		return true
	}
	name, value, ok := strings.Cut(strings.TrimSpace(l), ": ")
	if !ok {
		return false
	}
	number, _, _ := strings.Cut(value, " ")
	return strings.Contains(text, "  "+name+": "+number+" / ")
}

// allowed are lines that may be there: what is not known, what is wrong, what a second
// source says, and what absence means.
func (x *torture) allowed(l, path string, way broken, known bool) bool {
	absent := sysfs.IsAbsent(way.errno)
	base := filepath.Base(path)
	switch {
	case strings.HasSuffix(l, "= unknown"), strings.HasPrefix(l, "fault "), strings.HasPrefix(l, "no grant: "), strings.HasPrefix(l, "stats: "):
		return true
	case base == "umc_err_count" && absent:
		return l == "ecc = false"
	case strings.HasSuffix(base, "_label"): // then a sensor is not known by its name
		return l == "apu = false" || strings.HasPrefix(l, "Temperature: 41 ")
	case base == "revision" && absent:
		return l == "pci_revision = 0x00" || !known && strings.Contains(l, " rev 00")
	case strings.HasSuffix(base, "_partition") && !known:
		return strings.HasPrefix(l, "group ")
	case strings.Contains(path, "/nodes/"): // one partition of two: its unique ID is no longer shared
		return absent && l == "partitions = 1" || strings.HasPrefix(l, "list ")
	case path == "/sys/bus/pci/devices" && absent && !known:
		return strings.Contains(l, " rev 00")
	case strings.HasPrefix(l, "env ") || strings.HasPrefix(l, "list "):
		return !known // by another ID
	default:
		return false
	}
}

// line returns what follows a beginning in a text.
func line(text, beginning string) string {
	for l := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(l, beginning); ok {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}
