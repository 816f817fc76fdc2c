package sysfs_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/core/sysfs/sysfstest"
)

// machine holds one of everything that a path can lead to.
const machine = `
/sys/devices/pci0000:00/0000:3b:00.0/vendor	0x10de\n
/sys/devices/pci0000:00/0000:3b:00.0/empty	
/sys/devices/pci0000:00/0000:3b:00.0/padded	 two words \x00\x00\n
/sys/devices/pci0000:00/0000:3b:00.0/binary	\xff\xfe
/sys/devices/pci0000:00/0000:3b:00.0/busy	!unreadable
/sys/devices/pci0000:00/0000:3b:00.0/large	!binary 65537 bytes
/sys/devices/pci0000:00/0000:3b:00.0/full	!binary 65536 bytes
/sys/devices/pci0000:00/0000:3b:00.0/driver	-> ../../../bus/pci/drivers/nvidia
/sys/devices/pci0000:00/0000:3b:00.0/self	-> self
/sys/devices/pci0000:00/0000:3b:00.0/here	-> .
/sys/bus/pci/devices/0000:3b:00.0	-> ../../../devices/pci0000:00/0000:3b:00.0
/sys/bus/pci/outside	-> ../../../../../../etc
/dev/nvidia0	!chardev
/dev/card	-> /dev/nvidia0
/dev/chain	-> card
/dev/moved	-> /sys/bus/pci/devices
/dev/null-link	-> /dev/null
/dev/card10	!chardev
/dev/card2	!chardev
/empty/
`

const card = "/sys/devices/pci0000:00/0000:3b:00.0"

// bothWays runs a test with paths looked up at once, where the kernel can, and
// step by step.
func bothWays(t *testing.T, test func(t *testing.T, way ...sysfs.Option)) {
	t.Helper()
	t.Run("at once", func(t *testing.T) { test(t) })
	t.Run("step by step", func(t *testing.T) { test(t, sysfs.Walking()) })
}

func TestRead(t *testing.T) {
	t.Parallel()
	bothWays(t, testRead)
}

func testRead(t *testing.T, way ...sysfs.Option) {
	t.Helper()
	host := sysfs.New(sysfstest.UnpackText(t, machine), way...)
	tests := []struct {
		path string
		want string
		err  error
		// absent is what IsAbsent says about err.
		absent bool
	}{
		{path: card + "/vendor", want: "0x10de\n"},
		{path: "/sys/bus/pci/devices/0000:3b:00.0/vendor", want: "0x10de\n"},
		{path: "/sys/bus/pci/devices/0000:3b:00.0/../0000:3b:00.0/vendor", want: "0x10de\n"},
		{path: "//sys//bus/./pci/devices/0000:3b:00.0/here/here/vendor", want: "0x10de\n"},
		{path: "/dev/moved/0000:3b:00.0/vendor", want: "0x10de\n"},
		{path: card + "/empty", want: ""},
		{path: "/dev/chain", want: ""},
		{path: card + "/none", err: fs.ErrNotExist, absent: true},
		{path: card + "/driver", err: fs.ErrNotExist, absent: true},
		{path: card + "/busy", err: syscall.EISDIR},
		{path: card + "/busy", err: sysfs.ErrNotRegular},
		{path: card + "/large", err: sysfs.ErrTooLarge},
		{path: card + "/self", err: syscall.ELOOP},
		{path: card + "/vendor/below", err: syscall.ENOTDIR},
		{path: "/", err: syscall.EISDIR},
		{path: "/dev/null-link", err: fs.ErrNotExist, absent: true},
		{path: "relative", err: errAny},
		{path: "", err: errAny},
		{path: "/dev/\x00", err: fs.ErrInvalid},
		{path: "/sys/bus/pci/outside/hosts", err: errAny},
		{path: "/../etc/hosts", err: errAny},
	}
	for _, test := range tests {
		t.Run(test.path, func(t *testing.T) {
			t.Parallel()
			got, err := host.Read(test.path)
			check(t, err, test.err, test.absent)
			if string(got) != test.want {
				t.Errorf("Read = %q, want %q", got, test.want)
			}
			if pathErr, ok := errors.AsType[*fs.PathError](err); err != nil && (!ok || pathErr.Path != test.path) {
				t.Errorf("error %q does not name the host path %q", err, test.path)
			}
			if err != nil && strings.Contains(err.Error(), host.Root()) {
				t.Errorf("error %q names the path on this machine", err)
			}
		})
	}
}

