package doctor

import (
	"bytes"
	"cmp"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/go-version"

	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/tools/pluginclient"
)

// binaries looks at what is in the plugin directory, and makes candidates of the
// files that may be device plugins.
func (x *examination) binaries() {
	dir := x.config.pluginDir
	if dir == "" {
		return
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		x.report.find(pluginDirUnreadable, dir, values{"dir": dir, "error": plainPathError(err)})
		return
	}
	if len(entries) == 0 {
		x.report.find(pluginDirEmpty, dir, values{"dir": dir})
	}
	if info, err := os.Stat(dir); err == nil && info.Mode().Perm()&0o022 != 0 {
		x.report.find(binaryWritable, dir, values{"file": dir, "mode": fmt.Sprintf("%04o", info.Mode().Perm())})
	}
	x.config.read = true
	for _, entry := range entries {
		x.entry(filepath.Join(dir, entry.Name()))
	}
}

// missing looks for plugins that were asked for and are nowhere.
func (x *examination) missing() {
	for _, plugin := range x.Plugins {
		name := pluginclient.NameOf(plugin)
		if slices.Contains(x.seen, name) || x.config.block(name) != nil {
			continue
		}
		x.report.find(pluginMissing, plugin, values{
			"name": name, "dir": cmp.Or(x.config.pluginDir, "<plugin_dir>"), "meant": didYouMean(name, x.files()),
		})
	}
}

// archive is how the releases of plugins are packed.
var archive = regexp.MustCompile(`(?i)\.(zip|tar|tar\.gz|tgz|tar\.xz|deb|rpm)$`)

// entry looks at one entry of the plugin directory.
func (x *examination) entry(file string) {
	name := pluginclient.NameOf(file)
	if !x.concerns(name) {
		return
	}
	if _, err := os.Lstat(file); errors.Is(err, fs.ErrNotExist) {
		return
	}
	x.mentioned = append(x.mentioned, name)
	x.seen = append(x.seen, name)
	v := values{"file": file, "dir": filepath.Dir(file)}
	info, err := os.Stat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		x.report.find(entryDangling, file, v)
	case err != nil:
		v["error"] = plainPathError(err)
		x.report.find(pluginDirUnreadable, file, v)
	case info.IsDir():
		v["inner"] = innerPlugin(file)
		v["name"] = filepath.Base(v["inner"])
		x.report.find(entryDirectory, file, v)
	case archive.MatchString(file):
		x.report.find(entryArchive, file, v)
	case !info.Mode().IsRegular():
	case info.Mode().Perm()&0o111 == 0:
		v["mode"] = fmt.Sprintf("%04o", info.Mode().Perm())
		x.report.find(entryNotExecutable, file, v)
	default:
		x.candidate(file)
	}
}

// innerPlugin returns the plugin in a directory that was put, or unpacked, into
// the plugin directory.
func innerPlugin(dir string) string {
	entries, err := os.ReadDir(dir)
	if err == nil {
		for _, entry := range entries {
			info, err := entry.Info()
			if err == nil && info.Mode().IsRegular() && looksLikeDevicePlugin(entry.Name()) {
				return filepath.Join(dir, entry.Name())
			}
		}
	}
	return filepath.Join(dir, "<plugin>")
}

// concerns reports whether a name in the plugin directory is worth a word: it
// was asked for, has a block, or looks like a device plugin's. The others are
// plugins for tasks.
func (x *examination) concerns(name string) bool {
	if len(x.Plugins) > 0 {
		return slices.ContainsFunc(x.Plugins, func(p string) bool { return pluginclient.NameOf(p) == name })
	}
	return x.config.block(name) != nil || looksLikeDevicePlugin(name)
}

func looksLikeDevicePlugin(name string) bool {
	return strings.Contains(strings.ToLower(name), "device")
}

// candidate looks at a binary, and adds it to the plugins that can be started.
func (x *examination) candidate(file string) {
	name := pluginclient.NameOf(file)
	if slices.ContainsFunc(x.candidates, func(c *candidate) bool { return c.file == file }) {
		return
	}
	c := &candidate{name: name, file: file, vendor: vendorOf(name), block: x.config.block(name)}
	x.candidates = append(x.candidates, c)
	if info, err := os.Stat(file); err == nil && info.Mode().Perm()&0o022 != 0 {
		x.report.find(binaryWritable, file, values{"file": file, "mode": fmt.Sprintf("%04o", info.Mode().Perm())})
	}
	c.runs = x.runsHere(file)
	if c.runs {
		x.report.find(binaryRuns, file, nil)
	}
}

