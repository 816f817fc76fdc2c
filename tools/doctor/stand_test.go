package doctor

import (
	"debug/elf"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"
	"github.com/hashicorp/nomad/plugins/device"
	"github.com/hashicorp/nomad/plugins/shared/structs"

	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/core/sysfs/pci"
	"github.com/nomad-devices/nomad-devices/tools/simulate/amd"
	"github.com/nomad-devices/nomad-devices/tools/simulate/fpga"
	"github.com/nomad-devices/nomad-devices/tools/simulate/nvidia"
	"github.com/nomad-devices/nomad-devices/tools/simulate/pcitree"
	"github.com/nomad-devices/nomad-devices/tools/simulate/tree"
)

// stand is a node on which all is well, until a test breaks something: a
// simulated machine, an agent's configuration, a plugin, and a running agent if
// the test wants one.
type stand struct {
	t       *testing.T
	dir     string // of everything
	root    string // of the machine
	plugins string // the plugin directory
	name    string // of the plugin
	library string // NVIDIA's, for machines that have one
	script  script
	head    string   // of the agent's configuration: all but the plugin's block
	label   string   // of the plugin's block
	args    []string // in it
	extra   string   // settings in it
	node    *api.Node
	server  string         // its address
	self    map[string]any // the running agent's configuration
	allocs  []*api.Allocation
	options Options
}

// newStand makes a node with a machine of a profile such as "amd/4xmi210"; "amd"
// alone is one with little more than what the doctor looks at.
func newStand(t *testing.T, profile string) *stand {
	t.Helper()
	s := &stand{t: t, dir: t.TempDir()}
	vendor, profile, _ := strings.Cut(profile, "/")
	at := filepath.Join(s.dir, "machine")
	var err error
	if profile == "" {
		err = small().Sync(filepath.Join(at, "root"))
	} else {
		err = s.simulate(vendor, profile, at)
	}
	if err != nil {
		t.Fatal(err)
	}
	s.root = filepath.Join(at, "root")
	s.plugins = filepath.Join(s.dir, "plugins")
	if err := os.Mkdir(s.plugins, 0o755); err != nil {
		t.Fatal(err)
	}
	s.name = "nomad-device-" + vendor
	s.label = s.name
	s.install(s.name)
	s.head = fmt.Sprintf("plugin_dir = %q\nclient {\n  enabled = true\n  servers = [\"127.0.0.1:4647\"]\n  options {\n    \"driver.allowlist\" = \"exec\"\n  }\n}\n", s.plugins)
	s.script.Groups = s.groups()
	s.options = Options{
		HostRoot: s.root, AgentConfig: []string{filepath.Join(s.dir, "agent.hcl")},
		Settle: 20 * time.Millisecond, Timeout: 20 * time.Second, Machine: machineHere,
	}
	return s
}

// simulate starts a machine of a vendor.
func (s *stand) simulate(vendor, profile, at string) error {
	var err error
	switch vendor {
	case "nvidia":
		s.library = filepath.Join(s.dir, "libnvidia-ml.so.535.183.06")
		s.write(s.library, minimalELF(machineHere), 0o644)
		_, err = nvidia.Start(s.t.Context(), at, profile, nvidia.Options{Library: s.library})
	case "amd":
		_, err = amd.Start(at, profile, nil)
	default:
		_, err = fpga.Start(at, profile, nil)
	}
	return err
}

// small is a machine with four GPUs of AMD.
func small() *tree.Tree {
	t := &tree.Tree{}
	t.Node("/dev/kfd")
	t.Dir("/sys/module/amdgpu")
	for i := range uint32(4) {
		f := pcitree.Function{
			Address: pcitree.Address{Bus: 5 + i}, Driver: "amdgpu",
			Files: map[string]string{"vendor": "0x1002", "device": "0x740f", "class": "0x038000"},
		}
		f.At = pcitree.Root(0, 5+i) + "/" + f.Address.String()
		f.Write(t)
		render := fmt.Sprintf("renderD%d", 128+i)
		t.Dir(f.At + "/drm/" + render)
		t.Node("/dev/dri/" + render)
	}
	return t
}

