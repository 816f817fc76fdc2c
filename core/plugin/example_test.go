package plugin_test

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/nomad/plugins/base"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/config"
	"github.com/nomad-devices/nomad-devices/core/plugin"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/core/sysfs/pci"
)

// Config is the configuration of the example: what all plugins have, and one
// setting of its own.
type Config struct {
	config.Common
	Permissions string `hcl:"permissions" default:"rw" oneof:"r,rw" doc:"What a task may do with the clock."`
}

// Clocks offers the precision clocks of network cards to tasks.
type Clocks struct {
	cfg  *Config
	host *sysfs.FS
}

// Discover lists the clocks in /sys/class/ptp (Documentation/ABI/testing/sysfs-ptp).
func (c *Clocks) Discover(context.Context) (core.Inventory, error) {
	names, err := c.host.ReadDir("/sys/class/ptp")
	if sysfs.IsAbsent(err) {
		return core.Inventory{Notes: []core.Note{{Subject: "ptp", Text: "this kernel has no precision clocks"}}}, nil
	}
	if err != nil {
		return core.Inventory{}, err
	}
	var inventory core.Inventory
	for _, name := range names {
		inventory.Probes = append(inventory.Probes, core.Probe{
			Key:  name,
			Read: func(context.Context) ([]core.Device, error) { return c.read(name) },
		})
	}
	return inventory, nil
}

// read reads one clock. Its ID is the address of its card: ptp0 is whichever
// clock came first at boot.
func (c *Clocks) read(name string) ([]core.Device, error) {
	dir := "/sys/class/ptp/" + name
	card, err := c.host.Resolve(dir + "/device")
	if err != nil {
		return nil, err
	}
	address, err := pci.ParseAddress(path.Base(card))
	if err != nil {
		return nil, err
	}
	d := core.Device{
		ID:         "ptp-" + string(address),
		Group:      core.Group{Vendor: "linux", Type: "clock", Name: "PTP hardware clock"},
		PCI:        address,
		Attributes: map[string]core.Value{},
		Ref:        name,
	}
	if channels, err := c.host.ReadInt(dir + "/n_external_timestamps"); err == nil {
		d.Attributes["external_timestamps"] = core.Count(channels)
	}
	return []core.Device{d}, nil
}

// Measure has nothing to tell.
func (c *Clocks) Measure(context.Context, core.Device) ([]core.Reading, error) { return nil, nil }

// Grant hands over the clock's node.
func (c *Clocks) Grant(_ context.Context, d core.Device) (core.Grant, error) {
	node := "/dev/" + d.Ref.(string)
	return core.Grant{
		Lists: map[string][]string{"PTP_CLOCKS": {node}},
		Nodes: []core.Node{{Path: node, Permissions: c.cfg.Permissions}},
	}, nil
}

// Definition is all that main needs: func main() { plugin.Main(Definition) }.
var Definition = plugin.Definition[*Config]{
	Name:     "nomad-device-ptp",
	Defaults: config.Defaults[Config],
	New:      func(cfg *Config, env plugin.Env) core.Vendor { return &Clocks{cfg: cfg, host: env.Host} },
}

// A whole plugin: the precision clocks of network cards, which the kernel shows
// in /sys/class/ptp.
func Example() {
	root := machine()
	defer os.RemoveAll(root)

	p, closePlugin := plugin.New(Definition, hclog.NewNullLogger())
	defer closePlugin()
	var settings []byte
	_ = base.MsgPackEncode(&settings, map[string]any{"host_root": root})
	if err := p.SetConfig(&base.Config{PluginConfig: settings}); err != nil {
		fmt.Println(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	messages, _ := p.Fingerprint(ctx)
	for _, group := range (<-messages).Devices {
		fmt.Println(group.Vendor, group.Type, group.Name, *group.Attributes["external_timestamps"].Int)
		for _, d := range group.Devices {
			fmt.Println(d.ID, d.Healthy, d.HwLocality.PciBusID)
		}
	}
	reservation, err := p.Reserve([]string{"ptp-0000:3b:00.0"})
	fmt.Println(reservation.Envs["PTP_CLOCKS"], reservation.Devices[0].TaskPath, err)
	_, err = p.Reserve([]string{"ptp-0000:99:00.0"})
	fmt.Println(err)

	// Output:
	// linux clock PTP hardware clock 2
	// ptp-0000:3b:00.0 true 0000:3b:00.0
	// ptp-0000:5e:00.0 true 0000:5e:00.0
	// /dev/ptp1 /dev/ptp1 <nil>
	// device "ptp-0000:99:00.0" is not known: it is gone, ignored by the plugin's configuration, or was never there
}

// machine makes a host root with two clocks.
func machine() string {
	root, _ := os.MkdirTemp("", "ptp")
	for name, address := range map[string]string{"ptp0": "0000:5e:00.0", "ptp1": "0000:3b:00.0"} {
		card := filepath.Join(root, "sys/devices/pci", address)
		clock := filepath.Join(card, "ptp", name)
		_ = os.MkdirAll(clock, 0o755)
		_ = os.Symlink("../../../"+address, filepath.Join(clock, "device"))
		_ = os.WriteFile(filepath.Join(clock, "n_external_timestamps"), []byte("2\n"), 0o600)
		_ = os.MkdirAll(filepath.Join(root, "sys/class/ptp"), 0o755)
		_ = os.Symlink("../../devices/pci/"+address+"/ptp/"+name, filepath.Join(root, "sys/class/ptp", name))
		_ = os.MkdirAll(filepath.Join(root, "dev"), 0o755)
		_ = os.WriteFile(filepath.Join(root, "dev", name), nil, 0o600)
	}
	return root
}
