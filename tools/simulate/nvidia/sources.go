package nvidia

import (
	"embed"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/nomad-devices/nomad-devices/tools/simulate/machine"
)

// The driver directory holds C only: a Go package with C files in it would need
// cgo, and devctl is built without.
//
//go:embed driver/*.c driver/*.h driver/functions.def
var sources embed.FS

//go:embed profiles/*.scenario
var profiles embed.FS

// Profile is a machine that can be started by name.
type Profile = machine.Profile

// Profiles gives all profiles, by name.
func Profiles() []Profile { return vendor.Profiles() }

// newestAPI is beyond every header version: all functions.
const newestAPI = 9999

// apiVersion turns the version of an NVML header ("12.4") into the number that
// functions.def counts with (1204).
func apiVersion(text string) (int, error) {
	major, minor, ok := strings.Cut(text, ".")
	a, errA := strconv.Atoi(major)
	b, errB := strconv.Atoi(minor)
	if !ok || errA != nil || errB != nil || a < 11 || b < 0 || b > 99 {
		return 0, fmt.Errorf("driver.api = %q: want the version of an NVML header, 11.0 or newer, like 12.4", text)
	}
	return a*100 + b, nil
}

var functionLine = regexp.MustCompile(`(?m)^FUNCTION\((\w+), (\d+)\)$`)

// exports gives the functions of a driver branch, without those named.
func exports(api int, without []string) ([]string, error) {
	text, err := sources.ReadFile("driver/functions.def")
	if err != nil {
		return nil, err
	}
	var names []string
	left := slices.Clone(without)
	for _, match := range functionLine.FindAllStringSubmatch(string(text), -1) {
		name := match[1]
		since, err := strconv.Atoi(match[2])
		if err != nil {
			return nil, err
		}
		if i := slices.Index(left, name); i >= 0 {
			left = slices.Delete(left, i, i+1)
			continue
		}
		if since <= api {
			names = append(names, name)
		}
	}
	if len(left) > 0 {
		return nil, fmt.Errorf("the simulated driver has no function %s", strings.Join(left, ", "))
	}
	return names, nil
}