// groups makes devices of the functions that the machine has.
func (s *stand) groups() []*device.DeviceGroup {
	v := vendorOf(s.name)
	functions, err := pci.List(sysfs.New(s.root), func(id pci.ID) bool { return v.familyOf(id) != nil })
	if err != nil {
		s.t.Fatal(err)
	}
	g := &device.DeviceGroup{
		Vendor: strings.TrimPrefix(s.name, "nomad-device-"), Type: "gpu", Name: "Model A",
		Attributes: map[string]*structs.Attribute{
			"memory":         structs.NewIntAttribute(15360, structs.UnitMiB),
			"driver_version": structs.NewStringAttribute("580.82.07"),
			"board":          structs.NewStringAttribute("0700"),
			"cores":          structs.NewIntAttribute(2560, ""),
		},
	}
	for i, fn := range functions {
		g.Devices = append(g.Devices, &device.Device{
			ID: fmt.Sprintf("GPU-%d", i), Healthy: true, HwLocality: &device.DeviceLocality{PciBusID: string(fn.Address)},
		})
	}
	return []*device.DeviceGroup{g}
}

// secondModel moves the last device to a group of its own.
func (s *stand) secondModel() {
	first := s.script.Groups[0]
	n := len(first.Devices) - 1
	s.script.Groups = append(s.script.Groups, &device.DeviceGroup{
		Vendor: first.Vendor, Type: first.Type, Name: "Model B", Devices: first.Devices[n:],
		Attributes: map[string]*structs.Attribute{"memory": structs.NewIntAttribute(80, structs.UnitGiB)},
	})
	first.Devices = first.Devices[:n]
}

func (s *stand) write(file, text string, mode fs.FileMode) {
	s.t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), mode); err != nil {
		s.t.Fatal(err)
	}
	s.chmod(file, mode) // whatever the umask
}

func (s *stand) chmod(file string, mode fs.FileMode) {
	s.t.Helper()
	if err := os.Chmod(file, mode); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stand) remove(file string) {
	s.t.Helper()
	if err := os.RemoveAll(file); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stand) rename(from, to string) {
	s.t.Helper()
	if err := os.Rename(from, to); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stand) link(target, file string) {
	s.t.Helper()
	if err := os.Symlink(target, file); err != nil {
		s.t.Fatal(err)
	}
}

// install puts the fake plugin into the plugin directory.
func (s *stand) install(name string) {
	s.t.Helper()
	self, err := os.Executable()
	if err != nil {
		s.t.Fatal(err)
	}
	s.link(self, filepath.Join(s.plugins, name))
}

// plugin is the plugin's file.
func (s *stand) plugin() string { return filepath.Join(s.plugins, s.name) }

// unbind takes the driver from a function, and gives it to another one.
func (s *stand) unbind(address, driver string) {
	s.t.Helper()
	at := filepath.Join(s.root, "sys/bus/pci/devices", address, "driver")
	s.remove(at)
	if driver == "" {
		return
	}
	dir := filepath.Join(s.root, "sys/bus/pci/drivers", driver)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		s.t.Fatal(err)
	}
	real, err := filepath.EvalSymlinks(filepath.Dir(at))
	if err != nil {
		s.t.Fatal(err)
	}
	relative, err := filepath.Rel(real, dir)
	if err != nil {
		s.t.Fatal(err)
	}
	s.link(relative, at)
}

// job is the job's file with these lines in the task's resources.
func (s *stand) job(driver, config, devices string) {
	s.options.Job = filepath.Join(s.dir, "job.nomad.hcl")
	s.write(s.options.Job, fmt.Sprintf(`job "train" {
  datacenters = ["dc1"]
  group "g" {
    task "t" {
      driver = %q
      config {
        %s
      }
      resources {
%s
      }
    }
  }
}
`, driver, config, devices), 0o644)
}

// agent starts a server that answers as a Nomad agent does whose node has the
// plugin's devices.
func (s *stand) agent() {
	s.node = &api.Node{
		ID: "6e5f2d3c-0000-0000-0000-000000000000", Name: "node1", Status: "ready", Datacenter: "dc1", NodePool: "default",
		SchedulingEligibility: "eligible", Attributes: map[string]string{"nomad.version": "1.11.3"},
		Drivers:       map[string]*api.DriverInfo{"exec": {Detected: true, Healthy: true}, "docker": {Detected: true, Healthy: true}},
		NodeResources: &api.NodeResources{Devices: apiGroups(s.script.Groups)},
	}
}

