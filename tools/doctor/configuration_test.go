package doctor

import (
	"fmt"
	"path/filepath"
)

var configurationMistakes = []mistake{
	{kind: blockFound, make: func(*stand) {}, subject: `plugin "nomad-device-amd"`, says: "/stand/agent.hcl"},
	{
		kind: configNone, subject: "agent configuration", says: "none was found", mend: "devctl doctor --agent-config /etc/nomad.d",
		make: func(s *stand) { s.options.AgentConfig = nil },
	},
	{
		kind: configUnreadable, subject: "/stand/agent.hcl", says: "expected", mend: "nomad config validate /stand/agent.hcl",
		make: func(s *stand) { s.head += "client {\n" },
	},
	{
		kind: configUnreadable, subject: "/stand/none.hcl", says: "no such file", mend: "nomad config validate /stand/none.hcl",
		make: func(s *stand) {
			s.options.AgentConfig = append(s.options.AgentConfig, filepath.Join(s.dir, "none.hcl"))
		},
	},
	{
		kind: configEmpty, subject: "/stand/plugins", says: ".hcl or .json", mend: "ls -l /stand/plugins",
		make: func(s *stand) { s.options.AgentConfig = append(s.options.AgentConfig, s.plugins) },
	},
	{
		kind: configSkipped, subject: "/stand/nomad.d/gpu.conf", says: "does not read it", mend: "mv /stand/nomad.d/gpu.conf /stand/nomad.d/gpu.conf.hcl",
		make: func(s *stand) {
			dir := filepath.Join(s.dir, "nomad.d")
			s.write(filepath.Join(dir, "gpu.conf"), "plugin \"nomad-device-amd\" {\n  config {}\n}\n", 0o644)
			s.write(filepath.Join(dir, "README"), "What is here", 0o644)
			s.write(filepath.Join(dir, ".#agent.hcl"), "a lock", 0o644)
			s.write(filepath.Join(dir, "agent.hcl"), s.head, 0o644)
			s.options.AgentConfig = []string{dir}
		},
	},
	{
		kind: clientDisabled, subject: "/stand/agent.hcl", says: "no client", mend: "client {\n  enabled = true\n}",
		make: func(s *stand) { s.head = fmt.Sprintf("plugin_dir = %q\nserver {\n  enabled = true\n}\n", s.plugins) },
	},
	{
		kind: pluginDirUnknown, subject: "/stand/agent.hcl", says: "neither", mend: `plugin_dir = "`,
		make: func(s *stand) { s.head = "client {\n  enabled = true\n}\n" },
	},
	{
		kind: blockMissing, subject: "/stand/plugins/nomad-device-amd", says: `"nomad-device-amd"`, mend: "plugin \"nomad-device-amd\" {\n  config {}\n}",
		make: func(s *stand) { s.label = "" },
	},
	{
		kind: blockMisspelt, subject: `plugin "amd"`, says: `the file is called "nomad-device-amd"`, mend: `plugin "nomad-device-amd" {   # instead of plugin "amd"`,
		make: func(s *stand) { s.label = "amd" },
	},
	{
		kind: blockMisspelt, subject: `plugin "nomad-devices-amd"`, says: `the file is called "nomad-device-amd"`, mend: `plugin "nomad-device-amd" {`,
		make: func(s *stand) { s.label = "nomad-devices-amd" },
	},
	{
		kind: blockWithoutFile, subject: `plugin "nomad-device-fpga"`, says: "; there is /opt/nomad/plugins/nomad-device-fpga",
		mend: "install -m 0755 nomad-device-fpga /stand/plugins/nomad-device-fpga",
		make: func(s *stand) {
			s.head += "plugin \"nomad-device-fpga\" {}\nplugin \"docker\" {}\nplugin \"nomad-driver-podman\" {}\n"
			s.write(filepath.Join(s.root, "opt/nomad/plugins/nomad-device-fpga"), "", 0o755)
		},
	},
	{
		kind: blockTwice, subject: `plugin "nomad-device-amd"`, says: "in /stand/first.json and in /stand/agent.hcl", mend: "one block",
		make: func(s *stand) {
			first := filepath.Join(s.dir, "first.json")
			s.write(first, `{"plugin": {"nomad-device-amd": {"config": {"enabled": true}}}}`, 0o644)
			s.options.AgentConfig = append([]string{first}, s.options.AgentConfig...)
		},
	},
	{
		kind: blockArgs, subject: `plugin "nomad-device-amd"`, says: `["-name" "nomad-device-amd"]`, mend: "args = []",
		make: func(s *stand) { s.args = []string{"-name", "nomad-device-amd"} },
	},
	{
		kind: settingOutside, subject: `plugin "nomad-device-amd"`, says: "fingerprint_period", mend: "    fingerprint_period = …",
		make: func(s *stand) {
			s.head += "plugin \"nomad-device-amd\" {\n  fingerprint_period = \"1s\"\n}\n"
		},
	},
	{
		kind: settingUnknown, subject: `plugin "nomad-device-amd"`, says: `"ignored_id", which the plugin does not know; was "ignored_ids" meant?`,
		mend: `take "ignored_id" out`,
		make: func(s *stand) { s.extra = "ignored_id = [\"x\"]" },
	},
	{
		kind: settingRefused, subject: `plugin "nomad-device-amd"`, says: "bool", mend: "as the plugin says",
		make: func(s *stand) { s.extra = "enabled = \"perhaps\"" },
	},
	{
		kind: settingRefused, subject: `plugin "nomad-device-amd"`, says: "period: 0s is less than 1s", mend: "as the plugin says",
		make: func(s *stand) { s.script.Refuse = "period: 0s is less than 1s" },
	},
	{
		kind: pluginDisabled, subject: `plugin "nomad-device-amd"`, says: "switched off", mend: "enabled = true",
		make: func(s *stand) { s.extra = "enabled = false" },
	},
	{
		kind: devicesIgnored, subject: `plugin "nomad-device-amd"`, says: "GPU-7", mend: "ignored_ids = []",
		make: func(s *stand) { s.extra = "ignored_ids = [\"GPU-7\"]" },
	},
}
