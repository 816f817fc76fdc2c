package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// notice is a text that goes with a program, and the files that it was found in.
type notice struct {
	text string
	from []string // "github.com/google/uuid v1.6.0: LICENSE"
}

// legal matches the names of files that say under what terms code may be used.
var legal = regexp.MustCompile(`(?i)^(licen[cs]e|copying|copyright|notice|patents)([._-].*)?$`)

// collect gathers the notices of packages. Each text is there once, and the order
// is that of the modules' names.
func collect(packages []linkedPackage) ([]notice, error) {
	files := map[string]string{} // path: where it is from
	for _, p := range packages {
		origin, top, own := p.origin()
		found := 0
		for dir := p.Dir; len(dir) >= len(top); dir = filepath.Dir(dir) {
			if own && dir == top {
				break // the project's own licence goes with the program by itself
			}
			names, err := legalFiles(dir)
			if err != nil {
				return nil, err
			}
			for _, name := range names {
				path := filepath.Join(dir, name)
				below, err := filepath.Rel(top, path)
				if err != nil {
					return nil, err
				}
				files[path] = origin + ": " + filepath.ToSlash(below)
				found++
			}
			if dir == top {
				break
			}
		}
		if found == 0 && !own {
			return nil, fmt.Errorf("%s (%s) has no licence: find out under what terms it may be passed on", p.ImportPath, origin)
		}
	}
	var notices []notice
	byText := map[string]int{}
	for _, path := range sortedBy(files) {
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		text := strings.TrimSpace(strings.ReplaceAll(string(content), "\r\n", "\n"))
		at, known := byText[text]
		if !known {
			at = len(notices)
			byText[text] = at
			notices = append(notices, notice{text: text})
		}
		notices[at].from = append(notices[at].from, files[path])
	}
	return notices, nil
}

// ourModules is the beginning of the paths of the project's own modules.
const ourModules = "github.com/nomad-devices/nomad-devices/"

// origin says where a package is from, what the top directory of that is, and
// whether it is the project's own.
func (p linkedPackage) origin() (origin, top string, own bool) {
	if p.Standard || p.Module == nil {
		return "Go", p.Root, false
	}
	m := p.Module
	return strings.TrimSpace(m.Path + " " + m.Version), m.Dir, strings.HasPrefix(m.Path, ourModules)
}

// legalFiles lists a directory's files with terms.
func legalFiles(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, entry := range entries {
		if entry.Type().IsRegular() && legal.MatchString(entry.Name()) && filepath.Ext(entry.Name()) != ".go" {
			names = append(names, entry.Name())
		}
	}
	return names, nil
}

// sortedBy returns the keys of a map in the order of its values.
func sortedBy(files map[string]string) []string {
	var paths []string
	for path := range files {
		paths = append(paths, path)
	}
	slices.SortFunc(paths, func(a, b string) int { return cmp.Or(cmp.Compare(files[a], files[b]), cmp.Compare(a, b)) })
	return paths
}
