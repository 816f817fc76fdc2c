package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// linkedPackage is what "go list" says of a package.
type linkedPackage struct {
	ImportPath string
	Dir        string
	Root       string // of the standard library: where Go is
	Standard   bool
	Module     *module
}

// module is the module of a package.
type module struct {
	Path, Version, Dir string
}

// architectures are those that releases are built for. What is linked differs a
// little; the notices are of all.
var architectures = []string{"amd64", "arm64"}

// packages lists what is linked into the program, on any architecture.
func packages(dir, program string) ([]linkedPackage, error) {
	goRoot, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return nil, fmt.Errorf("asking where Go is: %w", err)
	}
	var all []linkedPackage
	seen := map[string]bool{}
	for _, arch := range architectures {
		list := exec.Command("go", "list", "-deps", "-json=ImportPath,Dir,Root,Standard,Module", program)
		list.Dir = dir
		// With cgo, since a package that only cgo brings in is linked, too.
		list.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+arch, "CGO_ENABLED=1")
		var complaint bytes.Buffer
		list.Stderr = &complaint
		output, err := list.Output()
		if err != nil {
			return nil, fmt.Errorf("listing what %s is linked from: %w\n%s", program, err, &complaint)
		}
		decoder := json.NewDecoder(bytes.NewReader(output))
		for {
			var p linkedPackage
			if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return nil, fmt.Errorf("reading the list of packages: %w", err)
			}
			if p.Standard {
				p.Root = strings.TrimSpace(string(goRoot)) // "go list" does not say it of all
			}
			if !seen[p.ImportPath] {
				seen[p.ImportPath] = true
				all = append(all, p)
			}
		}
	}
	return all, nil
}
