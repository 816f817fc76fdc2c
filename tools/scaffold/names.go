package scaffold

import (
	"fmt"
	"go/token"
	"go/types"
	"regexp"
	"slices"
	"strings"
)

// word is what a vendor or a type may be: it becomes part of a binary's name, of a
// device's name in jobs, of a directory in sysfs and of variables.
var word = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)

// longest is how long a vendor or a type may be. Linux bounds the name of a process
// that tools show, and people bound what they type.
const longest = 24

// checkWord returns what is wrong with a vendor or a type.
func checkWord(what, text string) error {
	if len(text) <= longest && word.MatchString(text) {
		return nil
	}
	return fmt.Errorf("the %s %q: want at most %d lower-case letters and digits, words joined by single dashes, "+
		"beginning with a letter, such as \"acme\" or \"acme-labs\"", what, text, longest)
}

// reserved are names that a package cannot have beside what its files import, or
// that the language gives a meaning of their own.
var reserved = []string{
	"main", "init", "internal", "vendor", "testing",
	"core", "config", "conformance", "describe", "pagetest", "pci", "plugin", "simulated", "sysfs", "sysfstest", "uevent",
	"cmp", "context", "errors", "filepath", "fmt", "hclog", "maps", "os", "path", "slices", "strings", "sync", "syscall",
}

// packageName returns the name of a vendor's package: the vendor without dashes,
// with "device" behind it where that alone is no name for a package.
func packageName(vendor string) string {
	name := strings.ReplaceAll(vendor, "-", "")
	if token.IsKeyword(name) || types.Universe.Lookup(name) != nil || slices.Contains(reserved, name) {
		name += "device"
	}
	return name
}

// underscored returns words joined as names of sysfs and of variables are.
func underscored(words ...string) string {
	return strings.ReplaceAll(strings.Join(words, "_"), "-", "_")
}