// runsHere looks whether the kernel and the dynamic linker of the machine can
// start a program.
func (x *examination) runsHere(file string) bool {
	f, err := elf.Open(file)
	if err != nil {
		if isScript(file) {
			return true
		}
		x.report.find(binaryNotProgram, file, values{"file": file, "error": plainPathError(err)})
		return false
	}
	defer func() { _ = f.Close() }() // it was only read
	if f.Machine != x.Machine {
		x.report.find(binaryArchitecture, file, values{"is": machineName(f.Machine), "want": machineName(x.Machine)})
		return false
	}
	host := sysfs.New(x.hostRoot())
	defer func() { _ = host.Close() }()
	loader := interpreter(f)
	if loader == "" {
		return true
	}
	if system, err := host.Exists("/usr"); err != nil || !system {
		return true // the tree of a machine without its system tells nothing
	}
	if there, err := host.Exists(loader); err == nil && !there {
		x.report.find(binaryLoader, file, values{"loader": loader})
		return false
	}
	needs, has := neededGlibc(f), hostGlibc(host)
	if needs != nil && has != nil && needs.GreaterThan(has) {
		x.report.find(binaryGlibc, file, values{"needs": needs.Original(), "has": has.Original()})
		return false
	}
	return true
}

func isScript(file string) bool {
	f, err := os.Open(file)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }() // it was only read
	head := make([]byte, 2)
	_, err = f.Read(head)
	return err == nil && string(head) == "#!"
}

// interpreter returns the dynamic linker that a program asks for, or "" if it is
// static.
func interpreter(f *elf.File) string {
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			text := make([]byte, min(p.Filesz, 4096))
			if _, err := p.ReadAt(text, 0); err == nil {
				return string(bytes.TrimRight(text, "\x00"))
			}
		}
	}
	return ""
}

// neededGlibc returns the newest version of the C library whose symbols a
// program uses, or nil.
func neededGlibc(f *elf.File) *version.Version {
	needs, err := f.DynamicVersionNeeds()
	if err != nil {
		return nil
	}
	var names []string
	for _, library := range needs {
		for _, need := range library.Needs {
			names = append(names, need.Dep)
		}
	}
	return newest(names)
}

var libcFile = regexp.MustCompile(`libc-([0-9]+\.[0-9]+)\.so$`)

// hostGlibc returns the version of the host's C library, or nil if it has none
// or that cannot be told. Until 2.33 its file had the version in its name; the
// versions of its symbols tell it as well.
func hostGlibc(host *sysfs.FS) *version.Version {
	for _, dir := range systemDirs {
		file, err := host.Resolve(dir + "/libc.so.6")
		if err != nil {
			continue
		}
		if m := libcFile.FindStringSubmatch(file); m != nil {
			return newest([]string{"GLIBC_" + m[1]})
		}
		f, err := elf.Open(host.Full(file))
		if err != nil {
			continue
		}
		defined, err := f.DynamicVersions()
		_ = f.Close() // it was only read
		if err != nil {
			continue
		}
		var names []string
		for _, d := range defined {
			names = append(names, d.Name)
		}
		if v := newest(names); v != nil {
			return v
		}
	}
	return nil
}

// newest returns the newest of the C library's versions among names such as
// "GLIBC_2.34", or nil.
func newest(names []string) *version.Version {
	var most *version.Version
	for _, name := range names {
		text, found := strings.CutPrefix(name, "GLIBC_")
		if !found {
			continue
		}
		if v, err := version.NewVersion(text); err == nil && (most == nil || v.GreaterThan(most)) {
			most = v
		}
	}
	return most
}

// resolved returns a file with the links on its way followed.
func resolved(file string) (string, error) { return filepath.EvalSymlinks(file) }

// plainPathError takes the operation and the path off an error whose finding
// names both.
func plainPathError(err error) string {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err.Error()
	}
	return err.Error()
}
