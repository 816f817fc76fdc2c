//go:build unix

package sysfs_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/nomad-devices/nomad-devices/core/sysfs"
)

// Opening a FIFO for reading waits for a writer; opening a device node can reset
// a card. Neither is opened.
func TestSpecialFilesAreNotOpened(t *testing.T) {
	t.Parallel()
	bothWays(t, testSpecialFilesAreNotOpened)
}

func testSpecialFilesAreNotOpened(t *testing.T, way ...sysfs.Option) {
	t.Helper()
	root := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(root, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	for host, path := range map[*sysfs.FS]string{
		sysfs.New(root, way...): "/fifo",
		sysfs.New("/", way...):  "/dev/zero",
	} {
		if _, err := host.Read(path); !errors.Is(err, sysfs.ErrNotRegular) {
			t.Errorf("Read(%s): error %v, want ErrNotRegular", path, err)
		}
		if _, err := host.ReadDir(path); !errors.Is(err, syscall.ENOTDIR) {
			t.Errorf("ReadDir(%s): error %v, want ENOTDIR", path, err)
		}
	}
}

// The kernel's own files, on the host that the test runs on.
func TestKernelFiles(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skipf("%s has no procfs", runtime.GOOS)
	}
	host := sysfs.New("/")
	// A file of size 0 that is longer than one page or not, and always has text.
	if text, err := host.ReadString("/proc/self/status"); err != nil || text == "" {
		t.Errorf("/proc/self/status: %q, %v", text, err)
	}
	// A link without a target in the file system, and absolute: text only.
	if target, err := host.Readlink("/proc/self/exe"); err != nil || !filepath.IsAbs(target) {
		t.Errorf("/proc/self/exe: %q, %v", target, err)
	}
	if names, err := host.ReadDir("/proc/self"); err != nil || len(names) == 0 {
		t.Errorf("/proc/self: %d names, %v", len(names), err)
	}
	if _, err := host.Read("/proc/no-such-file"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("/proc/no-such-file: %v", err)
	}
	// Reading the memory at address 0 fails with EIO; it must neither be absent
	// nor hang.
	if _, err := host.Read("/proc/self/mem"); err == nil || sysfs.IsAbsent(err) {
		t.Errorf("/proc/self/mem: %v", err)
	}
	if _, err := os.Stat("/sys/kernel/uevent_seqnum"); err != nil {
		t.Logf("no sysfs here: %v", err)
		return
	}
	if n, err := host.ReadUint("/sys/kernel/uevent_seqnum"); err != nil {
		t.Errorf("/sys/kernel/uevent_seqnum: %d, %v", n, err)
	}
}

// The root of the host itself is a root like any other.
func TestResolveBelowSlash(t *testing.T) {
	t.Parallel()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(".", filepath.Join(dir, "here")); err != nil {
		t.Fatal(err)
	}
	host := sysfs.New("/")
	if got, err := host.Resolve(dir + "/here/here"); got != dir || err != nil {
		t.Errorf("Resolve = %q, %v, want %q", got, err, dir)
	}
	if info, err := host.Lstat(dir + "/here"); err != nil || info.Mode()&fs.ModeSymlink == 0 || info.Name() != "here" {
		t.Errorf("Lstat = %v, %v", info, err)
	}
}