// errAny stands for an error of no particular kind.
var errAny = errors.New("any")

func check(t *testing.T, err, want error, absent bool) {
	t.Helper()
	switch {
	case want == nil && err != nil:
		t.Fatalf("error %v", err)
	case want == nil:
	case err == nil:
		t.Fatal("no error")
	case want != errAny && !errors.Is(err, want): //nolint:errorlint // a mark, never wrapped
		t.Errorf("error %v, want %v", err, want)
	}
	if sysfs.IsAbsent(err) != absent {
		t.Errorf("IsAbsent(%v) = %v", err, !absent)
	}
}

func TestReadLimit(t *testing.T) {
	t.Parallel()
	bothWays(t, testReadLimit)
}

func testReadLimit(t *testing.T, way ...sysfs.Option) {
	t.Helper()
	host := sysfs.New(sysfstest.UnpackText(t, machine), way...)
	data, err := host.Read(card + "/full")
	if err != nil || len(data) != sysfs.MaxFile {
		t.Errorf("a file as large as the limit: %d bytes, error %v", len(data), err)
	}
	if _, err := host.ReadLimit(card+"/vendor", 6); !errors.Is(err, sysfs.ErrTooLarge) {
		t.Errorf("7 bytes under a limit of 6: error %v", err)
	}
	if data, err := host.ReadLimit(card+"/large", 1<<20); err != nil || len(data) != 65537 {
		t.Errorf("a larger limit: %d bytes, error %v", len(data), err)
	}
}

func TestReadValues(t *testing.T) {
	t.Parallel()
	host := sysfs.New(sysfstest.UnpackText(t, machine))
	if got, err := host.ReadString(card + "/padded"); got != "two words" || err != nil {
		t.Errorf("ReadString = %q, %v", got, err)
	}
	if got, err := host.ReadString(card + "/empty"); got != "" || err != nil {
		t.Errorf("ReadString of an empty file = %q, %v", got, err)
	}
	if got, err := host.ReadInt(card + "/vendor"); got != 0x10de || err != nil {
		t.Errorf("ReadInt = %d, %v", got, err)
	}
	if got, err := host.ReadUint(card + "/vendor"); got != 0x10de || err != nil {
		t.Errorf("ReadUint = %d, %v", got, err)
	}
	if got, err := host.ReadHex(card + "/vendor"); got != 0x10de || err != nil {
		t.Errorf("ReadHex = %d, %v", got, err)
	}
	for _, name := range []string{"/empty", "/padded", "/binary"} {
		_, err := host.ReadInt(card + name)
		if !errors.Is(err, sysfs.ErrMalformed) || sysfs.IsAbsent(err) || !strings.Contains(err.Error(), card+name) {
			t.Errorf("ReadInt(%s): error %v, want one that is ErrMalformed and names the path", name, err)
		}
	}
	if _, err := host.ReadString(card + "/binary"); !errors.Is(err, sysfs.ErrMalformed) {
		t.Errorf("ReadString of bytes that are not UTF-8: error %v", err)
	}
}

func TestReadDir(t *testing.T) {
	t.Parallel()
	bothWays(t, testReadDir)
}

