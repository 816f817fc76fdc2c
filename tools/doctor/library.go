package doctor

import (
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/nomad-devices/nomad-devices/core/sysfs"
)

// managementLibrary is the name under which the NVIDIA plugin asks the system
// for NVIDIA's management library.
const managementLibrary = "libnvidia-ml.so.1"

// systemDirs are where the dynamic linker looks without being told.
var systemDirs = []string{
	"/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib/aarch64-linux-gnu", "/usr/lib/aarch64-linux-gnu",
	"/lib64", "/usr/lib64", "/lib", "/usr/lib",
}

// strayDirs are where installers put the library besides: NVIDIA's own, other
// distributions', the container toolkit's, WSL's, NixOS's.
var strayDirs = []string{
	"/usr/lib64/nvidia", "/usr/lib/nvidia", "/usr/lib/nvidia/current", "/usr/local/nvidia/lib64",
	"/usr/local/cuda/lib64", "/opt/nvidia/lib64", "/usr/lib/wsl/lib", "/run/opengl-driver/lib",
	"/run/nvidia/driver/usr/lib64", "/run/nvidia/driver/usr/lib/x86_64-linux-gnu",
}

// library looks at NVIDIA's library, the only one that a plugin of this project
// loads. configured is the setting nvml_library.
func (x *examination) library(h *hardware, configured string) {
	if configured != "" {
		x.libraryFile(h, configured, configured, nil)
		return
	}
	// The plugin reads the host below the host_root of its configuration, and is
	// itself where the doctor is.
	own := sysfs.New(x.hostRoot())
	defer func() { _ = own.Close() }()
	if searched := searchedFor(own, managementLibrary); len(searched) > 0 {
		real, err := own.Resolve(searched[0])
		x.libraryFile(h, searched[0], own.Full(real), err)
		return
	}
	for _, dir := range strayDirs {
		file := path.Join(dir, managementLibrary)
		if there, err := own.Exists(file); err == nil && there {
			x.report.find(libraryElsewhere, file, values{"file": file, "dir": dir})
			return
		}
	}
	if len(h.bound) > 0 {
		x.report.find(libraryMissing, managementLibrary, values{"library": managementLibrary, "version": orUnknown(moduleVersion(h.fs))})
	}
}

// libraryFile looks at the library that will be loaded: its name, and the file
// behind it.
func (x *examination) libraryFile(h *hardware, name, file string, err error) {
	if err == nil {
		var machine elf.Machine
		machine, err = machineOf(file)
		if err == nil && machine != x.Machine {
			err = fmt.Errorf("it is for %s, and this machine is %s", machineName(machine), machineName(x.Machine))
		}
	}
	if err != nil {
		x.report.find(libraryUnusable, name, values{"error": err.Error()})
		return
	}
	library, module := versionInName(file), moduleVersion(h.fs)
	if library != "" && module != "" && library != module {
		x.report.find(libraryMismatch, name, values{"library": library, "module": module})
		return
	}
	x.report.find(libraryFits, name, values{"version": orUnknown(library)})
}

var fileVersion = regexp.MustCompile(`\.so\.([0-9]+\.[0-9.]*[0-9])$`)

// versionInName returns the version that a library's file has in its name,
// links followed: "580.82.07" of libnvidia-ml.so.580.82.07.
func versionInName(file string) string {
	if real, err := resolved(file); err == nil {
		file = real
	}
	if m := fileVersion.FindStringSubmatch(file); m != nil {
		return m[1]
	}
	return ""
}

var versionWord = regexp.MustCompile(`^[0-9]+(\.[0-9]+)+$`)

// moduleVersion returns the version of NVIDIA's kernel module, or "". The
// driver tells it in a sentence: "NVRM version: NVIDIA UNIX x86_64 Kernel Module
// 580.82.07  Release Build".
func moduleVersion(fs *sysfs.FS) string {
	text, err := fs.ReadString("/proc/driver/nvidia/version")
	if err == nil {
		line, _, _ := strings.Cut(text, "\n")
		for word := range strings.FieldsSeq(line) {
			if versionWord.MatchString(word) {
				return word
			}
		}
	}
	version, err := fs.ReadString("/sys/module/nvidia/version")
	if err != nil {
		return ""
	}
	return version
}

// maxCache bounds the dynamic linker's cache in bytes; those of large systems have
// some hundred kilobytes.
const maxCache = 16 << 20

// searchedFor returns the files that the dynamic linker would find for a
// library, in its order: those of its cache, then those in the system's
// directories.
func searchedFor(fs *sysfs.FS, library string) []string {
	var all []string
	add := func(file string) {
		if there, err := fs.Exists(file); err == nil && there && !slices.Contains(all, file) {
			all = append(all, file)
		}
	}
	if cache, err := fs.ReadLimit("/etc/ld.so.cache", maxCache); err == nil {
		for _, file := range cached(cache, library) {
			add(file)
		}
	}
	for _, dir := range systemDirs {
		add(path.Join(dir, library))
	}
	return all
}

// cached returns what the dynamic linker's cache has for a library
// (sysdeps/generic/dl-cache.h in glibc): a header of 48 bytes, and entries of
// 24 with the places of name and path, counted from the header's start. Older
// caches have another table before it.
func cached(cache []byte, library string) []string {
	const magic, headerSize, entrySize = "glibc-ld.so.cache1.1", 48, 24
	start := strings.Index(string(cache), magic)
	if start < 0 || len(cache) < start+headerSize {
		return nil
	}
	table := cache[start:]
	count := binary.NativeEndian.Uint32(table[len(magic):])
	text := func(at uint32) string {
		if int64(at) >= int64(len(table)) {
			return ""
		}
		s, _, _ := strings.Cut(string(table[at:min(int(at)+4096, len(table))]), "\x00")
		return s
	}
	var files []string
	for i := range int(min(count, uint32(len(table)/entrySize))) {
		at := headerSize + i*entrySize
		if at+entrySize > len(table) {
			break
		}
		if text(binary.NativeEndian.Uint32(table[at+4:])) == library {
			files = append(files, text(binary.NativeEndian.Uint32(table[at+8:])))
		}
	}
	return files
}

// machineOf returns what machine a program or a library is for.
func machineOf(file string) (elf.Machine, error) {
	f, err := elf.Open(file)
	if err != nil {
		if format, ok := errors.AsType[*elf.FormatError](err); ok {
			return 0, fmt.Errorf("it is no ELF file: %w", format)
		}
		return 0, err
	}
	defer func() { _ = f.Close() }() // it was only read
	return f.Machine, nil
}

// machineName returns the name that people know a machine by.
func machineName(m elf.Machine) string {
	switch m {
	case elf.EM_X86_64:
		return "amd64"
	case elf.EM_AARCH64:
		return "arm64"
	default:
		return strings.ToLower(strings.TrimPrefix(m.String(), "EM_"))
	}
}

func orUnknown(version string) string {
	if version == "" {
		return "of an unknown version"
	}
	return "version " + version
}
