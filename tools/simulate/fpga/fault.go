package fpga

import (
	"slices"

	"github.com/nomad-devices/nomad-devices/tools/simulate/machine"
)

// faults are what Break knows. A card that hangs is not among them: a file answers
// at once. Most are of some families alone, whose cards have the key.
var faults = []machine.Fault{
	{
		Name: "all-ones", Summary: "the card has fallen off the bus: its registers and UUIDs have all bits set",
		Needs: "uuid", Set: []string{"lost=true"},
	},
	{
		Name: "ami-no-amc", Summary: "the firmware of the card's controller does not answer (AMI)",
		Needs: "dev_state", Set: []string{"dev_state=NO_AMC"},
	},
	{
		Name: "app-gone", Summary: "the application function is gone, as while an image is loaded (AWS)",
		Needs: "slot", Set: []string{"app=false"},
	},
	{
		Name: "catastrophic", Summary: "the card reports a fatal error of its memory (DFL, OPAE)",
		Needs: "errors.catfatal", Set: []string{"errors.catfatal=0x10"}, // DramFatalErr
	},
	{
		Name: "factory", Summary: "the card runs the image that it left the factory with (XRT)",
		Needs: "shell", Set: []string{"factory=true"},
	},
	{
		Name: "firewall", Summary: "the AXI firewall has tripped (XRT)",
		Needs: "firewall.level", Set: []string{"firewall.level=1"},
	},
	{
		Name: "garbage", Summary: "all that the driver says of the card is nonsense",
		Needs: "driver", Set: []string{"garbage=true"},
	},
	{
		Name: "gone", Summary: "the card is gone, and all that belongs to it",
		Set: []string{"present=false"},
	},
	{
		Name: "manager-error", Summary: "programming the FPGA has failed",
		Needs: "manager.state", Set: []string{"manager.state=write error"},
	},
	{
		Name: "no-node", Summary: "the device nodes for tasks are missing in /dev",
		Needs: "node", Set: []string{"node=false"},
	},
	{
		Name: "not-ready", Summary: "the user function does not reach the management function (XRT)",
		Needs: "ready", Set: []string{"ready=0x0"},
	},
	{
		Name: "offline", Summary: "the card is being reset (XRT)",
		Needs: "dev_offline", Set: []string{"dev_offline=1"},
	},
	{
		Name: "port-busy", Summary: "the accelerator function's UUID cannot be read, as while a port is programmed (DFL, OPAE)",
		Needs: "ports", Set: []string{"port.busy=true"},
	},
	{
		Name: "reset", Summary: "the card is in a hot reset: the user function has lost its attributes (XRT)",
		Needs: "ready", Set: []string{"reset=true"},
	},
	{
		Name: "thermal-trip", Summary: "the card has stopped its accelerator functions because it was too hot (DFL, OPAE)",
		Needs: "power_state", Set: []string{"power_state=6"},
	},
	{
		Name: "unbound", Summary: "no driver has the card",
		Needs: "driver", Set: []string{"driver=none"},
	},
	{
		Name: "unreadable", Summary: "nothing that the driver shows of the card can be read",
		Needs: "driver", Set: []string{"unreadable=true"},
	},
}

// Faults gives what Break knows, by name.
func Faults() []machine.Fault { return slices.Clone(faults) }