func testReadDir(t *testing.T, way ...sysfs.Option) {
	t.Helper()
	host := sysfs.New(sysfstest.UnpackText(t, machine), way...)
	for path, want := range map[string][]string{
		"/":          {"dev", "empty", "sys"},
		"/dev":       {"card", "card10", "card2", "chain", "moved", "null-link", "nvidia0"},
		"/dev/":      {"card", "card10", "card2", "chain", "moved", "null-link", "nvidia0"},
		"/dev/moved": {"0000:3b:00.0"},
		"/empty":     {},
	} {
		got, err := host.ReadDir(path)
		if err != nil {
			t.Errorf("ReadDir(%s): %v", path, err)
		}
		if diff := cmp.Diff(want, append([]string{}, got...)); diff != "" {
			t.Errorf("ReadDir(%s), -want +got:\n%s", path, diff)
		}
	}
	_, err := host.ReadDir("/dev/nvidia0")
	check(t, err, syscall.ENOTDIR, false)
	_, err = host.ReadDir("/sys/class/drm")
	check(t, err, fs.ErrNotExist, true)
}

func TestLinks(t *testing.T) {
	t.Parallel()
	bothWays(t, testLinks)
}

func testLinks(t *testing.T, way ...sysfs.Option) {
	t.Helper()
	host := sysfs.New(sysfstest.UnpackText(t, machine), way...)
	if got, err := host.Readlink(card + "/driver"); got != "../../../bus/pci/drivers/nvidia" || err != nil {
		t.Errorf("Readlink = %q, %v", got, err)
	}
	if got, err := host.Readlink("/dev/moved/0000:3b:00.0"); got != "../../../devices/pci0000:00/0000:3b:00.0" || err != nil {
		t.Errorf("Readlink below an absolute link = %q, %v", got, err)
	}
	if got, err := host.LinkName(card + "/driver"); got != "nvidia" || err != nil {
		t.Errorf("LinkName = %q, %v", got, err)
	}
	_, err := host.LinkName(card + "/here")
	check(t, err, sysfs.ErrMalformed, false)
	_, err = host.LinkName(card + "/iommu_group")
	check(t, err, fs.ErrNotExist, true)
	_, err = host.Readlink(card + "/vendor")
	check(t, err, syscall.EINVAL, false)

	tests := []struct {
		path, want string
		err        error
		absent     bool
	}{
		{path: "/sys/bus/pci/devices/0000:3b:00.0", want: card},
		{path: "/sys/bus/pci/devices/0000:3b:00.0/vendor", want: card + "/vendor"},
		{path: "/sys/bus/pci/devices/0000:3b:00.0/..", want: "/sys/devices/pci0000:00"},
		{path: "/dev/chain", want: "/dev/nvidia0"},
		{path: "/dev/moved/0000:3b:00.0/here", want: card},
		{path: "/dev", want: "/dev"},
		{path: "/", want: "/"},
		{path: "/dev/..", want: "/"},
		{path: card + "/driver", err: fs.ErrNotExist, absent: true},
		{path: card + "/self", err: syscall.ELOOP},
		{path: card + "/vendor/x", err: syscall.ENOTDIR},
		{path: "/sys/bus/pci/outside", err: errAny},
	}
	for _, test := range tests {
		got, err := host.Resolve(test.path)
		if got != test.want {
			t.Errorf("Resolve(%s) = %q, want %q", test.path, got, test.want)
		}
		check(t, err, test.err, test.absent)
	}
}

func TestStat(t *testing.T) {
	t.Parallel()
	bothWays(t, testStat)
}

func testStat(t *testing.T, way ...sysfs.Option) {
	t.Helper()
	host := sysfs.New(sysfstest.UnpackText(t, machine), way...)
	if info, err := host.Stat("/dev/card"); err != nil || !info.Mode().IsRegular() {
		t.Errorf("Stat of an absolute link: %v, %v; want what it leads to", info, err)
	}
	if info, err := host.Lstat("/dev/card"); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("Lstat: %v, %v; want the link", info, err)
	}
	if info, err := host.Lstat("/dev/moved/0000:3b:00.0"); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("Lstat below an absolute link: %v, %v; want the last link itself", info, err)
	}
	for path, want := range map[string]bool{
		"/dev/chain": true, card: true, card + "/busy": true, card + "/driver": false, "/dev/none": false, "/none/none": false,
	} {
		if got, err := host.Exists(path); got != want || err != nil {
			t.Errorf("Exists(%s) = %v, %v; want %v", path, got, err, want)
		}
	}
	if got, err := host.Exists(card + "/self"); got || err == nil {
		t.Errorf("Exists of a link to itself = %v, %v; want an error", got, err)
	}
}

