package fpga

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/core/sysfs/sysfstest"
)

// machines are the trees of the families' own tests, on one host where they do
// not get in each other's way.
var machines = []string{
	"internal/dfl/testdata/cards.tsv", "internal/dfl/testdata/opae.tsv",
	"internal/xrt/testdata/rack.tsv", "internal/fpgamgr/testdata/soc.tsv",
}

// forbidden are files whose reading has an effect on a card, reaches into it, or
// brings a secret to light.
var forbidden = regexp.MustCompile(`/(key|firmware|error|config|rom|resource\d.*|nvmem|xocl_errors|remove|rescan|reset|sriov_numvfs|clear)$`)

// Looking, measuring and granting change nothing on a machine, read nothing that
// has an effect, and open no device node.
func TestNothingIsTouched(t *testing.T) {
	t.Parallel()
	for _, machine := range machines {
		t.Run(path.Base(machine), func(t *testing.T) {
			t.Parallel()
			root := sysfstest.Unpack(t, machine)
			seen := accesses{hook: func(op, at string) error {
				switch {
				case op == "read" && (strings.HasPrefix(at, "/dev/") || forbidden.MatchString(at)):
					t.Errorf("it reads %s", at)
				case op == "readdir" && at != "/dev" && strings.HasPrefix(at, "/dev/"):
					t.Errorf("it lists %s", at)
				}
				return nil
			}}
			before := inventory(t, root)
			v := newVendor(configured(), hclog.NewNullLogger(), sysfs.New(root, seen.option()))
			measured := 0
			for range 2 {
				inventory, err := v.Discover(t.Context())
				if err != nil {
					t.Error(err)
				}
				for _, p := range inventory.Probes {
					devices, _ := p.Read(t.Context()) // a card in trouble is looked at as well
					for _, d := range devices {
						if v.Preparation(d) != 0 {
							t.Errorf("%s is prepared, and nothing is configured", d.ID)
						}
						if _, err := v.Measure(t.Context(), d); err == nil {
							measured++
						}
						_, _ = v.Grant(t.Context(), d)
					}
				}
			}
			if measured == 0 {
				t.Error("nothing was measured")
			}
			after := inventory(t, root)
			for name, was := range before {
				if after[name] != was {
					t.Errorf("%s was %s and is %s", name, was, after[name])
				}
			}
			if len(after) != len(before) {
				t.Errorf("there were %d files, and now %d", len(before), len(after))
			}
		})
	}
}

// inventory describes every file of a tree.
func inventory(t *testing.T, root string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		files[strings.TrimPrefix(name, root)] = fmt.Sprintln(info.Size(), info.Mode(), info.ModTime())
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// opening finds calls by which a file could be opened for writing, or a device
// node at all.
var opening = regexp.MustCompile(`O_RDWR|O_WRONLY|O_CREATE|os\.(Create|WriteFile|Open|OpenFile|Remove|Rename)\b|unix\.Open\b|syscall\.(Open|Write)\b|SYS_`)

// Only the driver of the program blocks opens device nodes, and only reading an
// image opens a file beside sysfs: nothing else in the module could.
func TestOnlyProgrammingOpens(t *testing.T) {
	t.Parallel()
	allowed := map[string]bool{"internal/dfl/kernel_linux.go": true}
	looked := 0
	err := filepath.WalkDir(".", func(name string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") || strings.Contains(name, "test/") {
			return err
		}
		looked++
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if found := opening.Find(text); (found != nil) != allowed[filepath.ToSlash(name)] {
			t.Errorf("%s opens files: %q", name, found)
		}
		return nil
	})
	if err != nil || looked < 20 {
		t.Errorf("%d files, %v", looked, err)
	}
}
