package doctor

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/go-version"
	"github.com/hashicorp/nomad/api"
	"github.com/hashicorp/nomad/helper/constraints/semver"
	"github.com/hashicorp/nomad/plugins/shared/structs"
)

// constraint is a constraint or an affinity of a device request.
type constraint struct{ left, operator, right string }

// outcome says what a constraint came to on a group.
type outcome int

const (
	holds outcome = iota
	fails
	// lacking means that the group does not have the attribute.
	lacking
	// unlike means that the two sides are of kinds that are never compared.
	unlike
)

// verdict is an outcome with both sides as they are on the group.
type verdict struct {
	outcome
	constraint
	group *api.NodeDeviceResource
	// attribute is the name of the device's attribute on one side, if one is.
	attribute string
	// leftValue and rightValue are the two sides, nil where one is not there.
	leftValue, rightValue *structs.Attribute
}

// on judges a constraint on a group as Nomad's scheduler does
// (scheduler/feasible, checkAttributeConstraint).
func (c constraint) on(g *api.NodeDeviceResource) verdict {
	v := verdict{constraint: c, group: g}
	left, leftFound := resolve(c.left, g)
	right, rightFound := resolve(c.right, g)
	v.leftValue, v.rightValue = left, right
	for _, target := range []string{c.left, c.right} {
		if name, ok := attributeName(target); ok {
			v.attribute = name
		}
	}
	switch {
	case c.operator == "is_set":
		v.outcome = when(leftFound, lacking)
	case c.operator == "is_not_set":
		v.outcome = when(!leftFound, fails)
	case slices.Contains([]string{"!=", "not"}, c.operator) && leftFound != rightFound:
		v.outcome = holds
	case !leftFound || !rightFound:
		v.outcome = lacking
	default:
		v.outcome = compare(left, c.operator, right)
	}
	return v
}

func when(ok bool, otherwise outcome) outcome {
	if ok {
		return holds
	}
	return otherwise
}

// resolve returns what one side of a constraint is on a group: a literal, or
// something of the device.
func resolve(target string, g *api.NodeDeviceResource) (*structs.Attribute, bool) {
	switch {
	case !strings.HasPrefix(target, "${"):
		return structs.ParseAttribute(target), true
	case target == "${device.ids}":
		var all []string
		for _, d := range g.Instances {
			all = append(all, d.ID)
		}
		return structs.NewStringAttribute(strings.Join(all, ",")), true
	case target == "${device.model}":
		return structs.NewStringAttribute(g.Name), true
	case target == "${device.vendor}":
		return structs.NewStringAttribute(g.Vendor), true
	case target == "${device.type}":
		return structs.NewStringAttribute(g.Type), true
	}
	name, ok := attributeName(target)
	if !ok {
		return nil, false
	}
	value, found := g.Attributes[name]
	return comparable(value), found
}

// attributeName returns the name in "${device.attr.name}".
func attributeName(target string) (string, bool) {
	name, ok := strings.CutPrefix(target, "${device.attr.")
	return strings.TrimSuffix(name, "}"), ok
}

func compare(left *structs.Attribute, operator string, right *structs.Attribute) outcome {
	text := func() (a, b string, ok bool) {
		a, okA := left.GetString()
		b, okB := right.GetString()
		return a, b, okA && okB
	}
	switch operator {
	case "", "=", "==", "is", "!=", "not", "<", "<=", ">", ">=":
		order, ok := left.Compare(right)
		if !ok {
			return unlike
		}
		return when(map[string]bool{
			"": order == 0, "=": order == 0, "==": order == 0, "is": order == 0, "!=": order != 0, "not": order != 0,
			"<": order == -1, "<=": order != 1, ">": order == 1, ">=": order != -1,
		}[operator], fails)
	case "version", "semver":
		return compareVersions(left, operator, right)
	case "regexp":
		a, b, ok := text()
		if !ok {
			return unlike
		}
		pattern, err := regexp.Compile(b)
		return when(err == nil && pattern.MatchString(a), fails)
	case "set_contains", "set_contains_all", "set_contains_any":
		a, b, ok := text()
		if !ok {
			return unlike
		}
		has, wanted := members(a), members(b)
		isIn := func(s string) bool { return slices.Contains(has, s) }
		if operator == "set_contains_any" {
			return when(slices.ContainsFunc(wanted, isIn), fails)
		}
		return when(!slices.ContainsFunc(wanted, func(s string) bool { return !isIn(s) }), fails)
	default:
		return fails
	}
}

