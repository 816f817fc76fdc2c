package core

// PCIAddress is the address of a PCI function as sysfs writes it, in lower case
// with a domain of at least four digits: "0000:3b:00.0".
type PCIAddress string

// Group names a set of like devices. A job asks for it as
// device "vendor/type/name".
type Group struct {
	// Vendor is the maker in lower case, without a slash: "nvidia".
	Vendor string
	// Type is the kind of device in lower case, without a slash: "gpu". A part
	// or a share of a device has a type of its own, because a job that asks for
	// "gpu" means a whole one.
	Type string
	// Name is the model; it may hold blanks and slashes. It must survive
	// reboots and driver updates.
	Name string
}

// String returns the form that a job uses: vendor/type/name.
func (g Group) String() string { return g.Vendor + "/" + g.Type + "/" + g.Name }

// Device is one thing that a task can have to itself.
//
// A Device that could not be identified in this scan has no ID: the core then
// takes everything but Faults from what it knew last under the probe's key.
type Device struct {
	// ID is stable over process restarts, reboots, driver reloads and the
	// coming and going of other devices. It is unique over all groups, holds
	// no comma, blank or control byte, and does not read as a number.
	ID string
	// Group is the group that the device is offered in.
	Group Group
	// PCI is the function that a task uses, or empty where there is none. Nomad
	// finds the NUMA node by it.
	PCI PCIAddress
	// Attributes are facts that jobs may constrain. They must not change from
	// scan to scan of their own accord: each change is a node update. Keys are
	// lower case with underscores. A missing key means that the device has no
	// such fact; [Unknown] means that it could not be read this time, and keeps
	// the value known last.
	Attributes map[string]Value
	// Faults is what is wrong with the device, as seen by this scan.
	Faults []Fault
	// Cleared lists the codes of latched faults that this scan disproves. "*"
	// stands for all. Being able to read a device is not evidence; a driver
	// that says "no recovery needed" is.
	Cleared []string
	// Ref is the vendor's own: handles, minor numbers. The core hands it back
	// in Measure and Grant, never looks inside and never compares it. It must
	// not be changed once it is returned.
	Ref any
}
