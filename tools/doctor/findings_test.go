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
