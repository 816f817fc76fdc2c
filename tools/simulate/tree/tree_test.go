package tree

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// list describes a directory: kinds, contents and targets.
func list(t *testing.T, root string) map[string]string {
	t.Helper()
	found := make(map[string]string)
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == root {
			return err
		}
		rel := strings.TrimPrefix(name, root)
		switch {
		case d.IsDir():
			found[rel] = "directory"
		case d.Type()&fs.ModeSymlink != 0:
			target, err := os.Readlink(name)
			found[rel] = "-> " + target
			return err
		case strings.HasPrefix(rel, "/dev/"):
			found[rel] = "node"
		default:
			text, err := os.ReadFile(name)
			found[rel] = string(text)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func sync(t *testing.T, tr *Tree, root string) {
	t.Helper()
	if err := tr.Sync(root); err != nil {
		t.Fatal(err)
	}
}

func TestSyncMakesTheTreeAndNothingElse(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "root")
	first := &Tree{}
	first.File("/sys/devices/pci0000:1a/0000:1b:00.0/vendor", "0x10de")
	first.Link("/sys/bus/pci/devices/0000:1b:00.0", "/sys/devices/pci0000:1a/0000:1b:00.0")
	first.Link("/sys/devices/pci0000:1a/0000:1b:00.0/subsystem", "/sys/bus/pci")
	first.Node("/dev/nvidia0")
	first.Dir("/proc/driver")
	first.File("/proc/empty", "")
	sync(t, first, root)
	want := map[string]string{
		"/dev": "directory", "/dev/nvidia0": "node",
		"/proc": "directory", "/proc/driver": "directory", "/proc/empty": "",
		"/sys": "directory", "/sys/bus": "directory", "/sys/bus/pci": "directory", "/sys/bus/pci/devices": "directory",
		"/sys/bus/pci/devices/0000:1b:00.0": "-> ../../../devices/pci0000:1a/0000:1b:00.0",
		"/sys/devices":                      "directory", "/sys/devices/pci0000:1a": "directory",
		"/sys/devices/pci0000:1a/0000:1b:00.0":           "directory",
		"/sys/devices/pci0000:1a/0000:1b:00.0/vendor":    "0x10de\n",
		"/sys/devices/pci0000:1a/0000:1b:00.0/subsystem": "-> ../../../bus/pci",
	}
	if diff := cmp.Diff(want, list(t, root)); diff != "" {
		t.Errorf("tree (-want +got):\n%s", diff)
	}

	// A foreign file goes, a directory becomes a file, a file a directory.
	if err := os.WriteFile(filepath.Join(root, "sys", "stray"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	second := &Tree{}
	second.File("/sys/bus", "a file")
	second.File("/proc/empty/not", "any more")
	sync(t, second, root)
	want = map[string]string{
		"/proc": "directory", "/proc/empty": "directory", "/proc/empty/not": "any more\n",
		"/sys": "directory", "/sys/bus": "a file\n",
	}
	if diff := cmp.Diff(want, list(t, root)); diff != "" {
		t.Errorf("tree after the change (-want +got):\n%s", diff)
	}
}

func TestLinksStayInsideTheRoot(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "root")
	tr := &Tree{}
	tr.File("/sys/devices/a/vendor", "v")
	tr.Link("/sys/class/x/a", "/sys/devices/a")
	tr.Link("/top", "/sys/devices/a")
	sync(t, tr, dir)
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })
	for _, name := range []string{"sys/class/x/a/vendor", "top/vendor"} {
		if text, err := root.ReadFile(name); err != nil || string(text) != "v\n" {
			t.Errorf("%s through its link: %q, %v", name, text, err)
		}
	}
}

