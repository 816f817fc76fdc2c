package dfl

import (
	"context"
	"fmt"
	"strings"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/family"
)

// instance is a port, or in region mode a whole card.
type instance struct {
	family  *Family
	host    *sysfs.FS
	id      string
	address core.PCIAddress
	pciDir  string
	fme     string // the engine's directory; empty if it is out of reach

	port   string // the port's directory; empty in region mode
	number uint64
	target *image // what the port is to be programmed with, or nil

	units   []unit // in region mode
	sensors *sensors
}

// Grant implements [family.Instance].
func (i *instance) Grant(context.Context) (family.Grant, error) {
	if i.port == "" {
		return i.grantRegion()
	}
	dir, _, err := i.find()
	if err != nil {
		return family.Grant{}, err
	}
	var g family.Grant
	g.Nodes = []core.Node{node(dir)}
	if i.family.cfg.UIO {
		g.Nodes = append(g.Nodes, uioNodes(i.host, dir)...)
	}
	return g, nil
}

// grantRegion hands over the engine and all ports that it could take.
func (i *instance) grantRegion() (family.Grant, error) {
	var g family.Grant
	for _, u := range i.units {
		bases, err := bases(i.host, i.family.layout, u.pciDir)
		if err != nil {
			return family.Grant{}, err
		}
		for _, base := range bases {
			if base.fme != "" {
				engine := node(base.fme)
				g.Nodes = append([]core.Node{engine}, g.Nodes...)
				g.Exceptions = append(g.Exceptions, engine.Path)
			}
			for _, port := range base.ports {
				g.Nodes = append(g.Nodes, node(port))
			}
		}
	}
	if len(g.Exceptions) == 0 {
		return family.Grant{}, fmt.Errorf("the management engine of %s is no longer there", i.address)
	}
	return g, nil
}

// node returns the device node of an engine or a port, which is called as its
// directory.
func node(dir string) core.Node {
	return core.Node{Path: "/dev/" + dir[strings.LastIndexByte(dir, '/')+1:], Permissions: "rw"}
}

// base is a base region with the directories of what is in it.
type base struct {
	fme   string
	ports []string
}

// bases lists the base regions of a function as they are now: their numbers, and
// those of the nodes, change when the driver is loaded again.
func bases(host *sysfs.FS, l *layout, pciDir string) ([]base, error) {
	names, err := host.ReadDir(pciDir + "/" + l.dir)
	if err != nil {
		return nil, err
	}
	var all []base
	for _, name := range names {
		if !is(name, l.base) {
			continue
		}
		at := pciDir + "/" + l.dir + "/" + name
		names, err := host.ReadDir(at)
		if err != nil {
			return nil, err
		}
		var b base
		fme, ports := l.members(names)
		if fme != "" {
			b.fme = at + "/" + fme
		}
		for _, port := range ports {
			b.ports = append(b.ports, at+"/"+port)
		}
		all = append(all, b)
	}
	return all, nil
}

// find returns the directory of the port as it is called now, and that of the
// engine beside it, which is empty if the port is with a virtual function.
func (i *instance) find() (port, engine string, err error) {
	bases, err := bases(i.host, i.family.layout, i.pciDir)
	if err != nil {
		return "", "", err
	}
	for _, b := range bases {
		for _, port := range b.ports {
			if id := family.ReadUint(i.host, port+"/id"); id.Known() && id.Value == i.number {
				return port, b.fme, nil
			}
		}
	}
	return "", "", fmt.Errorf("port %d of %s is no longer there", i.number, i.address)
}

// uioNodes returns the nodes of a port's features that are driven from user
// space (drivers/uio/uio_dfl.c).
func uioNodes(host *sysfs.FS, port string) []core.Node {
	names, err := host.ReadDir(port)
	if err != nil {
		return nil
	}
	var nodes []core.Node
	for _, name := range below(names, "dfl_dev.") {
		devices, err := host.ReadDir(port + "/" + name + "/uio")
		if err != nil {
			continue
		}
		for _, uio := range below(devices, "uio") {
			nodes = append(nodes, core.Node{Path: "/dev/" + uio, Permissions: "rw"})
		}
	}
	return nodes
}
