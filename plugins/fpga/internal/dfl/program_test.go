package dfl

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/core/sysfs/sysfstest"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/family"
)

const (
	oldAFU    = "11112222-3333-4444-5555-666677778888"
	newAFU    = "aaaabbbb-cccc-dddd-eeee-ffff00001111"
	theFace   = "0c1d2e3f-4a5b-6c7d-8e9f-a0b1c2d3e4f5"
	thePort   = "dfl:0000:3b:00.0/port0"
	portDir   = "/sys/devices/pci0000:3a/0000:3a:00.0/0000:3b:00.0/fpga_region/region0/dfl-port.0"
	regionDir = "/sys/devices/pci0000:3a/0000:3a:00.0/0000:3b:00.0/fpga_region/region0/dfl-fme.0/dfl-fme-region.7/fpga_region/region7"
)

// driver is a card that takes images.
type driver struct {
	root string
	held struct {
		err    error
		opened []string
		closed int
	}
	err    error  // of program
	shows  string // what the port shows after it was programmed
	images []string
	during func()
}

type driverHardware struct{ *driver }

func (d driverHardware) hold(port string) (io.Closer, error) {
	d.held.opened = append(d.held.opened, strings.TrimPrefix(port, d.root))
	return heldPort(d), d.held.err
}

type heldPort struct{ *driver }

func (p heldPort) Close() error { p.held.closed++; return nil }

func (d driverHardware) program(engine string, port uint32, image []byte) error {
	d.images = append(d.images, fmt.Sprintf("%s port %d: %s", strings.TrimPrefix(engine, d.root), port, image))
	if d.during != nil {
		d.during()
	}
	if d.err != nil {
		return d.err
	}
	return os.WriteFile(filepath.Join(d.root, portDir, "afu_id"), []byte(d.shows+"\n"), 0o644)
}

// bench is a machine with a card that is to be programmed.
type bench struct {
	driver
	t      *testing.T
	file   string
	faults sysfstest.Faults
	host   *sysfs.FS
	memory *family.Memory
	family *Family
}

func gbs(iface, afu, payload string) []byte {
	metadata := `{"afu-image":{"interface-uuid":"` + iface + `","accelerator-clusters":[{"name":"x","accelerator-type-uuid":"` + afu + `"}]}}`
	file := []byte("XeonFPGA\xb7GBSv001")
	file = binary.LittleEndian.AppendUint32(file, uint32(len(metadata)))
	return append(append(file, metadata...), payload...)
}

// newBench makes a bench whose image file holds content, and whose configuration
// wants it.
func newBench(t *testing.T, content []byte) *bench {
	t.Helper()
	b := &bench{t: t, memory: family.NewMemory()}
	b.root = sysfstest.Unpack(t, "testdata/cards.tsv")
	b.shows = newAFU
	b.file = filepath.Join(b.root, "opt/images/new.gbs")
	b.write(content)
	b.host = sysfs.New(b.root, b.faults.Option())
	b.family = New(Config{
		Mode: modePort, BitstreamDir: "/opt/images", ProgramTimeout: 2 * time.Second,
		Programs: []Program{{
			Interface: theFace, AFU: newAFU, Bitstream: "new.gbs", SHA256: fmt.Sprintf("%X", sha256.Sum256(content)),
		}},
	})
	b.family.program.hardware = driverHardware{&b.driver}
	b.family.program.owner = uint32(os.Getuid())
	return b
}

