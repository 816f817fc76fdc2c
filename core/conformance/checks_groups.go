package conformance

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/go-version"
	"github.com/hashicorp/nomad/plugins/device"
	"github.com/hashicorp/nomad/plugins/shared/structs"
)

// everyMessage makes a case of a look at each fingerprint of the session and of
// the trials.
func everyMessage(look func(groups []*device.DeviceGroup, p *problems)) func(context.Context, *bench) error {
	return func(_ context.Context, b *bench) error {
		if _, err := b.session.groups(); err != nil {
			return err
		}
		moments, err := b.session.messages()
		if err != nil {
			return err
		}
		var p problems
		for _, m := range slices.Concat(moments, b.trials.messages()) {
			look(present(m.message.Devices), &p)
		}
		return p.err()
	}
}

// present leaves out what is nil, or arrives as nil does: that is C18's matter.
func present(groups []*device.DeviceGroup) []*device.DeviceGroup {
	var all []*device.DeviceGroup
	for _, g := range groups {
		if g == nil || g.Vendor == "" && g.Type == "" && g.Name == "" && len(g.Devices) == 0 {
			continue
		}
		kept := *g
		kept.Devices = slices.DeleteFunc(slices.Clone(g.Devices), isNothing)
		all = append(all, &kept)
	}
	return all
}

// eachAttribute makes a look of one at an attribute.
func eachAttribute(look func(g *device.DeviceGroup, key string, a *structs.Attribute, p *problems)) func([]*device.DeviceGroup, *problems) {
	return func(groups []*device.DeviceGroup, p *problems) {
		for _, g := range groups {
			for _, key := range slices.Sorted(maps.Keys(g.Attributes)) {
				if a := g.Attributes[key]; a != nil {
					look(g, key, a, p)
				}
			}
		}
	}
}

// lookValid: Nomad's own check.
func lookValid(groups []*device.DeviceGroup, p *problems) {
	for _, g := range groups {
		if err := g.Validate(); err != nil {
			for line := range strings.Lines(err.Error()) {
				if line = strings.TrimLeft(strings.TrimSpace(line), "* "); line != "" && !strings.HasSuffix(line, "occurred:") {
					p.add("group %s: %s", groupName(g), line)
				}
			}
		}
	}
}

// lookText: every text is valid, trimmed, and without control bytes.
func lookText(groups []*device.DeviceGroup, p *problems) {
	check := func(what, text string) {
		switch {
		case !utf8.ValidString(text):
			p.add("%s %q is not valid UTF-8", what, text)
		case strings.ContainsFunc(text, unicode.IsControl):
			p.add("%s %q holds a control byte", what, text)
		case strings.TrimSpace(text) != text:
			p.add("%s %q has blanks around it", what, text)
		}
	}
	for _, g := range groups {
		check("the vendor", g.Vendor)
		check("the type", g.Type)
		check("the name", g.Name)
		for key, a := range g.Attributes {
			check("the attribute's name", key)
			if a != nil && a.String != nil {
				check("the attribute "+key, *a.String)
			}
		}
		for _, d := range g.Devices {
			check("the ID", d.ID)
			check("the health of "+d.ID, d.HealthDesc)
			if d.HwLocality != nil {
				check("the PCI bus ID of "+d.ID, d.HwLocality.PciBusID)
			}
		}
	}
}

// checkText is lookText, and what the connection refused to carry.
func checkText(ctx context.Context, b *bench) error {
	if err := b.session.unready(); err != nil {
		return err
	}
	var p problems
	if _, end := b.session.fingerprints.played(); end != nil {
		if rule, what := blame(b.session.instance, end); rule == "C20" {
			return p.with("%s", what)
		}
	}
	for _, what := range b.troubles.of("C20") {
		p.add("%s", what)
	}
	if len(p) > 0 {
		return p.err()
	}
	return everyMessage(lookText)(ctx, b)
}

func lookFinite(g *device.DeviceGroup, key string, a *structs.Attribute, p *problems) {
	if a.Float != nil && (math.IsNaN(*a.Float) || math.IsInf(*a.Float, 0)) {
		p.add("group %s: the attribute %s is %v", groupName(g), key, *a.Float)
	}
}

func lookUnique(groups []*device.DeviceGroup, p *problems) {
	seen := map[string]bool{}
	for _, g := range groups {
		name := groupName(g)
		if seen[name] {
			p.add("the group %s is there twice", name)
		}
		seen[name] = true
	}
}

var word = regexp.MustCompile(`^[a-z0-9][a-z0-9_.-]*$`)

func lookWords(groups []*device.DeviceGroup, p *problems) {
	for _, g := range groups {
		for what, text := range map[string]string{"vendor": g.Vendor, "type": g.Type} {
			if text != "" && !word.MatchString(text) { // an empty one is C19's matter
				p.add("the %s %q of group %s is not a lower-case word", what, text, groupName(g))
			}
		}
	}
}

