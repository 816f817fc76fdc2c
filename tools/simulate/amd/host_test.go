package amd

import (
	"encoding/base64"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/nomad-devices/nomad-devices/core/sysfs"
)

// host reads the machine as a plugin does.
type host struct {
	*sysfs.FS
	t *testing.T
}

func hostOf(t *testing.T, m *Machine) host {
	t.Helper()
	h := host{sysfs.New(m.Root()), t}
	t.Cleanup(func() { _ = h.Close() })
	return h
}

// text gives the content of a file without blanks around it.
func (h host) text(name string) string {
	h.t.Helper()
	content, err := h.Read(name)
	check(h.t, err)
	return strings.TrimSpace(string(content))
}

func (h host) list(name string) []string {
	h.t.Helper()
	names, err := h.ReadDir(name)
	check(h.t, err)
	return names
}

func (h host) exists(name string) bool {
	_, err := os.Stat(h.Full(name))
	return err == nil
}

// device names a file of a PCI function.
func device(address, name string) string {
	return "/sys/bus/pci/devices/" + address + "/" + name
}

// properties gives the properties of a GPU node.
func (h host) properties(name string) map[string]uint64 {
	h.t.Helper()
	all := map[string]uint64{}
	for line := range strings.Lines(h.text(name)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		n, err := strconv.ParseUint(value, 10, 64)
		check(h.t, err)
		all[key] = n
	}
	return all
}

const topologyDir = "/sys/class/kfd/kfd/topology"

// gpuNodes gives the directories of the GPU nodes.
func (h host) gpuNodes() []string {
	h.t.Helper()
	var all []string
	for i := range len(h.list(topologyDir + "/nodes")) {
		dir := fmt.Sprintf("%s/nodes/%d", topologyDir, i)
		if h.text(dir+"/gpu_id") != "0" {
			all = append(all, dir)
		}
	}
	return all
}

// snapshot gives all that is below the root: kinds, targets and contents.
func snapshot(t *testing.T, m *Machine) map[string]string {
	t.Helper()
	all := map[string]string{}
	check(t, filepath.WalkDir(m.Root(), func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel := strings.TrimPrefix(name, m.Root())
		switch {
		case d.IsDir():
			all[rel] = "directory"
		case d.Type()&fs.ModeSymlink != 0:
			target, err := os.Readlink(name)
			all[rel] = "-> " + target
			return err
		case strings.HasPrefix(rel, "/dev/"):
			all[rel] = "node"
		default:
			content, err := os.ReadFile(name)
			all[rel] = string(content)
			if !utf8.Valid(content) {
				all[rel] = base64.StdEncoding.EncodeToString(content)
			}
			return err
		}
		return nil
	}))
	return all
}
