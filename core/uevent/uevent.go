// Package uevent tells of devices that come, go and change, as the kernel itself
// does: by kobject uevents over netlink (lib/kobject_uevent.c of Linux). No daemon
// and no privilege is needed to hear them.
//
// A uevent is a hint, never a fact: by the time it is read the device may have
// gone on, and events get lost. So [Watch] makes nothing of them but looks.
package uevent

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// Event is a uevent.
type Event struct {
	// Action is what happened: "add", "remove", "change", "move", "online",
	// "offline", "bind" or "unbind".
	Action string
	// Path is the device's path below /sys: "/devices/pci0000:00/0000:00:01.0".
	Path string
	// Subsystem is that of the device: "pci", "drm".
	Subsystem string
	// Vars are all variables of the event, these three among them: "PCI_SLOT_NAME",
	// "DEVNAME", and what the driver adds.
	Vars map[string]string

	// Lost says that something happened of which nothing is known, because events
	// were more than the kernel keeps. The other fields are empty.
	Lost bool
}

// ErrMalformed says that a message is no uevent of the kernel.
var ErrMalformed = errors.New("not a uevent of the kernel")

// Parse reads a message as the kernel sends it: ACTION@DEVPATH and the variables
// KEY=VALUE, each with a NUL behind it. What has no "=" is left out. Messages of
// udev, which go by another format over another group, are [ErrMalformed].
func Parse(message []byte) (Event, error) {
	head, rest, _ := bytes.Cut(message, []byte{0})
	action, path, ok := strings.Cut(string(head), "@")
	if !ok || action == "" || !strings.HasPrefix(path, "/") {
		return Event{}, fmt.Errorf("%w: it begins with %.80q, which is no ACTION@/PATH", ErrMalformed, head)
	}
	e := Event{Action: action, Path: path, Vars: make(map[string]string)}
	for variable := range bytes.SplitSeq(rest, []byte{0}) {
		if key, value, ok := strings.Cut(string(variable), "="); ok && key != "" {
			e.Vars[key] = value
		}
	}
	e.Subsystem = e.Vars["SUBSYSTEM"]
	return e, nil
}
