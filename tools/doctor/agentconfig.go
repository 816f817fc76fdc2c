package doctor

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl"

	"github.com/nomad-devices/nomad-devices/tools/pluginclient"
)

// agentConfig is what an agent's configuration says about plugins.
type agentConfig struct {
	// known says that there is one.
	known     bool
	pluginDir string
	// read says that the plugin directory could be read.
	read   bool
	blocks []*block
}

// block is a plugin block.
type block struct {
	name   string
	args   []string
	config pluginclient.Config
	source string
}

// block returns the block with a label, or nil.
func (c *agentConfig) block(name string) *block {
	i := slices.IndexFunc(c.blocks, func(b *block) bool { return b.name == name })
	if i < 0 {
		return nil
	}
	return c.blocks[i]
}

// agentFile is what is read of one file of an agent's configuration.
type agentFile struct {
	DataDir   string `hcl:"data_dir"`
	PluginDir string `hcl:"plugin_dir"`
	Client    struct {
		Enabled bool `hcl:"enabled"`
	} `hcl:"client"`
	Plugins []struct {
		Name   string         `hcl:",key"`
		Args   []string       `hcl:"args"`
		Config map[string]any `hcl:"config"`
		Extra  []string       `hcl:",unusedKeys"`
	} `hcl:"plugin"`
}

// readConfig reads the agent's configuration from files and directories, and
// merges it as Nomad does: what comes later wins, and of two plugin blocks with
// one label the later config block stands for both.
func (x *examination) readConfig() {
	var dataDir string
	client := false
	for _, path := range x.AgentConfig {
		for _, file := range x.configFiles(path) {
			f, err := readAgentFile(file)
			if err != nil {
				x.report.find(configUnreadable, file, values{"file": file, "error": err.Error()})
				continue
			}
			x.config.known = true
			if f.DataDir != "" {
				dataDir = f.DataDir
			}
			if f.PluginDir != "" {
				x.config.pluginDir = f.PluginDir
			}
			client = client || f.Client.Enabled
			x.mergeBlocks(f, file)
		}
	}
	if x.config.pluginDir == "" && dataDir != "" {
		x.config.pluginDir = filepath.Join(dataDir, "plugins")
	}
	if x.config.known && !client {
		x.report.find(clientDisabled, strings.Join(x.AgentConfig, ", "), nil)
	}
	if x.config.known && x.config.pluginDir == "" && x.PluginDir == "" {
		x.report.find(pluginDirUnknown, strings.Join(x.AgentConfig, ", "), nil)
	}
}

func (x *examination) mergeBlocks(f *agentFile, file string) {
	for _, p := range f.Plugins {
		subject := fmt.Sprintf("plugin %q", p.Name)
		if len(p.Extra) > 0 {
			slices.Sort(p.Extra)
			x.report.find(settingOutside, subject, values{
				"file": file, "keys": strings.Join(p.Extra, ", "), "name": p.Name, "key": p.Extra[0],
			})
		}
		now := &block{name: p.Name, args: p.Args, config: p.Config, source: file}
		before := x.config.block(p.Name)
		if before == nil {
			x.config.blocks = append(x.config.blocks, now)
			continue
		}
		x.report.find(blockTwice, subject, values{"first": before.source, "second": file, "name": p.Name})
		if len(now.args) == 0 {
			now.args = before.args
		}
		if len(now.config) == 0 {
			now.config = before.config
		}
		*before = *now
	}
}

// configFiles lists the files that Nomad reads for a -config argument.
func (x *examination) configFiles(path string) []string {
	entries, err := os.ReadDir(path)
	if err != nil {
		return []string{path} // it is a file, or reading it will say what is wrong
	}
	var files []string
	for _, entry := range entries {
		name := entry.Name()
		file := filepath.Join(path, name)
		switch {
		case entry.IsDir() || strings.HasPrefix(name, ".#"): // Emacs' lock
		case strings.HasSuffix(name, ".hcl") || strings.HasSuffix(name, ".json"):
			files = append(files, file)
		default:
			x.skippedFile(file)
		}
	}
	if len(files) == 0 {
		x.report.find(configEmpty, path, values{"dir": path})
	}
	return files // in the order of their names, as Nomad sorts them
}

// skippedFile looks whether a file that Nomad does not read was meant to be.
func (x *examination) skippedFile(file string) {
	const most = 1 << 20
	info, err := os.Stat(file)
	if err != nil || !info.Mode().IsRegular() || info.Size() > most {
		return
	}
	f, err := readAgentFile(file)
	if err != nil || len(f.Plugins) == 0 {
		return
	}
	x.report.find(configSkipped, file, values{"file": file})
}

func readAgentFile(file string) (*agentFile, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("%s", plainPathError(err))
	}
	f := &agentFile{}
	if err := hcl.Decode(f, string(text)); err != nil {
		return nil, err
	}
	return f, nil
}

// configOf reads the configuration of a running agent, as /v1/agent/self has it.
func configOf(self map[string]any) (agentConfig, error) {
	var known struct {
		PluginDir string
		Plugins   []struct {
			Name   string
			Args   []string
			Config map[string]any
		}
	}
	text, err := json.Marshal(self)
	if err != nil {
		return agentConfig{}, err
	}
	if err := json.Unmarshal(text, &known); err != nil {
		return agentConfig{}, fmt.Errorf("the agent's configuration is not as expected: %w", err)
	}
	c := agentConfig{known: true, pluginDir: known.PluginDir}
	for _, p := range known.Plugins {
		c.blocks = append(c.blocks, &block{name: p.Name, args: p.Args, config: p.Config, source: "the running agent"})
	}
	return c, nil
}
