package faults

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/nomad-devices/nomad-devices/tools/simulate/scenario"
)

// badFiles puts something else in the place of every file that the plugin could
// read below /sys and /proc.
func badFiles(t *trial) {
	for name, replace := range map[string]func(path string) error{
		"empty": func(path string) error { return os.WriteFile(path, nil, 0o600) },
		"garbage": func(path string) error {
			return os.WriteFile(path, []byte(strings.Repeat("\xff\x00-9e99\n", 500)), 0o600)
		},
		"endless": endless,
		"huge": func(path string) error {
			return errors.Join(os.WriteFile(path, []byte("x"), 0o600), os.Truncate(path, 1<<40))
		},
		"a pipe":   func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"a loop":   func(path string) error { return os.Symlink(filepath.Base(path), path) },
		"outside":  func(path string) error { return os.Symlink("/etc/hostname", path) },
		"a folder": func(path string) error { return os.Mkdir(path, 0o700) },
		"a socket": func(path string) error { return syscall.Mknod(path, syscall.S_IFSOCK|0o600, 0) },
		"gone":     func(string) error { return nil },
		"secret":   nil, // root reads it all the same
	} {
		t.beside(name, func(t *trial) {
			s := newStand(t, options{profile: "4xa100-mig", anyway: true})
			healthy := func(_ *stand, now state) bool { return now.healthy() > 3 && now.healthy() == len(now.devices()) }
			before := s.until("the devices", healthy)
			var bad []string
			t.do(files(s.machine.Root(), func(path string) error {
				bad = append(bad, path)
				if replace == nil {
					return os.Chmod(path, 0)
				}
				return errors.Join(os.Remove(path), replace(path))
			}))
			// A version that the files no longer tell is no other version; one
			// that they tell is, and garbage is none.
			s.calls("nvmlDeviceGetCount_v2", 2, false)
			now, _, _ := s.stream.now()
			if now.healthy() != before.healthy() {
				t.Errorf("there were %d healthy devices and are %d:\n%s", before.healthy(), now.healthy(), now.short())
			}
			s.statistics(500*time.Millisecond, "every device", func(m measured) bool { return len(m) >= len(before.devices()) })
			for _, path := range bad {
				t.do(os.RemoveAll(path))
			}
			t.do(s.machine.Edit(nothing)) // writes the files as they were
			s.scans()
			s.until("the same devices", func(_ *stand, now state) bool { return now.String() == before.String() })
		})
	}
}

// endless is a file that never ends: /dev/zero where this process may make it,
// and else one that is larger than any memory.
func endless(path string) error {
	const zero = 1<<8 | 5
	if err := syscall.Mknod(path, syscall.S_IFCHR|0o600, zero); err == nil {
		return nil
	}
	return errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, 1<<42))
}

// files calls f for each regular file below /sys and /proc of a tree.
func files(root string, f func(path string) error) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && path == filepath.Join(root, "dev") {
			return fs.SkipDir
		}
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		return f(path)
	})
}

// nothing changes nothing.
func nothing(*scenario.File) error { return nil }
