package doctor

import (
	"debug/elf"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"
)

// mistake is a mistake made on purpose, and what is to be found of it. In subject
// and mend "/stand" is the directory of everything.
type mistake struct {
	kind    *Kind
	profile string // of the machine; "" is an AMD one
	make    func(*stand)
	subject string
	says    string // a part of what is so, or of a detail
	mend    string
}

// firstAMD is the address of the first GPU of the machines with AMD GPUs; the
// others are those of the machines with the cards of their names.
const (
	firstAMD   = "0000:05:00.0"
	firstT4    = "0000:3b:00.0"
	firstN6001 = "0000:b1:00.0"
)

func TestFindings(t *testing.T) {
	t.Parallel()
	all := slices.Concat(machineMistakes, binaryMistakes, configurationMistakes, pluginMistakes, agentMistakes, jobMistakes)
	for i, m := range all {
		t.Run(fmt.Sprintf("%s/%d", m.kind.Code, i), func(t *testing.T) {
			t.Parallel()
			s := newStand(t, orDefault(m.profile))
			m.make(s)
			report := s.redacted(s.examine())
			checkFindings(t, report)
			var found []Finding
			for _, f := range report.Findings {
				if f.Code == m.kind.Code {
					found = append(found, f)
				}
			}
			if len(found) == 0 {
				t.Fatalf("not found, but:\n%s", text(t, report))
			}
			f := found[0]
			if f.Subject != m.subject {
				t.Errorf("it is about %q, want %q", f.Subject, m.subject)
			}
			if !strings.Contains(f.What+"\n"+strings.Join(f.Details, "\n"), m.says) {
				t.Errorf("it does not say %q:\n%s\n%s", m.says, f.What, strings.Join(f.Details, "\n"))
			}
			if !strings.Contains(f.Mend, m.mend) {
				t.Errorf("it is mended by\n%s\nwant\n%s", f.Mend, m.mend)
			}
		})
	}
	for _, k := range Kinds() {
		if !slices.ContainsFunc(all, func(m mistake) bool { return m.kind == k }) {
			t.Errorf("there is no case for %s", k.Code)
		}
	}
}

func orDefault(profile string) string {
	if profile == "" {
		return "amd"
	}
	return profile
}

var placeholder = regexp.MustCompile(`\{[a-z]+\}`)

// checkFindings checks what is true of all findings.
func checkFindings(t *testing.T, r *Report) {
	t.Helper()
	last := Hardware
	for _, f := range r.Findings {
		i := slices.IndexFunc(Kinds(), func(k *Kind) bool { return k.Code == f.Code })
		if i < 0 {
			t.Errorf("%s is in no list of kinds", f.Code)
			continue
		}
		if (f.Why == "" || f.Mend == "") != (f.Severity == OK) {
			t.Errorf("%s: why %q, mend %q", f.Code, f.Why, f.Mend)
		}
		if left := placeholder.FindString(f.What + f.Why + f.Mend); left != "" {
			t.Errorf("%s leaves %s", f.Code, left)
		}
		if f.Subject == "" || f.Link < last {
			t.Errorf("%s: about %q, of link %s after %s", f.Code, f.Subject, f.Link, last)
		}
		last = f.Link
	}
}

