package doctor

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/nomad-devices/nomad-devices/tools/pluginclient"
)

// builtin are the plugins that are in Nomad's own binary and need no file.
var builtin = []string{"docker", "exec", "raw_exec", "java", "qemu", "mock_driver"}

// blocks matches the labels of plugin blocks with the names of files, as Nomad
// does: a file whose name no block has is not loaded.
func (x *examination) blocks() {
	if !x.config.known {
		if len(x.AgentConfig) == 0 && x.Nomad == nil {
			x.report.find(configNone, "agent configuration", nil)
		}
		return
	}
	if !x.config.read {
		return
	}
	files := x.files()
	var spare []string // blocks without a file
	defer func() { x.mentioned = append(x.mentioned, spare...) }()
	for _, b := range x.config.blocks {
		if !slices.Contains(files, b.name) && !slices.Contains(builtin, b.name) {
			spare = append(spare, b.name)
		}
	}
	for _, c := range x.candidates {
		if filepath.Dir(c.file) != filepath.Clean(x.config.pluginDir) {
			continue
		}
		if c.block != nil {
			x.foundBlock(c)
			continue
		}
		v := values{"name": c.name, "file": c.file}
		near := nearest(c.name, spare)
		if near == "" {
			x.report.find(blockMissing, c.file, v)
			continue
		}
		spare = slices.DeleteFunc(spare, func(name string) bool { return name == near })
		v["block"], v["source"] = near, x.config.block(near).source
		x.report.find(blockMisspelt, fmt.Sprintf("plugin %q", near), v)
		// What the block says is what was meant for the plugin.
		c.block = x.config.block(near)
	}
	for _, name := range spare {
		if len(x.Plugins) == 0 && looksLikeDevicePlugin(name) || slices.Contains(x.Plugins, name) {
			x.report.find(blockWithoutFile, fmt.Sprintf("plugin %q", name), values{
				"name": name, "file": filepath.Join(x.config.pluginDir, name), "source": x.config.block(name).source,
				"elsewhere": x.elsewhere(name),
			})
		}
	}
}

func (x *examination) foundBlock(c *candidate) {
	subject := fmt.Sprintf("plugin %q", c.name)
	x.report.find(blockFound, subject, values{"source": c.block.source})
	if len(c.block.args) > 0 {
		x.report.find(blockArgs, subject, values{"args": fmt.Sprintf("%q", c.block.args)})
	}
	if enabled, ok := c.block.config["enabled"]; ok && fmt.Sprint(enabled) == "false" {
		x.report.find(pluginDisabled, subject, values{"source": c.block.source})
		c.disabled = true
	}
	if ignored := c.ignored(); len(ignored) > 0 {
		x.report.find(devicesIgnored, subject, values{"ids": some(ignored), "source": c.block.source})
	}
}

// files returns the names that Nomad would match with blocks.
func (x *examination) files() []string {
	entries, err := os.ReadDir(x.config.pluginDir)
	if err != nil {
		return nil
	}
	var names []string
	for _, entry := range entries {
		names = append(names, pluginclient.NameOf(entry.Name()))
	}
	return names
}

// elsewhere says where a plugin's file is, if it is in one of the places where
// people put it.
func (x *examination) elsewhere(name string) string {
	for _, dir := range []string{"/opt/nomad/plugins", "/opt/nomad/data/plugins", "/usr/local/bin", "/usr/bin", "/etc/nomad.d/plugins", "/var/lib/nomad/plugins"} {
		file := filepath.Join(dir, name)
		if info, err := os.Stat(filepath.Join(x.hostRoot(), file)); err == nil && info.Mode().IsRegular() {
			return "; there is " + file
		}
	}
	return ""
}

// ignored returns the devices that a plugin's configuration leaves out.
func (c *candidate) ignored() []string {
	if c.block == nil {
		return nil
	}
	var all []string
	for _, key := range []string{"ignored_ids", "ignored_gpu_ids"} {
		list, ok := c.block.config[key].([]any)
		if !ok {
			continue
		}
		for _, id := range list {
			all = append(all, fmt.Sprint(id))
		}
	}
	return all
}
