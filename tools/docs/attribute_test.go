package docs

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/go-version"
	"github.com/hashicorp/nomad/plugins/shared/structs"

	"github.com/nomad-devices/nomad-devices/core/fingerprint"
	"github.com/nomad-devices/nomad-devices/core/share"
)

// vendors and types are what the devices of a plugin are called.
var (
	vendors = map[string][]string{
		"nomad-device-nvidia": {"nvidia"},
		"nomad-device-amd":    {"amd"},
		"nomad-device-fpga":   {"intel", "silicom", "amd", "aws", "generic"},
	}
	types = map[string][]string{
		"nomad-device-nvidia": {"gpu", "mig"},
		"nomad-device-amd":    {"gpu", "gpu-partition"},
		"nomad-device-fpga":   {"fpga"},
	}
)

// attributes are those of a plugin's devices, each with its type and unit.
type attributes map[string]struct{ kind, unit string }

var attributeRow = regexp.MustCompile("(?m)^\\| `(\\w+)` \\| (\\w+) \\| ([^|]*) \\|")

// attributeTables reads the tables of attributes, which the plugins' own tests
// hold against the code.
func attributeTables(t *testing.T) map[string]attributes {
	t.Helper()
	all := map[string]attributes{}
	for plugin := range vendors {
		name := strings.TrimPrefix(plugin, "nomad-device-")
		text, err := os.ReadFile(filepath.Join(root(t), "docs", "plugins", name+".md"))
		if err != nil {
			t.Fatal(err)
		}
		_, table, _ := strings.Cut(string(text), "<!-- begin: attributes -->")
		table, _, _ = strings.Cut(table, "<!-- end: attributes -->")
		of := attributes{}
		for _, row := range attributeRow.FindAllStringSubmatch(table, -1) {
			of[row[1]] = struct{ kind, unit string }{row[2], strings.TrimSpace(row[3])}
		}
		if len(of) < 10 {
			t.Fatalf("found %d attributes of %s: this test reads the wrong table", len(of), plugin)
		}
		for _, name := range []string{fingerprint.HealthyCount, share.Replicas} {
			of[name] = struct{ kind, unit string }{"int", ""}
		}
		of[share.Sharing] = struct{ kind, unit string }{"string", ""}
		all[plugin] = of
	}
	return all
}

var deviceAttribute = regexp.MustCompile(`^\$\{device\.attr\.(\w+)\}$`)

// fits says why a constraint could never hold on devices of any of the plugins.
func fits(plugins []attributes, left, operator, right string) error {
	match := deviceAttribute.FindStringSubmatch(left)
	if match == nil {
		if !slices.Contains([]string{"${device.ids}", "${device.model}", "${device.vendor}", "${device.type}"}, left) {
			return fmt.Errorf("%s is nothing of a device", left)
		}
		return nil
	}
	for _, of := range plugins {
		attribute, ok := of[match[1]]
		if !ok {
			return fmt.Errorf("there is no attribute %q", match[1])
		}
		value := structs.ParseAttribute(right)
		switch {
		case operator == "is_set" || operator == "is_not_set":
		case attribute.kind == "version":
			if _, err := version.NewConstraint(right); operator != "version" || err != nil || value.String == nil {
				return fmt.Errorf("%s is a version: %q with the operator %q never holds", match[1], right, operator)
			}
		case attribute.kind == "string":
			if value.String == nil && operator != "regexp" {
				return fmt.Errorf("%s is a text, and %q reads as none", match[1], right)
			}
		case attribute.unit != "" || value.Unit != "":
			if attribute.unit == "" || value.Unit == "" || structs.UnitIndex[attribute.unit].Base != structs.UnitIndex[value.Unit].Base {
				return fmt.Errorf("%s has the unit %q: it is never compared with %q", match[1], attribute.unit, right)
			}
		}
	}
	return nil
}

// driverSettings returns the settings that the pages may name of the drivers in
// Nomad's binary, which are those that its source has.
func driverSettings(t *testing.T) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	for driver, file := range map[string]string{"docker": "drivers/docker/config.go", "raw_exec": "drivers/rawexec/driver.go", "exec": "drivers/exec/driver.go"} {
		for _, match := range regexp.MustCompile(`(?m)^\s*"(\w+)":\s*hclspec\.`).FindAllStringSubmatch(nomadSource(t, file), -1) {
			all[driver] = append(all[driver], match[1])
		}
		if len(all[driver]) == 0 {
			t.Fatalf("found no settings of %s: this test reads the wrong file", driver)
		}
	}
	return all
}

// nomadSource reads a file of the Nomad that this module is built with.
func nomadSource(t *testing.T, file string) string {
	t.Helper()
	output, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/hashicorp/nomad").Output()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(output)), filepath.FromSlash(file)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