func text(t *testing.T, r *Report) string {
	t.Helper()
	var b strings.Builder
	if err := r.WriteText(&b, TextOptions{All: true}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

var machineMistakes = []mistake{
	{kind: hardwareFound, profile: "amd/4xmi210", make: func(*stand) {}, subject: "AMD GPU", says: "4 AMD GPUs"},
	{
		kind: hardwareAbsent, subject: "AMD GPU", says: "no AMD GPU", mend: "lspci",
		make: func(s *stand) { s.remove(filepath.Join(s.root, "sys/bus/pci/devices")); s.mkdir("sys/bus/pci/devices") },
	},
	{
		kind: hardwareAbsent, subject: "hardware", says: "no NVIDIA GPU, AMD GPU or FPGA", mend: "lspci",
		make: func(s *stand) {
			s.remove(filepath.Join(s.root, "sys"))
			s.options.AgentConfig = nil
		},
	},
	{
		kind: hardwareUnserved, subject: "AMD GPU", says: "4 AMD GPUs", mend: "install -m 0755 nomad-device-amd /stand/plugins/nomad-device-amd",
		make: func(s *stand) { s.remove(s.plugin()); s.label = "" },
	},
	{
		kind: hostUnreadable, subject: "/stand/machine/root/sys/bus/pci/devices", says: "not a directory", mend: "mount -t sysfs",
		make: func(s *stand) {
			s.remove(filepath.Join(s.root, "sys/bus/pci/devices"))
			s.write(filepath.Join(s.root, "sys/bus/pci/devices"), "", 0o644)
		},
	},
	{
		kind: moduleMissing, profile: "nvidia/2xt4", subject: firstT4 + ", 0000:d8:00.0", says: "nvidia is not loaded", mend: "modprobe nvidia",
		make: func(s *stand) {
			s.unbind(firstT4, "")
			s.unbind("0000:d8:00.0", "")
			s.remove(filepath.Join(s.root, "sys/module"))
			s.remove(filepath.Join(s.root, "sys/bus/pci/drivers"))
		},
	},
	{
		kind: moduleMissing, profile: "fpga/dfl-n6001", subject: firstN6001, says: "dfl_pci is not loaded", mend: "modprobe dfl_pci",
		make: func(s *stand) {
			s.unbind(firstN6001, "")
			s.remove(filepath.Join(s.root, "sys/bus/pci/drivers"))
		},
	},
	{
		kind: driverUnbound, subject: firstAMD, says: "amdgpu is loaded", mend: "echo " + firstAMD + " > /sys/bus/pci/drivers/amdgpu/bind",
		make: func(s *stand) { s.unbind(firstAMD, "") },
	},
	{
		kind: driverPassthrough, subject: firstAMD, says: "vfio-pci", mend: "echo amdgpu > /sys/bus/pci/devices/" + firstAMD + "/driver_override",
		make: func(s *stand) { s.unbind(firstAMD, "vfio-pci") },
	},
	{
		kind: driverForeign, profile: "nvidia/2xt4", subject: firstT4, says: "held by the driver nouveau", mend: "echo 'blacklist nouveau' > /etc/modprobe.d/nouveau.conf",
		make: func(s *stand) { s.unbind(firstT4, "nouveau") },
	},
	{kind: nodesThere, profile: "amd/4xmi210", make: (*stand).requireNodes, subject: "AMD GPU", says: "5 device nodes"},
	{
		kind: nodeMissing, profile: "nvidia/2xt4", subject: "/dev/nvidia-uvm", says: "not there", mend: "nvidia-modprobe -c 0 -u",
		make: func(s *stand) { s.remove(filepath.Join(s.root, "dev/nvidia-uvm")) },
	},
	{
		kind: nodeMissing, profile: "fpga/dfl-n6001", subject: "/dev/dfl-port.0", says: "not there", mend: "udevadm trigger",
		make: func(s *stand) { s.remove(filepath.Join(s.root, "dev/dfl-port.0")) },
	},
	{
		kind: nodeNotDevice, subject: "/dev/kfd", says: "a directory", mend: "rm -r /dev/kfd && udevadm trigger",
		make: func(s *stand) { s.remove(filepath.Join(s.root, "dev/kfd")); s.mkdir("dev/kfd") },
	},
	{
		kind: nodeClosed, subject: "/dev/dri/renderD128", says: "user root, group render, mode 0660", mend: `KERNEL=="renderD*", MODE="0666"`,
		make: func(s *stand) {
			s.requireNodes()
			s.write(filepath.Join(s.root, "etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n", 0o644)
			s.write(filepath.Join(s.root, "etc/group"), "root:x:0:\nrender:x:109:\n", 0o644)
			node := filepath.Join(s.root, "dev/dri/renderD128")
			if err := os.Chown(node, 0, 109); err != nil {
				s.t.Fatal(err)
			}
			s.chmod(node, 0o660)
		},
	},
	{kind: libraryFits, profile: "nvidia/2xt4", make: func(*stand) {}, subject: "/stand/libnvidia-ml.so.535.183.06", says: "version 535.183.06"},
	{
		kind: libraryFits, profile: "nvidia/2xt4", subject: "/lib64/libnvidia-ml.so.1", says: "version 535.183.06",
		make: func(s *stand) {
			s.library = ""
			s.write(filepath.Join(s.root, "lib64/libnvidia-ml.so.535.183.06"), minimalELF(machineHere), 0o644)
			s.link("libnvidia-ml.so.535.183.06", filepath.Join(s.root, "lib64/libnvidia-ml.so.1"))
		},
	},
	{
		kind: libraryMissing, profile: "nvidia/2xt4", subject: "libnvidia-ml.so.1", says: "the kernel module is version 535.183.06", mend: "apt-get install libnvidia-ml1",
		make: func(s *stand) { s.library = "" },
	},
	{
		kind: libraryElsewhere, profile: "nvidia/2xt4", subject: "/usr/local/nvidia/lib64/libnvidia-ml.so.1",
		says: "in /usr/local/nvidia/lib64", mend: `nvml_library = "/usr/local/nvidia/lib64/libnvidia-ml.so.1"`,
		make: func(s *stand) {
			s.library = ""
			s.write(filepath.Join(s.root, "usr/local/nvidia/lib64/libnvidia-ml.so.1"), minimalELF(machineHere), 0o644)
		},
	},
	{
		kind: libraryUnusable, profile: "nvidia/2xt4", subject: "/stand/libnvidia-ml.so.535.183.06", says: "it is for ppc64", mend: "nvml_library",
		make: func(s *stand) { s.write(s.library, minimalELF(elf.EM_PPC64), 0o644) },
	},
	{
		kind: libraryUnusable, profile: "nvidia/2xt4", subject: "/stand/nothing.so", says: "no such file", mend: "nvml_library",
		make: func(s *stand) { s.library = filepath.Join(s.dir, "nothing.so") },
	},
	{
		kind: libraryMismatch, profile: "nvidia/2xt4", subject: "/stand/libnvidia-ml.so.1", says: "the library is version 550.54.15, the kernel module 535.183.06", mend: "reboot",
		make: func(s *stand) {
			s.write(filepath.Join(s.dir, "libnvidia-ml.so.550.54.15"), minimalELF(machineHere), 0o644)
			s.library = filepath.Join(s.dir, "libnvidia-ml.so.1")
			s.link("libnvidia-ml.so.550.54.15", s.library)
		},
	},
}

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

var pluginMistakes = []mistake{
	{kind: pluginAnswers, make: func(*stand) {}, subject: "nomad-device-amd", says: "version 1.2.3"},
	{
		kind: doctorUnprivileged, subject: "devctl doctor", says: "user 1000", mend: "sudo devctl doctor",
		make: func(s *stand) { s.options.UID = 1000 },
	},
	{
		kind: pluginStart, subject: "nomad-device-amd", says: "the bus is on fire", mend: "devctl inspect /stand/plugins/nomad-device-amd",
		make: func(s *stand) { s.args = []string{"-exit"} },
	},
	{
		kind: pluginInfo, subject: "nomad-device-amd", says: `version "dev" does not parse`, mend: "devctl check /stand/plugins/nomad-device-amd",
		make: func(s *stand) { s.args = []string{"-version", "dev"} },
	},
	{
		kind: pluginName, subject: "nomad-device-amd", says: `calls itself "amd-gpu"`, mend: "/amd-gpu",
		make: func(s *stand) { s.args = []string{"-name", "amd-gpu"} },
	},
	{
		kind: pluginSilent, subject: "nomad-device-amd", says: "ended the stream", mend: "--log-level debug",
		make: func(s *stand) { s.script.End = true },
	},
	{
		kind: pluginLogged, subject: "nomad-device-amd", says: "[WARN] a fan is loud: card=7", mend: "journalctl",
		make: func(s *stand) { s.script.Warn = "a fan is loud" },
	},
	{kind: devicesHealthy, make: func(*stand) {}, subject: "amd/gpu/Model A", says: "4 of 4 devices"},
	{
		kind: devicesNone, subject: "nomad-device-amd", says: "no driver is in use", mend: "devctl inspect /stand/plugins/nomad-device-amd",
		make: func(s *stand) { s.script.Groups, s.script.Info = nil, "no driver is in use" },
	},
	{
		kind: deviceUnhealthy, subject: "GPU-1", says: "amd/gpu/Model A: it fell off the bus; reseat it", mend: "devctl inspect nomad-device-amd --watch",
		make: func(s *stand) { s.unhealthy(1) },
	},
	{
		kind: functionNotOffered, subject: "0000:08:00.0", says: "1 AMD GPU that", mend: "devctl inspect",
		make: func(s *stand) { g := s.script.Groups[0]; g.Devices = g.Devices[:3] },
	},
	{
		kind: devicesTwice, subject: "amd/gpu/Model A", says: "both amd-device and nomad-device-amd", mend: "rm /stand/plugins/amd-device",
		make: func(s *stand) {
			s.install("amd-device")
			s.head += fmt.Sprintf("plugin \"amd-device\" {\n  config {\n    script = %q\n  }\n}\n", filepath.Join(s.dir, "script.json"))
		},
	},
	{
		kind: reserveRefused, subject: "GPU-0", says: "its node is gone", mend: "devctl inspect /stand/plugins/nomad-device-amd --reserve GPU-0",
		make: func(s *stand) { s.script.Withhold = "its node is gone" },
	},
}

// unhealthy makes the devices with these numbers unhealthy.
func (s *stand) unhealthy(numbers ...int) {
	for _, n := range numbers {
		d := s.script.Groups[0].Devices[n]
		d.Healthy, d.HealthDesc = false, "it fell off the bus; reseat it"
	}
}

var agentMistakes = []mistake{
	{kind: agentAgrees, make: (*stand).agent, subject: "node node1", says: "Nomad 1.11.3"},
	{
		kind: agentUnreachable, subject: "http://127.0.0.1:1", says: "refused", mend: "NOMAD_ADDR (it was http://127.0.0.1:1)",
		make: func(s *stand) { s.ask("http://127.0.0.1:1") },
	},
	{
		kind: agentNoNode, subject: "/agent", says: "a server", mend: "--node",
		make: func(s *stand) { s.agent(); s.node.ID = "" },
	},
	{
		kind: agentNoNode, subject: "/agent", says: "no node of the name", mend: "--node",
		make: func(s *stand) { s.agent(); s.options.Node = "node2" },
	},
	{kind: agentAgrees, subject: "node node1", says: "1 group", make: func(s *stand) { s.agent(); s.options.Node = "node1" }},
	{
		kind: agentStale, subject: "plugin \"nomad-device-amd\"", says: "with other settings", mend: "systemctl restart nomad",
		make: func(s *stand) { s.agent(); s.extra = "ignored_ids = [\"x\"]" },
	},
	{
		kind: agentStale, subject: "plugin_dir", says: `"/opt/other" in the agent`, mend: "systemctl restart nomad",
		make: func(s *stand) { s.agent(); s.self = map[string]any{"PluginDir": "/opt/other"} },
	},
	{
		kind: nodeNotReady, subject: "node node1", says: "down", mend: "nomad node status 6e5f2d3c",
		make: func(s *stand) { s.agent(); s.node.Status = "down" },
	},
	{
		kind: nodeIneligible, subject: "node node1", says: "not eligible", mend: "nomad node eligibility -enable 6e5f2d3c",
		make: func(s *stand) { s.agent(); s.node.SchedulingEligibility = "ineligible" },
	},
	{
		kind: nodeDraining, subject: "node node1", says: "drained", mend: "nomad node drain -disable 6e5f2d3c",
		make: func(s *stand) { s.agent(); s.node.Drain = true },
	},
	{
		kind: agentLacksGroup, subject: "amd/gpu/Model A", says: "node1 does not have it", mend: "systemctl restart nomad",
		make: func(s *stand) { s.agent(); s.node.NodeResources.Devices = nil },
	},
	{
		kind: agentOtherGroup, subject: "amd/gpu/Model C", says: "no plugin that was looked at", mend: "devctl doctor --nomad",
		make: func(s *stand) {
			s.agent()
			s.node.NodeResources.Devices = append(s.node.NodeResources.Devices, &api.NodeDeviceResource{Vendor: "amd", Type: "gpu", Name: "Model C"})
		},
	},
	{
		kind: agentDiffers, subject: "amd/gpu/Model A", says: "GPU-2: healthy for the plugin, unhealthy (too hot) for the node", mend: "again in a minute",
		make: func(s *stand) {
			s.agent()
			d := s.node.NodeResources.Devices[0].Instances[2]
			d.Healthy, d.HealthDescription = false, "too hot"
		},
	},
}

// TestTimeout has a plugin whose first message does not come in time.
func TestTimeout(t *testing.T) {
	t.Parallel()
	s := newStand(t, "amd")
	s.options.Timeout = time.Nanosecond
	for _, f := range s.examine().Findings {
		if f.Code == pluginSilent.Code && strings.Contains(f.What, "no fingerprint within 1ns") {
			return
		}
	}
	t.Error("not found")
}