func TestSyncLeavesWhatIsRight(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "root")
	tr := &Tree{}
	tr.File("/same", "1")
	tr.File("/other", "1")
	tr.Node("/dev/x")
	sync(t, tr, root)
	before, err := os.Stat(filepath.Join(root, "same"))
	if err != nil {
		t.Fatal(err)
	}
	tr.File("/other", "2")
	sync(t, tr, root)
	after, err := os.Stat(filepath.Join(root, "same"))
	if err != nil {
		t.Fatal(err)
	}
	if !os.SameFile(before, after) {
		t.Error("a file that did not change was written anew")
	}
	if text, err := os.ReadFile(filepath.Join(root, "other")); err != nil || string(text) != "2\n" {
		t.Errorf("the changed file: %q, %v", text, err)
	}
	left, err := os.ReadDir(filepath.Dir(root))
	if err != nil || len(left) != 1 {
		t.Errorf("left beside the tree: %v, %v", left, err)
	}
}

func TestNodesOpen(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "root")
	tr := &Tree{}
	tr.Node("/dev/nvidia0")
	sync(t, tr, root)
	f, err := os.OpenFile(filepath.Join(root, "dev", "nvidia0"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("x"); err != nil {
		t.Error(err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

func TestExactContent(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "root")
	tr := &Tree{}
	tr.Exact("/unique_id", []byte("3a68"))
	tr.Exact("/gpu_metrics", []byte{0, 0xff, '\n', 0})
	tr.Exact("/empty", nil)
	sync(t, tr, root)
	want := map[string]string{"/unique_id": "3a68", "/gpu_metrics": "\x00\xff\n\x00", "/empty": ""}
	if diff := cmp.Diff(want, list(t, root)); diff != "" {
		t.Errorf("tree (-want +got):\n%s", diff)
	}
}

func TestRemove(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "root")
	tr := &Tree{}
	tr.File("/sys/bus/pci/devices/a", "1")
	tr.File("/sys/bus/pci/drivers/b", "2")
	tr.File("/sys/bus/pci-more", "3")
	tr.Remove("/sys/bus/pci")
	tr.File("/sys/bus/pci", "4")
	sync(t, tr, root)
	want := map[string]string{"/sys": "directory", "/sys/bus": "directory", "/sys/bus/pci": "4\n", "/sys/bus/pci-more": "3\n"}
	if diff := cmp.Diff(want, list(t, root)); diff != "" {
		t.Errorf("tree (-want +got):\n%s", diff)
	}
}

func TestUnreadable(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "root")
	name := filepath.Join(root, "sys", "temp1_input")
	tr := &Tree{}
	tr.Unreadable("/sys/temp1_input")
	sync(t, tr, root)
	if _, err := os.Lstat(name); err != nil {
		t.Errorf("the file is not there: %v", err)
	}
	if _, err := os.ReadFile(name); !errors.Is(err, syscall.EISDIR) {
		t.Errorf("reading the file: %v", err)
	}
	tr.File("/sys/temp1_input", "41000")
	sync(t, tr, root)
	if text, err := os.ReadFile(name); err != nil || string(text) != "41000\n" {
		t.Errorf("the file, readable again: %q, %v", text, err)
	}
}

// TestReadersNeverMissAFile reads a file that changes, turns unreadable and comes
// back, all the while.
func TestReadersNeverMissAFile(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux exchanges a file for a directory in one step")
	}
	root := filepath.Join(t.TempDir(), "root")
	tr := &Tree{}
	tr.File("/sys/x", "0")
	sync(t, tr, root)
	stop, done := make(chan struct{}), make(chan error, 1)
	go func() {
		for {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			text, err := os.ReadFile(filepath.Join(root, "sys", "x"))
			if err == nil && strings.TrimSpace(string(text)) == "" || err != nil && !errors.Is(err, syscall.EISDIR) {
				done <- fmt.Errorf("read %q, %w", text, err)
				return
			}
		}
	}()
	for i := range 300 {
		next := &Tree{}
		switch i % 3 {
		case 0:
			next.Unreadable("/sys/x")
		default:
			next.File("/sys/x", strings.Repeat("1", i+1))
		}
		sync(t, next, root)
	}
	close(stop)
	if err := <-done; err != nil {
		t.Error(err)
	}
}
