package main

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/hashicorp/nomad/plugins/device"
	"github.com/hashicorp/nomad/plugins/shared/structs"
)

// textPrinter writes tables for people.
type textPrinter struct{ w io.Writer }

func (p textPrinter) report(r report) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "Plugin   %s %s, device API %s\n", r.Plugin.Name, r.Plugin.Version, strings.Join(r.Plugin.APIVersions, ", "))
	fmt.Fprintf(&b, "File     %s\n", r.Plugin.Path)
	fmt.Fprintf(&b, "Started  handshake after %s, first fingerprint after %s\n",
		r.Timings.Handshake.Round(time.Millisecond), r.Timings.FirstFingerprint.Round(time.Millisecond))
	if len(r.Groups) == 0 {
		b.WriteString("\nNo devices.\n")
		for _, remark := range r.Remarks {
			fmt.Fprintf(&b, "  %s\n", remark)
		}
	}
	for _, g := range r.Groups {
		writeGroup(&b, g)
	}
	if r.Stats != nil {
		writeStats(&b, r.Stats)
	}
	if r.Reservation != nil {
		writeReservation(&b, r.Reservation)
	}
	return p.flush(&b)
}

// flush writes b, without the blanks that a table leaves behind empty cells.
func (p textPrinter) flush(b *bytes.Buffer) error {
	var clean strings.Builder
	for line := range strings.Lines(b.String()) {
		clean.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	_, err := io.WriteString(p.w, clean.String())
	return err
}

func writeGroup(b *bytes.Buffer, g *device.DeviceGroup) {
	healthy := 0
	for _, d := range g.Devices {
		if d.Healthy {
			healthy++
		}
	}
	fmt.Fprintf(b, "\n%s: %s, %d healthy\n\n", groupName(g.Vendor, g.Type, g.Name), count(len(g.Devices), "device"), healthy)
	rows := [][]string{{"DEVICE", "HEALTH", "PCI", "NOTE"}}
	for _, d := range g.Devices {
		pci := "-"
		if d.HwLocality != nil && d.HwLocality.PciBusID != "" {
			pci = d.HwLocality.PciBusID
		}
		rows = append(rows, []string{d.ID, health(d), pci, d.HealthDesc})
	}
	table(b, rows)
	if len(g.Attributes) == 0 {
		return
	}
	b.WriteString("\n")
	rows = [][]string{{"ATTRIBUTE", "VALUE"}}
	for _, key := range slices.Sorted(maps.Keys(g.Attributes)) {
		rows = append(rows, []string{key, attributeText(g.Attributes[key])})
	}
	table(b, rows)
}

func writeStats(b *bytes.Buffer, groups []*device.DeviceGroupStats) {
	b.WriteString("\nStatistics\n")
	for _, g := range groups {
		fmt.Fprintf(b, "\n%s\n\n", groupName(g.Vendor, g.Type, g.Name))
		rows := [][]string{{"DEVICE", "STATISTIC", "VALUE", "MEANING"}}
		for _, id := range slices.Sorted(maps.Keys(g.InstanceStats)) {
			d := g.InstanceStats[id]
			rows = append(rows, []string{id, "(summary)", statText(d.Summary), statMeaning(d.Summary)})
			rows = append(rows, statRows("", d.Stats)...)
		}
		table(b, rows)
	}
}

func statRows(prefix string, s *structs.StatObject) [][]string {
	if s == nil {
		return nil
	}
	var rows [][]string
	for _, name := range slices.Sorted(maps.Keys(s.Attributes)) {
		rows = append(rows, []string{"", prefix + name, statText(s.Attributes[name]), statMeaning(s.Attributes[name])})
	}
	for _, name := range slices.Sorted(maps.Keys(s.Nested)) {
		rows = append(rows, statRows(prefix+name+" / ", s.Nested[name])...)
	}
	return rows
}

func writeReservation(b *bytes.Buffer, r *reservationReport) {
	fmt.Fprintf(b, "\nReservation of %s\n", strings.Join(r.IDs, ", "))
	if len(r.Envs) > 0 {
		b.WriteString("\n")
		rows := [][]string{{"VARIABLE", "VALUE"}}
		for _, key := range slices.Sorted(maps.Keys(r.Envs)) {
			rows = append(rows, []string{key, r.Envs[key]})
		}
		table(b, rows)
	}
	if len(r.Devices) > 0 {
		b.WriteString("\n")
		rows := [][]string{{"NODE IN THE TASK", "ON THE HOST", "PERMISSIONS"}}
		for _, d := range r.Devices {
			rows = append(rows, []string{d.TaskPath, d.HostPath, d.CgroupPerms})
		}
		table(b, rows)
	}
	if len(r.Mounts) > 0 {
		b.WriteString("\n")
		rows := [][]string{{"MOUNT IN THE TASK", "ON THE HOST", "ACCESS"}}
		for _, m := range r.Mounts {
			access := "read-write"
			if m.ReadOnly {
				access = "read-only"
			}
			rows = append(rows, []string{m.TaskPath, m.HostPath, access})
		}
		table(b, rows)
	}
	if len(r.Envs)+len(r.Devices)+len(r.Mounts) == 0 {
		b.WriteString("\n  nothing: the task gets no variable, node or mount\n")
	}
}

func (p textPrinter) fingerprint(at time.Time, before, now []*device.DeviceGroup) error {
	var b bytes.Buffer
	for _, change := range changes(before, now) {
		fmt.Fprintf(&b, "%s  %s\n", at.Format(time.TimeOnly), change)
	}
	return p.flush(&b)
}

func (p textPrinter) stats(at time.Time, groups []*device.DeviceGroupStats) error {
	var b bytes.Buffer
	for _, g := range groups {
		for _, id := range slices.Sorted(maps.Keys(g.InstanceStats)) {
			fmt.Fprintf(&b, "%s  %s: %s\n", at.Format(time.TimeOnly), id, statText(g.InstanceStats[id].Summary))
		}
	}
	return p.flush(&b)
}

// changes says in words what is different between two fingerprints.
func changes(before, now []*device.DeviceGroup) []string {
	old, current := byName(before), byName(now)
	var all []string
	for _, name := range slices.Sorted(maps.Keys(old)) {
		if current[name] == nil {
			all = append(all, fmt.Sprintf("%s: gone, with %s", name, count(len(old[name].Devices), "device")))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(current)) {
		if old[name] == nil {
			all = append(all, fmt.Sprintf("%s: new, with %s", name, count(len(current[name].Devices), "device")))
			continue
		}
		all = append(all, deviceChanges(name, old[name], current[name])...)
		all = append(all, attributeChanges(name, old[name], current[name])...)
	}
	if len(all) == 0 {
		all = append(all, "a message without a change")
	}
	return all
}

func deviceChanges(group string, before, now *device.DeviceGroup) []string {
	var all []string
	old := map[string]*device.Device{}
	for _, d := range before.Devices {
		old[d.ID] = d
	}
	for _, d := range now.Devices {
		was := old[d.ID]
		delete(old, d.ID)
		note := ""
		if d.HealthDesc != "" {
			note = ": " + d.HealthDesc
		}
		switch {
		case was == nil:
			all = append(all, fmt.Sprintf("%s: device %s is new and %s%s", group, d.ID, health(d), note))
		case was.Healthy != d.Healthy || was.HealthDesc != d.HealthDesc:
			all = append(all, fmt.Sprintf("%s: device %s is %s%s", group, d.ID, health(d), note))
		}
	}
	for _, id := range slices.Sorted(maps.Keys(old)) {
		all = append(all, fmt.Sprintf("%s: device %s is gone", group, id))
	}
	return all
}

func attributeChanges(group string, before, now *device.DeviceGroup) []string {
	var all []string
	keys := maps.Clone(before.Attributes)
	if keys == nil {
		keys = map[string]*structs.Attribute{}
	}
	maps.Copy(keys, now.Attributes)
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		was, is := attributeText(before.Attributes[key]), attributeText(now.Attributes[key])
		if was != is {
			all = append(all, fmt.Sprintf("%s: %s is %s, was %s", group, key, is, was))
		}
	}
	return all
}

func byName(groups []*device.DeviceGroup) map[string]*device.DeviceGroup {
	all := map[string]*device.DeviceGroup{}
	for _, g := range groups {
		all[groupName(g.Vendor, g.Type, g.Name)] = g
	}
	return all
}

func groupName(vendor, kind, name string) string { return vendor + "/" + kind + "/" + name }

func health(d *device.Device) string {
	if d.Healthy {
		return "healthy"
	}
	return "unhealthy"
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

func attributeText(a *structs.Attribute) string {
	if a == nil {
		return "not set"
	}
	return withUnit(fmt.Sprint(attributeValue(a)), a.Unit)
}

// statText writes a value as Nomad's own commands do.
func statText(s *structs.StatValue) string {
	switch {
	case s == nil:
		return "-"
	case s.BoolVal != nil:
		return strconv.FormatBool(*s.BoolVal)
	case s.StringVal != nil:
		return withUnit(*s.StringVal, s.Unit)
	case s.FloatNumeratorVal != nil:
		text := strconv.FormatFloat(*s.FloatNumeratorVal, 'f', 3, 64)
		if s.FloatDenominatorVal != nil {
			text += " / " + strconv.FormatFloat(*s.FloatDenominatorVal, 'f', 3, 64)
		}
		return withUnit(text, s.Unit)
	case s.IntNumeratorVal != nil:
		text := strconv.FormatInt(*s.IntNumeratorVal, 10)
		if s.IntDenominatorVal != nil {
			text += " / " + strconv.FormatInt(*s.IntDenominatorVal, 10)
		}
		return withUnit(text, s.Unit)
	default:
		return "-"
	}
}

func statMeaning(s *structs.StatValue) string {
	if s == nil {
		return ""
	}
	return s.Desc
}

func withUnit(text, unit string) string {
	if unit == "" {
		return text
	}
	return text + " " + unit
}

// table writes rows as aligned columns, indented by two.
func table(b *bytes.Buffer, rows [][]string) {
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintf(t, "  %s\n", strings.Join(row, "\t"))
	}
	_ = t.Flush() // a buffer takes everything
}
