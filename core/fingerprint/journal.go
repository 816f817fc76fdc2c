package fingerprint

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/go-hclog"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/guard"
	"github.com/nomad-devices/nomad-devices/core/health"
)

// journal tells the operator what changed: one line for each change, none for a
// look that shows what the last one showed.
type journal struct {
	log hclog.Logger
	// said holds, by subject, what was said and still holds. What a whole scan
	// did not say again is forgotten, so that it is said anew when it comes
	// back.
	said, again map[string]string
	changed     bool
}

func newJournal(log hclog.Logger) *journal {
	return &journal{log: log, said: map[string]string{}, again: map[string]string{}, changed: true}
}

// once logs a message unless it was the last one said of the subject.
func (j *journal) once(level hclog.Level, subject, message string, args ...any) {
	text := message + fmt.Sprint(args...)
	j.again[subject] = text
	if j.said[subject] != text {
		j.said[subject] = text
		j.log.Log(level, message, args...)
	}
}

// begin opens a scan.
func (j *journal) begin() { clear(j.again) }

// finish closes a scan, and says what is offered now if that changed.
func (j *journal) finish(s *Snapshot) {
	j.said, j.again = j.again, map[string]string{}
	if !j.changed {
		return
	}
	j.changed = false
	if len(s.Groups) == 0 {
		j.log.Info("no devices found")
		return
	}
	groups := make([]string, len(s.Groups))
	for i, g := range s.Groups {
		groups[i] = fmt.Sprintf("%d x %s", len(g.Devices), g.Group)
	}
	j.log.Info("devices found", "groups", strings.Join(groups, ", "))
}

func (j *journal) notes(notes []core.Note) {
	for _, n := range notes {
		j.once(hclog.Info, "note "+n.Subject, n.Text, "subject", n.Subject)
	}
}

// unread says that a card that was never identified cannot be read.
func (j *journal) unread(card string, err error) {
	if card == "" {
		j.once(hclog.Warn, "unread", "could not look for devices", "error", err)
		return
	}
	j.once(hclog.Warn, "unread "+card, "could not read a device that was never identified; it is not offered", "device", card, "error", err)
}

func (j *journal) partly(card string, err error) {
	j.once(hclog.Warn, "partly "+card, "a card could be read in part only", "device", card, "error", err)
}

func (j *journal) panicked(card string, err error) {
	if p, ok := errors.AsType[*guard.PanicError](err); ok {
		j.once(hclog.Error, "panic "+card, "the plugin failed while it read a device; please report this", "device", card, "panic", p.Value, "stack", string(p.Stack))
	}
}

func (j *journal) vetted(d core.Device, problems []error) {
	for _, p := range problems {
		j.once(hclog.Warn, "vet "+d.ID+p.Error(), "left out what Nomad could not bear", "device", d.ID, "problem", p)
	}
}

func (j *journal) twice(id, first, second string) {
	cards := []string{first, second}
	slices.Sort(cards)
	j.once(hclog.Warn, "twice "+id, "two cards show the same device ID; the first is used", "device", id, "cards", cards)
}

func (j *journal) differs(group core.Group, attribute string) {
	j.once(hclog.Info, "differ "+group.String()+attribute, "the devices of a group do not share an attribute; it is left out", "group", group.String(), "attribute", attribute)
}

func (j *journal) found(d core.Device) {
	j.changed = true
	j.log.Debug("new device", "device", d.ID, "group", d.Group.String(), "pci", d.PCI)
}

func (j *journal) returned(d core.Device) {
	j.changed = true
	j.log.Debug("the device is there again", "device", d.ID, "group", d.Group.String())
}

func (j *journal) dropped(d core.Device) {
	j.changed = true
	j.log.Warn("the device was gone for a minute and is listed no more", "device", d.ID, "group", d.Group.String())
}

// health says how the health of a device changed.
func (j *journal) health(d core.Device, before, after health.State) {
	switch {
	case before == after:
	case !before.Healthy && !after.Healthy:
		j.log.Info("more is known about the unhealthy device", "device", d.ID, "pci", d.PCI, "reason", after.Reason)
	case !after.Healthy:
		j.log.Warn("the device is unhealthy", "device", d.ID, "pci", d.PCI, "reason", after.Reason)
	case !before.Healthy:
		j.log.Info("the device is healthy again", "device", d.ID, "pci", d.PCI)
	case after.Reason != "":
		j.log.Info("the device is healthy, with a remark", "device", d.ID, "pci", d.PCI, "remark", after.Reason)
	}
}

// event logs what the driver told without a change of health.
func (j *journal) event(e core.Event) {
	if e.Text != "" {
		j.log.Info(e.Text, "devices", e.Devices)
	}
}
