package doctor

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"
)

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
		kind: deviceUnhealthy, subject: "GPU-1", says: "amd/gpu/Model A: it fell off the bus; reseat it", mend: "# reseat it\ndevctl inspect /stand/plugins/nomad-device-amd --watch",
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
