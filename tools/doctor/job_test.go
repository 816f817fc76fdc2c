package doctor

import (
	"os"
	"path/filepath"

	"github.com/hashicorp/nomad/api"
)

// asks has the stand's job ask for devices in these lines.
func asks(lines string) func(*stand) { return func(s *stand) { s.job("exec", "", lines) } }

func one(constraint string) string {
	return "device \"gpu\" {\n  constraint {\n" + constraint + "\n  }\n}"
}

const about = `g/t: device "gpu"`

var jobMistakes = []mistake{
	{kind: jobFits, make: asks("device \"amd/gpu/Model A\" {\n  count = 4\n}"), subject: "train", says: "4 of amd/gpu/Model A"},
	{
		kind: jobFits, subject: "train", says: "2 of amd/gpu/Model B",
		make: func(s *stand) {
			s.script.Groups = append(s.script.Groups, s.groups()...)
			s.script.Groups[1].Name = "Model B"
			for _, d := range s.script.Groups[1].Devices {
				d.ID = "B" + d.ID
			}
			s.job("exec", "", "device \"gpu\" {\n  count = 2\n  constraint {\n    attribute = \"${device.ids}\"\n    operator = \"set_contains\"\n    value = \"BGPU-1,BGPU-2\"\n  }\n}")
		},
	},
	{
		kind: jobUnreadable, subject: "/stand/job.nomad.hcl", says: "job.nomad.hcl:", mend: "nomad job validate /stand/job.nomad.hcl",
		make: asks("device {}"),
	},
	{
		kind: jobUnreadable, subject: "/stand/job.json", says: "no Job with an ID", mend: "nomad job validate /stand/job.json",
		make: func(s *stand) {
			s.options.Job = filepath.Join(s.dir, "job.json")
			s.write(s.options.Job, "{}", 0o644)
		},
	},
	{kind: jobNoDevice, subject: "train", says: "no task", mend: "device \"<vendor>/<type>\"", make: asks("cpu = 100")},
	{
		kind: jobElsewhere, subject: "train", says: "datacenters dc1, and the node is in dc2", mend: `datacenters = ["dc2"]`,
		make: func(s *stand) { s.agent(); s.node.Datacenter = "dc2"; s.job("exec", "", `device "gpu" {}`) },
	},
	{
		kind: jobElsewhere, subject: "train", says: "node pool training, and the node is in default", mend: `node_pool = "default"`,
		make: func(s *stand) {
			s.agent()
			s.options.Job = filepath.Join(s.dir, "job.json")
			s.write(s.options.Job, `{"ID": "train", "NodePool": "training", "TaskGroups": []}`, 0o644)
		},
	},
	{
		kind: deviceUnknown, subject: `g/t: device "amd/gpu/model a"`, says: "Names there are: amd/gpu/Model A", mend: `device "amd/gpu/Model A" {`,
		make: asks(`device "amd/gpu/model a" {}`),
	},
	{kind: deviceUnknown, subject: `g/t: device "nvidia/gpu"`, says: "amd/gpu/Model A", mend: `device "amd/gpu" {`, make: asks(`device "nvidia/gpu" {}`)},
	{
		kind: constraintFails, subject: about, says: "attribute memory is 15360 MiB, and the job wants >= 40 GiB",
		mend: "constraint {\n  attribute = \"${device.attr.memory}\"\n  operator  = \">=\"\n  value     = \"15360 MiB\"\n}",
		make: asks(one("attribute = \"${device.attr.memory}\"\noperator = \">=\"\nvalue = \"40 GiB\"")),
	},
	{
		kind: constraintFails, subject: about, says: "attribute driver_version is 580.82.07", mend: `value     = ">= 580.82.07"`,
		make: asks(one("attribute = \"${device.attr.driver_version}\"\noperator = \"version\"\nvalue = \">= 600\"")),
	},
	{
		kind: constraintFails, subject: about, says: "${device.model} is Model A", mend: `value     = "^Model A$"`,
		make: asks(one("attribute = \"${device.model}\"\noperator = \"regexp\"\nvalue = \"H100\"")),
	},
	{
		kind: constraintFails, subject: about, says: "the job wants set_contains GPU-9", mend: "leave out the constraint on ${device.ids}",
		make: asks(one("attribute = \"${device.ids}\"\noperator = \"set_contains\"\nvalue = \"GPU-9\"")),
	},
	{
		kind: attributeMissing, subject: about, says: `was "memory" meant?`, mend: "leave out the constraint on ${device.attr.memry}",
		make: asks(one("attribute = \"${device.attr.memry}\"\noperator = \">=\"\nvalue = \"1 GiB\"")),
	},
	{
		kind: constraintUnlike, subject: about, says: "attribute memory is the number 15360 MiB with a unit, and 1000 is the number 1000 without a unit", mend: `value     = "1000 MiB"`,
		make: asks(one("attribute = \"${device.attr.memory}\"\noperator = \">=\"\nvalue = \"1000\"")),
	},
	{
		kind: constraintUnlike, subject: about, says: `the text "580.82.07"`, mend: "operator  = \"version\"\n  value     = \">= 550.54\"",
		make: asks(one("attribute = \"${device.attr.driver_version}\"\noperator = \">=\"\nvalue = \"550.54\"")),
	},
	{
		kind: affinityUnmet, subject: about, says: "the job wants > 40 GiB", mend: "leave the affinity out",
		make: asks("device \"gpu\" {\n  affinity {\n    attribute = \"${device.attr.memory}\"\n    operator = \">\"\n    value = \"40 GiB\"\n    weight = 50\n  }\n}"),
	},
	{
		kind: countUnmet, subject: about, says: "amd/gpu/Model A: 2 of 4 healthy, 2 free", mend: "count = 2",
		make: func(s *stand) { s.unhealthy(0, 1); s.job("exec", "", "device \"gpu\" {\n  count = 3\n}") },
	},
	{
		kind: countSplit, subject: about, says: "there are 4, but not of one group", mend: "count = 3",
		make: func(s *stand) { s.secondModel(); s.job("exec", "", "device \"gpu\" {\n  count = 4\n}") },
	},
	{
		kind: devicesTaken, subject: about, says: "GPU-1: allocation a1b2c3d4 of job other, task w", mend: "or count = 3",
		make: func(s *stand) {
			s.agent()
			s.allocs = []*api.Allocation{
				{ID: "a1b2c3d4-0000", JobID: "other", ClientStatus: "running", AllocatedResources: &api.AllocatedResources{
					Tasks: map[string]*api.AllocatedTaskResources{"w": {Devices: []*api.AllocatedDeviceResource{{DeviceIDs: []string{"GPU-1"}}}}},
				}},
				{ID: "ffffffff-0000", JobID: "ended", ClientStatus: "complete", AllocatedResources: &api.AllocatedResources{
					Tasks: map[string]*api.AllocatedTaskResources{"w": {Devices: []*api.AllocatedDeviceResource{{DeviceIDs: []string{"GPU-2"}}}}},
				}},
			}
			s.job("exec", "", "device \"gpu\" {\n  count = 4\n}")
		},
	},
	{
		kind: requestsCompete, subject: `g/t: device "amd/gpu"`, says: "leave 1", mend: "count = 1",
		make: asks("device \"gpu\" {\n  count = 3\n}\ndevice \"amd/gpu\" {\n  count = 2\n}"),
	},
	{kind: deviceBlocks, subject: "g/t", says: "2 device blocks", mend: "in one block", make: asks("device \"gpu\" {}\ndevice \"amd/gpu\" {}")},
	{
		kind: driverUndetected, subject: "g/t", says: "the driver raw_exec: the node does not list it", mend: "nomad node status -verbose 6e5f2d3c",
		make: func(s *stand) { s.agent(); s.job("raw_exec", "", `device "gpu" {}`) },
	},
	{
		kind: driverUndetected, subject: "g/t", says: "not healthy on the node: dockerd is gone", mend: "nomad node status",
		make: func(s *stand) {
			s.agent()
			s.node.Drivers["docker"].Healthy, s.node.Drivers["docker"].HealthDescription = false, "dockerd is gone"
			s.job("docker", "", `device "gpu" {}`)
		},
	},
	{
		kind: driverNoNodes, subject: "g/t", says: "see all nodes of the host", mend: `driver = "docker"`,
		make: func(s *stand) { s.job("raw_exec", "", `device "gpu" {}`) },
	},
	{
		kind: nobodyExcluded, subject: "g/t", says: "dev/kfd (mode 0660)", mend: `user = "root"`,
		make: func(s *stand) {
			s.requireNodes()
			node := filepath.Join(s.root, "dev/kfd")
			s.chmod(node, 0o660)
			s.script.Nodes = []string{node, os.DevNull}
			s.job("exec", `cap_drop = ["CAP_DAC_OVERRIDE"]`, `device "gpu" {}`)
		},
	},
	{
		kind: runtimeMissing, subject: "g/t", says: "Docker has: io.containerd.runc.v2,runc", mend: "nvidia-ctk runtime configure --runtime=docker",
		make: func(s *stand) {
			s.runtime("")
			s.node.Attributes["driver.docker.runtimes"] = "io.containerd.runc.v2,runc"
		},
	},
	{
		kind: runtimeForbidden, subject: "g/t", says: "runtime gpu-runtime", mend: `allow_runtimes = ["runc", "gpu-runtime"]`,
		make: func(s *stand) {
			s.runtime("")
			s.head += "plugin \"docker\" {\n  config {\n    nvidia_runtime = \"gpu-runtime\"\n    allow_runtimes = [\"runc\"]\n  }\n}\n"
		},
	},
	{
		kind: runtimeConflict, subject: "g/t", says: "sets the container runtime runc", mend: `runtime = "nvidia"`,
		make: func(s *stand) { s.runtime(`runtime = "runc"`) },
	},
}

// runtime has the plugin leave the device to NVIDIA's container runtime, and a
// docker task ask for one.
func (s *stand) runtime(config string) {
	s.script.Env = map[string]string{"NVIDIA_VISIBLE_DEVICES": "GPU-0"}
	s.agent()
	s.job("docker", config, `device "gpu" {}`)
}