// A hook stands for the kernel.
func TestFaults(t *testing.T) {
	t.Parallel()
	var faults sysfstest.Faults
	host := sysfs.New(sysfstest.UnpackText(t, machine), faults.Option())
	for _, test := range []struct {
		errno  syscall.Errno
		absent bool
	}{
		{syscall.EBUSY, false},
		{syscall.EPERM, false},
		{syscall.EIO, false},
		{syscall.ENXIO, false},
		{syscall.EINVAL, false},
		{syscall.EAGAIN, false},
		{syscall.ETIMEDOUT, false},
		{syscall.ENODEV, true},
		{syscall.ENOENT, true},
	} {
		faults.Set(card+"/vendor", test.errno)
		_, err := host.ReadHex(card + "/vendor")
		check(t, err, test.errno, test.absent)
		if exists, err := host.Exists(card + "/vendor"); exists || (err == nil) != test.absent {
			t.Errorf("%v: Exists = %v, %v", test.errno, exists, err)
		}
	}
	faults.Set(card+"/vendor", nil)
	if got, err := host.ReadHex(card + "/vendor"); got != 0x10de || err != nil {
		t.Errorf("after the fault: %#x, %v", got, err)
	}
	if got := faults.Count(card + "/vendor"); got != 19 {
		t.Errorf("Count = %d, want 19", got)
	}
}

func TestRootIsOpenedLate(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "host")
	host := sysfs.New(root)
	_, err := host.Read("/sys/x")
	check(t, err, sysfs.ErrRoot, false) // a missing root is no missing fact
	if exists, err := host.Exists("/sys/x"); exists || err == nil {
		t.Errorf("Exists without a root = %v, %v; want an error", exists, err)
	}
	if !strings.Contains(err.Error(), root) || !strings.Contains(err.Error(), "host_root") {
		t.Errorf("error %q names neither the root nor the setting", err)
	}

	write(t, root, "first")
	if got, err := host.ReadString("/sys/x"); got != "first" || err != nil {
		t.Fatalf("once the root is there: %q, %v", got, err)
	}
	// The tree is made anew, as a simulator does it.
	if err := os.RemoveAll(root); err != nil {
		t.Fatal(err)
	}
	_, err = host.Read("/sys/x")
	check(t, err, fs.ErrNotExist, true)
	write(t, root, "second")
	if got, err := host.ReadString("/sys/x"); got != "second" || err != nil {
		t.Errorf("once the root was replaced: %q, %v", got, err)
	}
}

func write(t *testing.T, root, text string) {
	t.Helper()
	if err := os.MkdirAll(root, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := sysfstest.Write(root, strings.NewReader("/sys/x\t"+text)); err != nil {
		t.Fatal(err)
	}
}

func TestClose(t *testing.T) {
	t.Parallel()
	host := sysfs.New(sysfstest.UnpackText(t, machine))
	if _, err := host.Read(card + "/vendor"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := host.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	_, err := host.Read(card + "/vendor")
	check(t, err, fs.ErrClosed, false)
}

func TestPaths(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ root, path, want string }{
		{"/", "/dev/nvidia0", "/dev/nvidia0"},
		{"", "/dev/nvidia0", "/dev/nvidia0"},
		{"/host/", "/dev/nvidia0", "/host/dev/nvidia0"},
		{"/host", "/", "/host"},
		{"/host", "/../../etc", "/host/etc"},
	} {
		if got := sysfs.New(test.root).Full(test.path); got != test.want {
			t.Errorf("New(%q).Full(%q) = %q, want %q", test.root, test.path, got, test.want)
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	host := sysfs.New(sysfstest.UnpackText(t, machine))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				if got, err := host.ReadHex("/dev/moved/0000:3b:00.0/vendor"); got != 0x10de || err != nil {
					t.Errorf("ReadHex = %#x, %v", got, err)
				}
				if _, err := host.Exists("/none"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}