func (b *bench) write(content []byte) {
	b.t.Helper()
	if err := os.MkdirAll(filepath.Dir(b.file), 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(b.file, content, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// scan reads the device anew.
func (b *bench) scan() core.Device {
	b.t.Helper()
	scan := family.NewScan(b.host, b.memory)
	found, err := b.family.Discover(b.t.Context(), scan)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, card := range found.Cards {
		devices, err := card.Read(b.t.Context())
		if err != nil {
			b.t.Fatal(err)
		}
		for _, d := range devices {
			if d.ID == thePort {
				return d
			}
		}
	}
	b.t.Fatal("the device is gone")
	return core.Device{}
}

func (b *bench) prepare(d core.Device) error {
	p := d.Ref.(family.Preparer)
	ctx, cancel := context.WithTimeout(b.t.Context(), p.Preparation())
	defer cancel()
	return p.Prepare(ctx)
}

func codes(d core.Device) string {
	var all []string
	for _, f := range d.Faults {
		all = append(all, f.Code)
	}
	return strings.Join(all, ",")
}

func TestProgram(t *testing.T) {
	t.Parallel()
	b := newBench(t, gbs(theFace, newAFU, "payload"))
	d := b.scan()
	const group = "intel/fpga/n6001-0c1d2e3f-aaaabbbb"
	if d.Group.String() != group || d.Attributes["afu_uuid"] != core.String(newAFU) {
		t.Errorf("before it is programmed the port is offered as %s, %v", d.Group, d.Attributes["afu_uuid"])
	}
	b.during = func() { // the port is busy meanwhile, and that is no fault
		b.faults.Set(portDir+"/afu_id", syscall.EBUSY)
		time.AfterFunc(200*time.Millisecond, func() { b.faults.Set(portDir+"/afu_id", nil) })
		if now := b.scan(); codes(now) != "" || now.Group.String() != group {
			t.Errorf("while it is programmed: %s, faults %s", now.Group, codes(now))
		}
	}
	if err := b.prepare(d); err != nil {
		t.Fatal(err)
	}
	if want := "/dev/dfl-fme.0 port 0: payload"; len(b.images) != 1 || b.images[0] != want {
		t.Errorf("programmed %q, want %q", b.images, want)
	}
	if h := b.held; len(h.opened) != 1 || h.opened[0] != "/dev/dfl-port.0" || h.closed != 1 {
		t.Errorf("the port was held as %q and let go %d times", h.opened, h.closed)
	}
	d = b.scan()
	if codes(d) != "" || d.Group.String() != group {
		t.Errorf("after it was programmed: %s, faults %s", d.Group, codes(d))
	}
	if err := b.prepare(d); err != nil || len(b.images) != 1 {
		t.Errorf("prepared again: %v, programmed %q; want nothing to do", err, b.images)
	}
}

// Only a port of the physical function, of a card with the configured interface,
// is programmed, and nothing where nothing is configured.
func TestProgramOnlyWhatIsConfigured(t *testing.T) {
	t.Parallel()
	b := newBench(t, gbs(theFace, newAFU, "payload"))
	unconfigured := New(Config{Mode: modePort})
	for _, f := range []*Family{b.family, unconfigured} {
		scan := family.NewScan(b.host, family.NewMemory())
		found, err := f.Discover(t.Context(), scan)
		if err != nil {
			t.Fatal(err)
		}
		for _, card := range found.Cards {
			devices, err := card.Read(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range devices {
				want := f == b.family && d.ID == thePort
				if got := d.Ref.(family.Preparer).Preparation() > 0; got != want {
					t.Errorf("%s is prepared: %v, want %v", d.ID, got, want)
				}
			}
		}
	}
	if legacy := NewOPAE(b.family.cfg); len(legacy.program.images) != 0 {
		t.Error("cards of the older driver are programmed")
	}
}

func TestProgramRefuses(t *testing.T) {
	t.Parallel()
	good := gbs(theFace, newAFU, "payload")
	for name, test := range map[string]struct {
		content []byte
		breakIt func(*bench)
		says    string
		held    bool // the port was held
		loaded  bool // the card was programmed
	}{
		"no interface": {good, func(b *bench) { b.faults.Set(regionDir+"/compat_id", syscall.EIO) }, "interface", false, false},
		"the port went to a virtual function": {good, func(b *bench) {
			b.must(os.Rename(b.root+portDir, b.root+"/sys/devices/pci0000:3a/0000:3a:00.0/0000:3b:00.0/fpga_region/elsewhere"))
		}, "no longer there", false, false},
		"no file":      {good, func(b *bench) { b.must(os.Remove(b.file)) }, "no such file", false, false},
		"no directory": {good, func(b *bench) { b.must(os.RemoveAll(filepath.Dir(b.file))) }, "bitstream_dir", false, false},
		"a link out of it": {good, func(b *bench) {
			b.must(os.Rename(b.file, b.root+"/opt/new.gbs"))
			b.must(os.Symlink("../new.gbs", b.file))
		}, "escapes", false, false},
		"a pipe":             {good, func(b *bench) { b.must(os.Remove(b.file)); b.must(syscall.Mkfifo(b.file, 0o644)) }, "not a regular file", false, false},
		"somebody else's":    {good, func(b *bench) { b.family.program.owner++ }, "does not belong to root", false, false},
		"writable":           {good, func(b *bench) { b.must(os.Chmod(b.file, 0o664)) }, "written by others", false, false},
		"changed":            {good, func(b *bench) { b.write(gbs(theFace, newAFU, "another")) }, "SHA-256", false, false},
		"too large":          {good, func(b *bench) { b.must(os.Truncate(b.file, 300<<20)) }, "larger than", false, false},
		"no image":           {[]byte("#!/bin/sh"), nil, "not a GBS", false, false},
		"another interface":  {gbs(oldAFU, newAFU, "x"), nil, "built for the interface", false, false},
		"another AFU":        {gbs(theFace, oldAFU, "x"), nil, "holds the accelerator function", false, false},
		"in use":             {good, func(b *bench) { b.held.err = syscall.EBUSY }, "in use", true, false},
		"the driver refuses": {good, func(b *bench) { b.err = syscall.EIO }, "input/output error", true, true},
		"it stays as it was": {good, func(b *bench) { b.shows = oldAFU; b.family.program.timeout = 200 * time.Millisecond }, "shows the accelerator function " + oldAFU, true, true},
		"it stays busy": {good, func(b *bench) {
			b.family.program.timeout = 200 * time.Millisecond
			b.during = func() { b.faults.Set(portDir+"/afu_id", syscall.EBUSY) }
		}, "busy", true, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, test.content)
			d := b.scan()
			if test.breakIt != nil {
				test.breakIt(b)
			}
			err := b.prepare(d)
			fault, ok := errors.AsType[*core.Fault](err)
			if !ok || fault.Severity != core.Hard || !strings.Contains(err.Error(), test.says) {
				t.Fatalf("error %v, want a hard fault that says %q", err, test.says)
			}
			if got := len(b.held.opened) > 0; got != test.held {
				t.Errorf("the port was opened: %v", b.held.opened)
			}
			if got := len(b.images) > 0; got != test.loaded {
				t.Errorf("the card was programmed: %v", b.images)
			}
			if test.held && test.loaded && b.held.closed != 1 {
				t.Error("the port was not let go")
			}
		})
	}
}

func (b *bench) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// A failure stays with the device: until the file is another one, if that is to
// blame, and else until the port reads well.
func TestProgramFailureStands(t *testing.T) {
	t.Parallel()
	b := newBench(t, gbs(theFace, newAFU, "payload"))
	d := b.scan()
	b.write([]byte("garbage"))
	if b.prepare(d) == nil {
		t.Fatal("no error")
	}
	for range 2 {
		if d = b.scan(); codes(d) != codeProgram {
			t.Errorf("faults %q, want that of the file", codes(d))
		}
	}
	b.write(gbs(theFace, newAFU, "payload"))
	b.must(os.Chtimes(b.file, time.Time{}, time.Now().Add(time.Hour)))
	if d = b.scan(); codes(d) != "" {
		t.Errorf("faults %q after the file was put right", codes(d))
	}

	b.held.err = syscall.EBUSY
	if b.prepare(d) == nil {
		t.Fatal("no error")
	}
	b.faults.Set(portDir+"/afu_id", syscall.EIO)
	if d = b.scan(); codes(d) != codeProgram+","+codePortUnreadable {
		t.Errorf("faults %q while the port cannot be read", codes(d))
	}
	b.faults.Set(portDir+"/afu_id", nil)
	if d = b.scan(); codes(d) != "" {
		t.Errorf("faults %q after the port was read", codes(d))
	}
}

// Programming that does not end takes the device away, however well it reads.
func TestProgramHangs(t *testing.T) {
	t.Parallel()
	b := newBench(t, gbs(theFace, newAFU, "payload"))
	d := b.scan()
	release, done := make(chan struct{}), make(chan error)
	entered := make(chan struct{})
	b.during = func() { close(entered); <-release }
	go func() { done <- b.prepare(d) }()
	<-entered
	if d = b.scan(); codes(d) != "" {
		t.Errorf("faults %q while it is programmed", codes(d))
	}
	p := b.family.program
	p.mu.Lock()
	p.busy[thePort] = time.Now().Add(-p.timeout - margin)
	p.mu.Unlock()
	if d = b.scan(); codes(d) != codeProgram {
		t.Errorf("faults %q after too long", codes(d))
	}
	close(release)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if d = b.scan(); codes(d) != "" {
		t.Errorf("faults %q after it ended", codes(d))
	}
}

// The kernel's driver is asked for device nodes only.
func TestKernelWantsNodes(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "dfl-port.0")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := (kernel{}).hold(file); err == nil || !strings.Contains(err.Error(), "not a device node") {
		t.Errorf("a file is held: %v", err)
	}
	if err := (kernel{}).program(file, 0, []byte("x")); err == nil {
		t.Error("a file is programmed")
	}
	if err := (kernel{}).program("/dev/null", 0, []byte("x")); !errors.Is(err, syscall.ENOTTY) {
		t.Errorf("programming /dev/null: %v, want that it does not understand", err)
	}
}
