package doctor

import (
	"debug/elf"
	"os"
	"path/filepath"
)

var binaryMistakes = []mistake{
	{kind: binaryRuns, make: func(*stand) {}, subject: "/stand/plugins/nomad-device-amd", says: "for this machine"},
	{
		kind: pluginDirUnreadable, subject: "/stand/plugins", says: "no such file", mend: "install -d -m 0755 /stand/plugins",
		make: func(s *stand) { s.remove(s.plugins) },
	},
	{
		kind: pluginDirEmpty, subject: "/stand/plugins", says: "no plugin", mend: "install -m 0755 <plugin> /stand/plugins/",
		make: func(s *stand) { s.remove(s.plugin()) },
	},
	{
		kind: pluginMissing, subject: "nomad-device-amdgpu", says: `was "nomad-device-amd" meant?`,
		mend: "install -m 0755 nomad-device-amdgpu /stand/plugins/nomad-device-amdgpu",
		make: func(s *stand) { s.options.Plugins = []string{"nomad-device-amdgpu"} },
	},
	{
		kind: pluginMissing, subject: "/stand/none", says: "no such plugin", mend: "install -m 0755 none",
		make: func(s *stand) { s.options.Plugins = []string{filepath.Join(s.dir, "none")} },
	},
	{
		kind: entryDirectory, subject: "/stand/plugins/nomad-device-amd", says: "a directory",
		mend: "install -m 0755 /stand/plugins/nomad-device-amd/nomad-device-amd /stand/plugins/nomad-device-amd.new && rm -r",
		make: func(s *stand) {
			s.remove(s.plugin())
			s.write(filepath.Join(s.plugin(), s.name), minimalELF(machineHere), 0o755)
		},
	},
	{
		kind: entryArchive, subject: "/stand/plugins/nomad-device-amd_1.0.0_linux_amd64.zip", says: "an archive",
		mend: "unzip /stand/plugins/nomad-device-amd_1.0.0_linux_amd64.zip -d /stand/plugins",
		make: func(s *stand) {
			s.rename(s.plugin(), filepath.Join(s.plugins, "nomad-device-amd_1.0.0_linux_amd64.zip"))
		},
	},
	{
		kind: entryNotExecutable, subject: "/stand/plugins/nomad-device-amd", says: "mode 0644", mend: "chmod 0755 /stand/plugins/nomad-device-amd",
		make: func(s *stand) { s.remove(s.plugin()); s.write(s.plugin(), minimalELF(machineHere), 0o644) },
	},
	{
		kind: entryDangling, subject: "/stand/plugins/nomad-device-amd", says: "leads nowhere", mend: "rm /stand/plugins/nomad-device-amd",
		make: func(s *stand) { s.remove(s.plugin()); s.link("nowhere", s.plugin()) },
	},
	{
		kind: binaryNotProgram, subject: "/stand/plugins/nomad-device-amd", says: "bad magic number", mend: "file /stand/plugins/nomad-device-amd",
		make: func(s *stand) { s.remove(s.plugin()); s.write(s.plugin(), "<html>404 Not Found</html>\n", 0o755) },
	},
	{
		kind: binaryArchitecture, subject: "/stand/plugins/nomad-device-amd", says: "for ppc64", mend: "linux_" + machineName(machineHere),
		make: func(s *stand) { s.remove(s.plugin()); s.write(s.plugin(), minimalELF(elf.EM_PPC64), 0o755) },
	},
	{
		kind: binaryLoader, subject: "/stand/plugins/nomad-device-amd", says: "dynamic linker", mend: "gcompat",
		make: func(s *stand) { s.dynamic(); s.mkdir("usr/lib") },
	},
	{
		kind: binaryGlibc, subject: "/stand/plugins/nomad-device-amd", says: "the host has 2.1", mend: "make build",
		make: func(s *stand) {
			loader := s.dynamic()
			s.mkdir("usr/lib")
			s.write(filepath.Join(s.root, loader), "", 0o755)
			s.write(filepath.Join(s.root, "lib64/libc-2.1.so"), "", 0o644)
			s.link("libc-2.1.so", filepath.Join(s.root, "lib64/libc.so.6"))
		},
	},
	{
		kind: binaryWritable, subject: "/stand/plugins", says: "mode 0777", mend: "chmod go-w /stand/plugins",
		make: func(s *stand) { s.chmod(s.plugins, 0o777) },
	},
	{
		kind: binaryWritable, subject: "/stand/plugins/nomad-device-amd", says: "mode 0775", mend: "chmod go-w /stand/plugins/nomad-device-amd",
		make: func(s *stand) { s.remove(s.plugin()); s.write(s.plugin(), minimalELF(elf.EM_PPC64), 0o775) },
	},
}

// mkdir makes a directory of the machine.
func (s *stand) mkdir(path string) {
	s.t.Helper()
	if err := os.MkdirAll(filepath.Join(s.root, path), 0o755); err != nil {
		s.t.Fatal(err)
	}
}

// dynamic makes a program of this system that is linked with glibc the plugin,
// and returns its dynamic linker.
func (s *stand) dynamic() string {
	s.t.Helper()
	self, err := os.Executable()
	if err != nil {
		s.t.Fatal(err)
	}
	for _, program := range []string{self, "/bin/sh", "/bin/ls"} {
		f, err := elf.Open(program)
		if err != nil {
			continue
		}
		loader, needs := interpreter(f), neededGlibc(f)
		_ = f.Close()
		if loader != "" && needs != nil {
			s.remove(s.plugin())
			s.link(program, s.plugin())
			return loader
		}
	}
	s.t.Skipf("neither %s nor /bin/sh nor /bin/ls is linked with glibc", self)
	return ""
}