func lookIDs(groups []*device.DeviceGroup, p *problems) {
	seen := map[string]string{}
	for _, g := range groups {
		for _, d := range g.Devices {
			if d.ID == "" {
				continue // C19's matter
			}
			if before, ok := seen[d.ID]; ok {
				p.add("the ID %q is there twice: in %s and in %s", d.ID, before, groupName(g))
			}
			seen[d.ID] = groupName(g)
			switch {
			case strings.ContainsFunc(d.ID, unicode.IsSpace) && strings.TrimSpace(d.ID) == d.ID, strings.Contains(d.ID, ","):
				p.add("the ID %q holds a blank or a comma", d.ID)
			case strings.HasPrefix(d.ID, "${"):
				p.add("the ID %q begins with ${", d.ID)
			case structs.ParseAttribute(d.ID).String == nil:
				p.add("the ID %q reads as %s", d.ID, reading(d.ID))
			}
		}
	}
}

// reading says as what Nomad reads a text.
func reading(text string) string {
	switch a := structs.ParseAttribute(text); {
	case a.Bool != nil:
		return "a truth value"
	case a.Unit != "":
		return "a number of " + a.Unit
	default:
		return "a number"
	}
}

// versionKey matches the names of attributes that hold versions.
var versionKey = regexp.MustCompile(`(^|_)(version|capability)$`)

func lookTypes(groups []*device.DeviceGroup, p *problems) {
	for _, g := range groups {
		if g.Name != "" && structs.ParseAttribute(g.Name).String == nil {
			p.add("the name %q of a group reads as %s", g.Name, reading(g.Name))
		}
	}
	eachAttribute(func(g *device.DeviceGroup, key string, a *structs.Attribute, p *problems) {
		if a.String != nil && !versionKey.MatchString(key) && *a.String != "" && structs.ParseAttribute(*a.String).String == nil {
			p.add("group %s: the attribute %s is the text %q, which a job reads as %s", groupName(g), key, *a.String, reading(*a.String))
		}
	})(groups, p)
}

// firmware matches numbers that are called versions and are none: those of
// firmware, which are hexadecimal.
var firmware = regexp.MustCompile(`^[0-9A-Fa-f]+([.-][0-9A-Fa-f]+)+$`)

func lookVersions(g *device.DeviceGroup, key string, a *structs.Attribute, p *problems) {
	if !versionKey.MatchString(key) {
		return
	}
	if a.String == nil {
		p.add("group %s: the version %s is %s and no text", groupName(g), key, renderAttribute(a))
		return
	}
	if _, err := version.NewVersion(*a.String); err != nil && !firmware.MatchString(*a.String) {
		p.add("group %s: the version %s = %q does not parse", groupName(g), key, *a.String)
	}
}

// quantity matches the names of attributes that have a unit.
var quantity = regexp.MustCompile(`^(memory|power|bandwidth|clock)$|_(memory|power|bandwidth|clock)$`)

func lookUnits(g *device.DeviceGroup, key string, a *structs.Attribute, p *problems) {
	if quantity.MatchString(key) && (a.Int != nil || a.Float != nil) && a.Unit == "" {
		p.add("group %s: the attribute %s = %s has no unit", groupName(g), key, renderAttribute(a))
	}
}

var pciBusID = regexp.MustCompile(`^[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$`)

func lookLocality(groups []*device.DeviceGroup, p *problems) {
	for _, g := range groups {
		for _, d := range g.Devices {
			if d.HwLocality != nil && !pciBusID.MatchString(d.HwLocality.PciBusID) {
				p.add("the PCI bus ID of %s is %q, want one like \"0000:3b:00.0\", or none", d.ID, d.HwLocality.PciBusID)
			}
		}
	}
}

func lookKeys(g *device.DeviceGroup, key string, _ *structs.Attribute, p *problems) {
	if strings.HasPrefix(key, "unique.") {
		p.add("group %s: the attribute %s", groupName(g), key)
	}
}

func lookHealthyCount(groups []*device.DeviceGroup, p *problems) {
	for _, g := range groups {
		want := int64(0)
		for _, d := range g.Devices {
			if d.Healthy {
				want++
			}
		}
		switch a := g.Attributes["healthy_count"]; {
		case a == nil || a.Int == nil:
			p.add("group %s has no whole number healthy_count", groupName(g))
		case *a.Int != want:
			p.add("group %s: healthy_count is %d, and %d devices are healthy", groupName(g), *a.Int, want)
		}
	}
}

func lookReasons(groups []*device.DeviceGroup, p *problems) {
	for _, g := range groups {
		for _, d := range g.Devices {
			if !d.Healthy && strings.TrimSpace(d.HealthDesc) == "" {
				p.add("the device %s is unhealthy and says no reason", d.ID)
			}
		}
	}
}

// errLike makes an ordinary error of one that would skip a case.
func errLike(err error) error { return errors.New(fmt.Sprint(err)) }