func members(list string) []string {
	all := strings.Split(list, ",")
	for i, s := range all {
		all[i] = strings.TrimSpace(s)
	}
	return all
}

func compareVersions(left *structs.Attribute, operator string, right *structs.Attribute) outcome {
	text, ok := left.GetString()
	if n, whole := left.GetInt(); whole {
		text, ok = fmt.Sprint(n), true
	}
	wanted, literal := right.GetString()
	if !ok || !literal {
		return unlike
	}
	is, err := version.NewVersion(text)
	if err != nil {
		return fails
	}
	if operator == "semver" {
		c, err := semver.NewConstraint(wanted)
		return when(err == nil && c.Check(is), fails)
	}
	c, err := version.NewConstraint(wanted)
	return when(err == nil && c.Check(is), fails)
}

// String says what the constraint came to, with both sides as they are.
func (v verdict) String() string {
	name := groupName(v.group)
	operator := cmp.Or(v.operator, "=")
	switch v.outcome {
	case holds:
		return fmt.Sprintf("%s: %s %s %s holds", name, v.left, operator, v.right)
	case lacking:
		return fmt.Sprintf("%s has no %s", name, v.target())
	case unlike:
		return fmt.Sprintf("%s: %s is %s, and %s is %s: these are never compared by %s",
			name, v.target(), described(v.leftValue), v.right, described(v.rightValue), operator)
	default:
		if v.leftValue == nil {
			return fmt.Sprintf("%s: %s %s %s does not hold", name, v.left, operator, v.right)
		}
		return fmt.Sprintf("%s: %s is %s, and the job wants %s %s", name, v.target(), plainText(v.leftValue), operator, v.right)
	}
}

// target is the device's side of the constraint.
func (v verdict) target() string {
	if v.attribute != "" {
		return "attribute " + v.attribute
	}
	return v.left
}

// described says of what kind a value is.
func described(a *structs.Attribute) string {
	switch {
	case a == nil:
		return "not set"
	case a.String != nil:
		return fmt.Sprintf("the text %q", *a.String)
	case a.Bool != nil:
		return fmt.Sprintf("%t, true or false", *a.Bool)
	case a.Unit != "":
		return fmt.Sprintf("the number %s with a unit", plainText(a))
	default:
		return fmt.Sprintf("the number %s without a unit", plainText(a))
	}
}

func plainText(a *structs.Attribute) string {
	text := a.GoString()
	if a.Unit != "" {
		text = strings.TrimSuffix(text, a.Unit) + " " + a.Unit
	}
	return text
}

// replacement is a constraint like this one that holds on the group, or nil where
// there is none to offer.
func (v verdict) replacement() *constraint {
	is := v.leftValue
	if is == nil || v.attribute == "" && v.left != "${device.model}" {
		return nil
	}
	c := &constraint{v.left, cmp.Or(v.operator, "="), plainText(is)}
	text, isText := is.GetString()
	switch {
	case v.outcome == unlike && isText:
		// The literal was read as a number, or as true or false.
		c.operator, c.right = "regexp", "^"+regexp.QuoteMeta(v.right)+"$"
		if parsesAsVersion(text) && parsesAsVersion(v.right) {
			c.operator, c.right = "version", ">= "+v.right
		}
	case v.outcome == unlike && is.Unit != "" && isNumber(v.rightValue):
		c.right = v.right + " " + is.Unit
	case c.operator == "regexp":
		c.right = "^" + regexp.QuoteMeta(text) + "$"
	case (c.operator == "version" || c.operator == "semver") && isText:
		c.right = ">= " + text
	case c.operator == ">" || c.operator == "<":
		c.operator += "="
	}
	if c.on(v.group).outcome != holds {
		return nil
	}
	return c
}

func isNumber(a *structs.Attribute) bool {
	return a != nil && (a.Int != nil || a.Float != nil) && a.Unit == ""
}

// String is the constraint as a job has it.
func (c constraint) String() string {
	return fmt.Sprintf("constraint {\n  attribute = %q\n  operator  = %q\n  value     = %q\n}", c.left, c.operator, c.right)
}

func parsesAsVersion(text string) bool {
	_, err := version.NewVersion(text)
	return err == nil
}
