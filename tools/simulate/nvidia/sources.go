package nvidia

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/nomad-devices/nomad-devices/tools/simulate/scenario"
)

// The driver directory holds C only: a Go package with C files in it would need
// cgo, and devctl is built without.
//
//go:embed driver/*.c driver/*.h driver/functions.def
var sources embed.FS

//go:embed profiles/*.scenario
var profiles embed.FS

// Profile is a machine that can be started by name.
type Profile struct {
	Name    string
	Summary string // one line
	Text    []byte // its scenario
}

// Profiles gives all profiles, by name.
func Profiles() []Profile {
	names, err := fs.Glob(profiles, "profiles/*.scenario")
	if err != nil {
		panic(err) // the pattern is a constant
	}
	slices.Sort(names)
	all := make([]Profile, 0, len(names))
	for _, name := range names {
		text, err := profiles.ReadFile(name)
		if err != nil {
			panic(err) // the file system is in the program
		}
		p := Profile{Name: strings.TrimSuffix(path.Base(name), ".scenario"), Text: text}
		if f, err := scenario.Parse(text); err == nil {
			p.Summary = f.Comment()
		}
		all = append(all, p)
	}
	return all
}

func profileByName(name string) (Profile, error) {
	all := Profiles()
	names := make([]string, 0, len(all))
	for _, p := range all {
		if p.Name == name {
			return p, nil
		}
		names = append(names, p.Name)
	}
	return Profile{}, fmt.Errorf("there is no profile %q: use one of %s", name, strings.Join(names, ", "))
}

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