// block is the plugin's block.
func (s *stand) block() string {
	args := ""
	if s.args != nil {
		text, err := json.Marshal(s.args)
		if err != nil {
			s.t.Fatal(err)
		}
		args = fmt.Sprintf("  args = %s\n", text)
	}
	library := ""
	if s.library != "" {
		library = fmt.Sprintf("    nvml_library = %q\n", s.library)
	}
	return fmt.Sprintf("plugin %q {\n%s  config {\n    script = %q\n%s    %s\n  }\n}\n",
		s.label, args, filepath.Join(s.dir, "script.json"), library, s.extra)
}

// examine writes what the stand has into its files, and examines it.
func (s *stand) examine() *Report {
	s.t.Helper()
	text, err := json.Marshal(s.script)
	if err != nil {
		s.t.Fatal(err)
	}
	s.write(filepath.Join(s.dir, "script.json"), string(text), 0o644)
	config := s.head
	if s.label != "" {
		config += s.block()
	}
	s.write(filepath.Join(s.dir, "agent.hcl"), config, 0o644)
	if s.node != nil {
		s.serve()
	}
	return Examine(s.t.Context(), s.options)
}

func (s *stand) serve() {
	if s.self == nil {
		s.self = map[string]any{"PluginDir": s.plugins, "Plugins": []any{map[string]any{
			"Name": s.name, "Config": map[string]any{"script": filepath.Join(s.dir, "script.json")},
		}}}
	}
	answers := map[string]any{
		"/v1/agent/self":                         map[string]any{"config": s.self, "stats": map[string]any{"client": map[string]string{"node_id": s.node.ID}}},
		"/v1/node/" + s.node.ID:                  s.node,
		"/v1/node/" + s.node.ID + "/allocations": s.allocs,
	}
	answers["/v1/nodes"] = []*api.NodeListStub{{ID: s.node.ID, Name: s.node.Name}}
	if s.node.ID == "" {
		answers["/v1/agent/self"] = map[string]any{"config": s.self, "stats": map[string]any{}}
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, found := answers[r.URL.Path]
		if !found {
			http.NotFound(w, r)
			return
		}
		_ = json.NewEncoder(w).Encode(answer) // a client that went away says so itself
	}))
	s.t.Cleanup(server.Close)
	s.server = server.URL
	s.ask(server.URL)
}

// ask has the doctor ask an agent at an address.
func (s *stand) ask(address string) {
	s.t.Helper()
	client, err := api.NewClient(&api.Config{Address: address})
	if err != nil {
		s.t.Fatal(err)
	}
	s.options.Nomad = client
}

// redacted gives the report with places that are the same in each run.
func (s *stand) redacted(r *Report) *Report {
	pairs := []string{s.dir, "/stand"}
	if s.server != "" {
		pairs = append(pairs, s.server, "/agent")
	}
	plain := strings.NewReplacer(pairs...).Replace
	out := &Report{Findings: slices.Clone(r.Findings)}
	for i := range out.Findings {
		f := &out.Findings[i]
		f.Subject, f.What, f.Why, f.Mend = plain(f.Subject), plain(f.What), plain(f.Why), plain(f.Mend)
		f.Details = slices.Clone(f.Details)
		for j := range f.Details {
			f.Details[j] = plain(f.Details[j])
		}
	}
	return out
}

var machineHere = func() elf.Machine {
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	machine, err := machineOf(self)
	if err != nil {
		panic(err)
	}
	return machine
}()

// minimalELF is the header of a program or a library that has nothing in it.
func minimalELF(machine elf.Machine) string {
	header := make([]byte, 64)
	copy(header, "\x7fELF\x02\x01\x01") // 64 bits, little endian, version 1
	header[16], header[18], header[20] = byte(elf.ET_DYN), byte(machine), 1
	header[52], header[54], header[58] = 64, 56, 64 // sizes of the headers
	return string(header)
}

// requireNodes skips where the simulated machine has no real device nodes.
func (s *stand) requireNodes() {
	s.t.Helper()
	info, err := os.Stat(filepath.Join(s.root, "dev/kfd"))
	if err != nil {
		info, err = os.Stat(filepath.Join(s.root, "dev/nvidiactl"))
	}
	if err != nil {
		s.t.Fatal(err)
	}
	if info.Mode()&fs.ModeCharDevice == 0 {
		s.t.Skipf("%s is a regular file: this user may not make device nodes here (%v)", info.Name(), os.Geteuid())
	}
}
