package xrt

import (
	"fmt"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/family"
)

// The codes of the family's faults.
const (
	codeNotReady  = "not-ready"
	codeMgmt      = "mgmt-not-ready"
	codeOffline   = "offline"
	codeBadState  = "bad-state"
	codeFactory   = "factory-image"
	codeNoDriver  = "no-driver"
	codeFirewall  = "firewall-tripped"
	codeNoShell   = "no-shell"
	codeOffTheBus = "off-the-bus"
	codeHalf      = "card-incomplete"
)

const (
	remedyReset   = "drain the node and reset the card (xbutil reset); if that does not help, power-cycle the node"
	remedyPower   = "drain the node and power-cycle it"
	remedyFactory = "flash a shell (xbmgmt program) and power-cycle the node"
	remedyWait    = "it should take seconds; if it lasts, look at the kernel log (dmesg)"
)

// faults says what is wrong with a card that has the given state, as far as its
// user function tells.
func (s state) faults() []core.Fault {
	var faults []core.Fault
	if s.offline.Known() && s.offline.Value != 0 {
		faults = append(faults, core.Fault{
			Code: codeOffline, Severity: core.Hard,
			Reason: "the card is offline: it is being reset", Remedy: remedyWait,
		})
	}
	if s.bad.Known() && s.bad.Value != 0 {
		faults = append(faults, core.Fault{
			Code: codeBadState, Severity: core.Hard,
			Reason: "the driver says that the card is in a bad state", Remedy: remedyReset,
		})
	}
	switch {
	case s.ready == family.Is[uint64](1):
	case s.reset():
		faults = append(faults, notReady("the card's attributes are gone, as during a reset", remedyWait))
	case !s.ready.Known():
		faults = append(faults, notReady("whether the card is ready cannot be read: "+s.ready.Err.Error(), remedyWait))
	default:
		faults = append(faults, notReady("the card is not ready: its user function does not reach the management function",
			"on bare metal, look whether the driver xclmgmt has the management function; in a virtual machine, whether the daemons msd (host) and mpd (guest) run"))
	}
	return faults
}

func notReady(reason, remedy string) core.Fault {
	return core.Fault{Code: codeNotReady, Severity: core.Soft, Reason: reason, Remedy: remedy}
}

// faultLost is that of a card whose registers answer with all bits set.
var faultLost = core.Fault{
	Code: codeOffTheBus, Severity: core.Hard, Err: family.ErrAllOnes,
	Reason: "the card has fallen off the bus", Remedy: remedyPower,
}

func factoryFault(reason string) core.Fault {
	return core.Fault{
		Code: codeFactory, Severity: core.Hard,
		Reason: "the card runs its factory image: " + reason, Remedy: remedyFactory,
	}
}

// shellFaults says what is wrong with the shell of a user function. vbnv is its
// name, as far as it was ever read.
func shellFaults(vbnv family.Fact[string], rom string) []core.Fault {
	switch {
	case vbnv.Known() && isFactory(vbnv.Value):
		return []core.Fault{factoryFault("its shell is " + vbnv.Value)}
	case rom == "":
		return []core.Fault{{
			Code: codeNoShell, Severity: core.Soft,
			Reason: "the card does not tell its shell: the sub-device rom is missing", Remedy: remedyWait,
		}}
	case !vbnv.Known():
		return []core.Fault{{
			Code: codeNoShell, Severity: core.Soft,
			Reason: "the name of the card's shell cannot be read: " + vbnv.Err.Error(), Remedy: remedyWait,
		}}
	default:
		return nil
	}
}

// mgmtFaults says what a management function tells of its card's health. Its file
// "error" is left alone: reading it clears it.
func mgmtFaults(host *sysfs.FS, mgmt function) []core.Fault {
	var faults []core.Fault
	for _, file := range []struct{ name, reason string }{
		{"mfg", "its management function is in manufacturing mode"},
		{"recovery", "its management function is in recovery mode"},
	} {
		if f := family.ReadUint(host, mgmt.dir+"/"+file.name); f.Known() && f.Value != 0 {
			faults = append(faults, factoryFault(file.reason))
			break
		}
	}
	if f := family.ReadUint(host, mgmt.dir+"/ready"); f.Known() && f.Value != 1 && len(faults) == 0 {
		faults = append(faults, core.Fault{
			Code: codeMgmt, Severity: core.Soft,
			Reason: "the card's management function is not ready", Remedy: remedyWait,
		})
	}
	names, _ := host.ReadDir(mgmt.dir) // a function that cannot be listed has no verdict
	firewall, ok := subdevices(names)["firewall"]
	if !ok {
		return faults
	}
	if level := family.ReadUint(host, mgmt.dir+"/"+firewall+"/detected_level"); level.Known() && level.Value != 0 {
		faults = append(faults, core.Fault{
			Code: codeFirewall, Severity: core.Hard,
			Reason: fmt.Sprintf("the AXI firewall has tripped at level %d: what ran on the card broke the bus protocol", level.Value),
			Remedy: remedyReset,
		})
	}
	return faults
}
