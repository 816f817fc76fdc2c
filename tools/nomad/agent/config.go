package agent

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Role is what an agent is.
type Role int

const (
	// ServerAndClient is a cluster of its own.
	ServerAndClient Role = iota
	// ServerOnly has no node and runs nothing.
	ServerOnly
	// ClientOnly is a node of a server that another agent is.
	ClientOnly
)

// Config says what agent to run.
type Config struct {
	// Nomad is the binary to run.
	Nomad Nomad
	// Dir is where everything goes. It must exist and be empty; [Agent.Close]
	// removes it.
	Dir string
	// Plugins are the device plugins to load.
	Plugins []Plugin
	// Chroot maps host files to their place in the root of exec tasks. Nothing
	// else is there.
	Chroot map[string]string
	// StatsInterval is how often devices are measured; 0 means a second.
	StatsInterval time.Duration
	// Docker is the endpoint of the Docker engine, such as
	// "unix:///var/run/docker.sock". Without one the docker driver is off.
	Docker string

	// What follows is for agents of a [Cluster], which sets what the caller
	// leaves out.

	// Role is what the agent is.
	Role Role
	// Name is the node's name; "" means the machine's.
	Name string
	// Servers are where a client finds its servers: "127.0.0.1:4647". Nobody
	// else needs any.
	Servers []string
	// AdvertiseRPC is where clients are to find a server; "" means where it is.
	AdvertiseRPC string
	// Deny are fingerprinters of Nomad's own to leave out.
	Deny []string
}

// Plugin is a device plugin to load.
type Plugin struct {
	// Binary is its file, which is copied into the agent's plugin directory
	// under its own name.
	Binary string
	// Config is the content of its config block, in HCL.
	Config string
}

func (p Plugin) name() string { return strings.TrimSuffix(filepath.Base(p.Binary), ".exe") }

// ports are those of one agent.
type ports struct{ http, rpc, serf int }

// freePorts finds three ports that nobody listens on.
func freePorts() (ports, error) {
	var found [3]int
	for i := range found {
		tcp, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return ports{}, fmt.Errorf("looking for a free port: %w", err)
		}
		defer func() { _ = tcp.Close() }() // all are held until all are found
		found[i] = tcp.Addr().(*net.TCPAddr).Port
	}
	return ports{http: found[0], rpc: found[1], serf: found[2]}, nil
}

func (c Config) pluginDir() string { return filepath.Join(c.Dir, "plugins") }
func (c Config) dataDir() string   { return filepath.Join(c.Dir, "data") }
func (c Config) file() string      { return filepath.Join(c.Dir, "agent.hcl") }
func (c Config) logFile() string   { return filepath.Join(c.Dir, "agent.log") }

// write writes the agent's configuration file and installs the plugins.
func (c Config) write(p ports) error {
	for _, dir := range []string{c.pluginDir(), c.dataDir()} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	for _, plugin := range c.Plugins {
		if err := install(plugin.Binary, filepath.Join(c.pluginDir(), filepath.Base(plugin.Binary))); err != nil {
			return fmt.Errorf("installing the plugin: %w", err)
		}
	}
	return os.WriteFile(c.file(), []byte(c.text(p)), 0o600)
}

// install copies a binary as a package would: complete under another name first.
func install(from, to string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.WriteFile(to+".new", content, 0o755); err != nil {
		return err
	}
	return os.Rename(to+".new", to)
}

func (c Config) text(p ports) string {
	var b strings.Builder
	interval := c.StatsInterval
	if interval == 0 {
		interval = time.Second
	}
	drivers := "raw_exec,exec"
	if c.Docker != "" {
		drivers += ",docker"
	}
	if c.Name != "" {
		fmt.Fprintf(&b, "name                 = %q\n", c.Name)
	}
	// The fingerprinters left out ask addresses that no loopback answers.
	denied := slices.Concat(strings.Split("env_aws,env_azure,env_gce,env_digitalocean,consul,vault,cni,plugins_cni", ","), c.Deny)
	servers := c.Servers
	if c.Role != ClientOnly {
		servers = []string{fmt.Sprintf("127.0.0.1:%d", p.rpc)}
	}
	fmt.Fprintf(&b, `data_dir             = %q
plugin_dir           = %q
bind_addr            = "127.0.0.1"
log_level            = "DEBUG"
disable_update_check = true
leave_on_interrupt   = false
leave_on_terminate   = false

advertise {
  http = "127.0.0.1"
  rpc  = %q
  serf = "127.0.0.1"
}

ports {
  http = %d
  rpc  = %d
  serf = %d
}

consul {
  auto_advertise   = false
  client_auto_join = false
  server_auto_join = false
}

`, c.dataDir(), c.pluginDir(), cmp.Or(c.AdvertiseRPC, "127.0.0.1"), p.http, p.rpc, p.serf)
	if c.Role != ClientOnly {
		b.WriteString("server {\n  enabled          = true\n  bootstrap_expect = 1\n  raft_multiplier  = 1\n}\n")
	}
	fmt.Fprintf(&b, `
client {
  enabled = %t
  servers = %s
  options {
    "fingerprint.denylist" = %q
    "driver.allowlist"     = %q
  }
`, c.Role != ServerOnly, list(servers), strings.Join(denied, ","), drivers)
	if len(c.Chroot) > 0 {
		b.WriteString("  chroot_env {\n")
		for _, from := range slices.Sorted(maps.Keys(c.Chroot)) {
			fmt.Fprintf(&b, "    %q = %q\n", from, c.Chroot[from])
		}
		b.WriteString("  }\n")
	}
	fmt.Fprintf(&b, `}

limits {
  http_max_conns_per_client = 0
}

telemetry {
  collection_interval = %q
}

plugin "raw_exec" {
  config {
    enabled = true
  }
}
`, interval)
	if c.Docker != "" {
		fmt.Fprintf(&b, "\nplugin \"docker\" {\n  config {\n    endpoint = %q\n    allow_runtimes = [\"runc\", \"nvidia\"]\n    gc {\n      image = false\n    }\n  }\n}\n", c.Docker)
	}
	for _, plugin := range c.Plugins {
		fmt.Fprintf(&b, "\nplugin %q {\n  config {\n%s\n  }\n}\n", plugin.name(), indent(plugin.Config, "    "))
	}
	return b.String()
}

func indent(text, by string) string {
	var b strings.Builder
	for line := range strings.Lines(strings.TrimSpace(text)) {
		b.WriteString(by + strings.TrimRight(line, "\n") + "\n")
	}
	return strings.TrimRight(b.String(), "\n")
}
