package plugin

import (
	"fmt"
	"math"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/nomad/plugins/shared/structs"

	"github.com/nomad-devices/nomad-devices/core"
)

var (
	groupWord     = regexp.MustCompile(`^[a-z0-9][a-z0-9_.-]*$`)
	attributeName = regexp.MustCompile(`^[a-z0-9][a-z0-9_.-]*$`)
	pciAddress    = regexp.MustCompile(`^[0-9a-f]{4,}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$`)
	// versionText is what go-version, by which Nomad compares, takes for a
	// version.
	versionText = regexp.MustCompile(`^v?[0-9]+(\.[0-9]+)*(-?[0-9A-Za-z~.-]+)?(\+[0-9A-Za-z~.-]+)?$`)
)

// vet returns the device without what would hurt Nomad's agent or could never
// be matched by a job, and says what that was. One bad value would cost all
// devices of the plugin (rules C18 to C21, C27, C32 to C37). A device that
// cannot be offered at all comes back without an ID.
func vet(d core.Device) (core.Device, []error) {
	var problems []error
	for _, err := range []error{vetID(d.ID), vetWord("vendor", d.Group.Vendor), vetWord("type", d.Group.Type)} {
		if err != nil {
			problems = append(problems, fmt.Errorf("the device is not offered: %w", err))
		}
	}
	name := plain(d.Group.Name)
	if name == "" {
		problems = append(problems, fmt.Errorf("the device is not offered: its group has no name (%q)", d.Group.Name))
	}
	if len(problems) > 0 {
		return core.Device{}, problems
	}
	if name != d.Group.Name {
		problems = append(problems, fmt.Errorf("the group name %q is offered as %q", d.Group.Name, name))
		d.Group.Name = name
	}
	if d.PCI != "" && !pciAddress.MatchString(string(d.PCI)) {
		problems = append(problems, fmt.Errorf("the PCI address %q is not of the form 0000:3b:00.0", d.PCI))
		d.PCI = ""
	}
	kept := make(map[string]core.Value, len(d.Attributes))
	for key, value := range d.Attributes {
		value, err := vetAttribute(key, value)
		if err != nil {
			problems = append(problems, fmt.Errorf("attribute %q: %w", key, err))
			continue
		}
		kept[key] = value
	}
	d.Attributes = kept
	return d, problems
}

// vetID refuses an ID that Nomad or a job could not use.
func vetID(id string) error {
	switch {
	case id == "":
		return fmt.Errorf("it has no ID")
	case plain(id) != id || strings.ContainsFunc(id, unicode.IsSpace) || strings.Contains(id, ","):
		return fmt.Errorf("the ID %q holds a blank, a comma or a byte that is not text", id)
	case strings.HasPrefix(id, "${"):
		return fmt.Errorf("the ID %q begins with ${, which Nomad would replace", id)
	case structs.ParseAttribute(id).String == nil:
		return fmt.Errorf("the ID %q reads as a number or truth value, so no constraint could match it", id)
	default:
		return nil
	}
}

func vetWord(what, word string) error {
	if !groupWord.MatchString(word) {
		return fmt.Errorf("the %s %q is not a lower-case word", what, word)
	}
	return nil
}

// vetAttribute returns the value as it may be published. A value that is not
// known this time passes: the last one is kept in its place.
func vetAttribute(key string, v core.Value) (core.Value, error) {
	switch {
	case !attributeName.MatchString(key):
		return v, fmt.Errorf("the name is not made of lower-case letters, digits, _, . and -")
	case strings.HasPrefix(key, "unique."):
		return v, fmt.Errorf("names that begin with \"unique.\" are left out of Nomad's node classes, but device constraints are not")
	}
	switch v.Kind() {
	case core.KindNone, core.KindUnknown, core.KindBool:
		return v, nil
	case core.KindInt, core.KindFloat:
		if math.IsNaN(v.AsFloat()) || math.IsInf(v.AsFloat(), 0) {
			return v, fmt.Errorf("%v is not a number", v)
		}
		if _, ok := structs.UnitIndex[string(v.Unit())]; !ok && v.Unit() != core.NoUnit {
			return v, fmt.Errorf("the unit %q is not one of Nomad's", v.Unit())
		}
		return v, nil
	case core.KindVersion:
		text := plain(v.Text())
		if !versionText.MatchString(text) {
			return v, fmt.Errorf("%q does not parse as a version", v.Text())
		}
		return core.Version(text), nil
	default:
		text := plain(v.Text())
		switch {
		case text == "":
			return v, fmt.Errorf("the text is empty")
		case structs.ParseAttribute(text).String == nil:
			return v, fmt.Errorf("the text %q reads as a number or truth value, so no constraint could match it", text)
		}
		return core.String(text), nil
	}
}

// plain returns the text without what is not valid UTF-8, without control bytes
// and without blanks around it.
func plain(s string) string {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "")
	}
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, s)
	return strings.TrimSpace(s)
}
