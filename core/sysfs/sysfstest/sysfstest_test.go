package sysfstest_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/core/sysfs/sysfstest"
)

func TestUnpack(t *testing.T) {
	t.Parallel()
	root := sysfstest.Unpack(t, filepath.Join("testdata", "kinds.tsv"))
	got := map[string]string{}
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		switch info, err := entry.Info(); {
		case err != nil:
			return err
		case entry.IsDir():
			got[rel] = "dir"
		case entry.Type() == fs.ModeSymlink:
			target, err := os.Readlink(name)
			got[rel] = "-> " + target
			return err
		case info.Size() > 1000:
			got[rel] = fmt.Sprintf("%d bytes", info.Size())
		default:
			content, err := os.ReadFile(name)
			got[rel] = string(content)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		".": "dir", "dev": "dir", "dev/dri": "dir", "dev/dri/card0": "",
		"sys": "dir", "sys/class": "dir", "sys/class/drm": "dir",
		"sys/text":            "one line\n",
		"sys/bare":            "no newline",
		"sys/empty":           "",
		"sys/escapes":         "tab\tnewline\nbackslash\\nul\x00byte\xff",
		"sys/arrow":           "a -> b",
		"sys/blob":            "\x04\x01\xff\x00",
		"sys/nothing":         "",
		"sys/large":           "1048576 bytes",
		"sys/busy":            "dir",
		"sys/dir":             "dir",
		"sys/dir/file":        "below a directory that is listed",
		"sys/class/drm/card0": "-> ../../dir",
		"sys/dangling":        "-> ../../bus/pci/drivers/none",
		"sys/self":            "-> self",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for tsv, want := range map[string]string{
		"sys/a\tx":                         "absolute",
		"/sys/../a\tx":                     "absolute",
		"/sys//a\tx":                       "absolute",
		"/sys/a//\t":                       "absolute",
		"//\t":                             "absolute",
		"/\t":                              "absolute",
		"\tx":                              "absolute",
		"/sys/a":                           "no tab",
		"/sys/a/\tx":                       "has a value",
		"/a\t1\n/a\t2":                     "line 2: the path occurs twice",
		"/a\t1\n/a/\t":                     "line 2: the path occurs twice",
		"/a\t1\n/a/b\t2":                   "/a/b lies below /a",
		"/a/b\t2\n/a\t-> /x":               "/a/b lies below /a",
		"/a\t!chardev\n/a/b/c\tx":          "/a/b/c lies below /a",
		"/a\t!nonsense":                    "unknown kind",
		"/a\t!chardev 1:3":                 "unknown kind",
		"/a\t!binary":                      "!binary 4096 bytes",
		"/a\t!binary 5":                    "!binary 4096 bytes",
		"/a\t!binary -5 bytes":             "!binary 4096 bytes",
		"/a\t!binary 99999999999999 bytes": "!binary 4096 bytes",
		"/a\t!hex 0":                       "after !hex",
		"/a\t!hex xx":                      "after !hex",
		`/a` + "\t" + `\`:                  "backslash",
		`/a` + "\t" + `\q`:                 "unknown escape",
		`/a` + "\t" + `\x4`:                "hexadecimal",
		`/a` + "\t" + `\xzz`:               "hexadecimal",
		"# c\n\n/a\t-> ":                   "line 3: /a: a link without a target",
	} {
		_, err := sysfstest.Parse(strings.NewReader(tsv))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Parse(%q): error %v, want one with %q", tsv, err, want)
		}
	}
}

// Nothing is written through a link, not even one that was there before.
func TestWriteStaysBelowItsRoot(t *testing.T) {
	t.Parallel()
	outside, root := t.TempDir(), t.TempDir()
	if err := os.Symlink(outside, filepath.Join(root, "sys")); err != nil {
		t.Fatal(err)
	}
	if err := sysfstest.Write(root, strings.NewReader("/sys/a\tx")); err == nil {
		t.Error("no error")
	}
	if entries, err := os.ReadDir(outside); len(entries) != 0 || err != nil {
		t.Errorf("outside the root: %v, %v", entries, err)
	}
}

func TestWriteReplacesNothing(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	if err := sysfstest.Write(root, strings.NewReader("/sys/a\tx")); err != nil {
		t.Fatal(err)
	}
	if err := sysfstest.Write(root, strings.NewReader("/sys/a\ty")); !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), "/sys/a") {
		t.Errorf("a second time: error %v, want one that /sys/a exists", err)
	}
	if err := sysfstest.Write(root, strings.NewReader("/sys/b\ty")); err != nil {
		t.Errorf("another file: %v", err)
	}
	if err := sysfstest.Write(filepath.Join(root, "none"), strings.NewReader("/sys/b\ty")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a root that is not there: %v", err)
	}
	if err := sysfstest.WriteFile(root, filepath.Join(root, "none.tsv")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a machine that is not there: %v", err)
	}
}

// fakeTB sees what a failing test would see.
type fakeTB struct {
	sysfstest.TB
	dir    string
	failed string
}

func (f *fakeTB) Helper()                           {}
func (f *fakeTB) TempDir() string                   { return f.dir }
func (f *fakeTB) Fatalf(format string, args ...any) { f.failed = fmt.Sprintf(format, args...) }

func TestUnpackFailsTheTest(t *testing.T) {
	t.Parallel()
	tb := &fakeTB{dir: t.TempDir()}
	sysfstest.UnpackText(tb, "no path")
	if !strings.Contains(tb.failed, "line 1") {
		t.Errorf("the test was told %q", tb.failed)
	}
	tb.failed = ""
	sysfstest.Unpack(tb, "none.tsv")
	if !strings.Contains(tb.failed, "none.tsv") {
		t.Errorf("the test was told %q", tb.failed)
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	var faults sysfstest.Faults
	host := sysfs.New(sysfstest.UnpackText(t, "/sys/a\t1\n/sys/b\t2"), faults.Option())
	if _, err := host.ReadInt("/sys/a"); err != nil {
		t.Errorf("without a fault: %v", err)
	}
	faults.Set("/sys/a", syscall.ENODATA)
	if _, err := host.ReadInt("/sys/a"); !errors.Is(err, syscall.ENODATA) {
		t.Errorf("with a fault: %v", err)
	}
	if got, err := host.ReadInt("/sys/b"); got != 2 || err != nil {
		t.Errorf("beside a fault: %d, %v", got, err)
	}
	faults.Set("/sys/a", nil)
	if got, err := host.ReadInt("/sys/a"); got != 1 || err != nil {
		t.Errorf("after a fault: %d, %v", got, err)
	}
	if a, none, total := faults.Count("/sys/a"), faults.Count("/sys/c"), faults.Total(); a != 3 || none != 0 || total != 4 {
		t.Errorf("counted %d, %d and %d in all; want 3, 0 and 4", a, none, total)
	}
}

// Whatever Parse accepts can be unpacked as far as paths go: clean, absolute, no
// path twice, none below a file.
func FuzzParse(f *testing.F) {
	kinds, err := os.ReadFile(filepath.Join("testdata", "kinds.tsv"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(kinds)
	f.Add([]byte("/a\t\\x00\n/b/\n/b/c\t-> ../a"))
	f.Add([]byte("/../a\tx"))
	f.Fuzz(func(t *testing.T, tsv []byte) {
		entries, err := sysfstest.Parse(bytes.NewReader(tsv))
		if err != nil {
			return
		}
		kinds := map[string]sysfstest.Kind{}
		for _, entry := range entries {
			if !strings.HasPrefix(entry.Path, "/") || path.Clean(entry.Path) != entry.Path || entry.Path == "/" {
				t.Errorf("path %q", entry.Path)
			}
			if _, twice := kinds[entry.Path]; twice {
				t.Errorf("%q twice", entry.Path)
			}
			kinds[entry.Path] = entry.Kind
		}
		for _, entry := range entries {
			if kind, ok := kinds[path.Dir(entry.Path)]; ok && kind != sysfstest.Dir {
				t.Errorf("%q below a file", entry.Path)
			}
		}
	})
}

// The trees of other machines, where they are at hand: what was unpacked reads
// back as it is written.
func TestReferenceTrees(t *testing.T) {
	t.Parallel()
	const data = "../../../../shared/data"
	files, err := filepath.Glob(filepath.Join(data, "*", "*", "*.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Skipf("no reference trees at %s, which only some checkouts have beside them", data)
	}
	machines := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(text, []byte("/sys")) && !bytes.Contains(text, []byte("\n/sys")) || strings.HasSuffix(file, ".names.tsv") {
			continue // a table, or names without contents
		}
		machines++
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			entries, err := sysfstest.Parse(bytes.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			host := sysfs.New(sysfstest.Unpack(t, file))
			for _, entry := range entries {
				readBack(t, host, entry)
			}
		})
	}
	if machines == 0 {
		t.Errorf("no machine in %d files", len(files))
	}
}

func readBack(t *testing.T, host *sysfs.FS, entry sysfstest.Entry) {
	t.Helper()
	switch entry.Kind {
	case sysfstest.File:
		if got, err := host.Read(entry.Path); err != nil || !bytes.Equal(got, entry.Content) {
			t.Errorf("%s: %q, %v; want %q", entry.Path, got, err, entry.Content)
		}
	case sysfstest.Link:
		if got, err := host.Readlink(entry.Path); err != nil || got != entry.Target {
			t.Errorf("%s: %q, %v; want %q", entry.Path, got, err, entry.Target)
		}
		if got, err := host.Resolve(entry.Path); err == nil {
			if exists, err := host.Exists(got); !exists || err != nil {
				t.Errorf("%s leads to %s, which does not exist: %v", entry.Path, got, err)
			}
		}
	case sysfstest.Unreadable:
		if _, err := host.Read(entry.Path); err == nil || sysfs.IsAbsent(err) {
			t.Errorf("%s: error %v, want one that is not absent", entry.Path, err)
		}
	case sysfstest.Device, sysfstest.Sparse, sysfstest.Dir:
		if exists, err := host.Exists(entry.Path); !exists || err != nil {
			t.Errorf("%s does not exist: %v", entry.Path, err)
		}
	}
}
