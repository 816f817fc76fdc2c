package scaffold

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"text/template"
)

// goVersion is the version of Go that the core asks for.
const goVersion = "1.26.0"

//go:embed all:templates
var templates embed.FS

// Plugin says which plugin to write.
type Plugin struct {
	// Vendor and Type are what jobs ask for: "acme" and "fpga" for the device
	// acme/fpga.
	Vendor, Type string
	// Module is the path of the module; "" means the project's within a checkout,
	// else one of example.com.
	Module string
	// Dir is the directory to write into. It must be empty, or not exist.
	Dir string
	// Core is where the plugin gets the core from.
	Core Core
}

// Written says what was written.
type Written struct {
	// Dir is the directory, as an absolute path.
	Dir string `json:"dir"`
	// Module is the module's path, Package its package's name, and Binary the name
	// of the plugin, of its binary and of its block.
	Module  string `json:"module"`
	Package string `json:"package"`
	Binary  string `json:"binary"`
	// Files are relative to Dir, with slashes.
	Files []string `json:"files"`
}

// Binary returns the name of a vendor's plugin.
func Binary(vendor string) string { return "nomad-device-" + vendor }

// Write writes the plugin's module. Nothing is written if anything is wrong with
// what is asked for, or if there is something in the directory.
func Write(p Plugin) (Written, error) {
	dir, err := filepath.Abs(p.Dir)
	if err != nil {
		return Written{}, err
	}
	p.Dir = dir
	names, err := p.names()
	if err != nil {
		return Written{}, err
	}
	files, err := render(names)
	if err != nil {
		return Written{}, err
	}
	if err := makeEmpty(dir); err != nil {
		return Written{}, err
	}
	written := Written{Dir: dir, Module: names.Module, Package: names.Package, Binary: names.Binary}
	for _, f := range files {
		at := filepath.Join(dir, filepath.FromSlash(f.name))
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			return Written{}, err
		}
		if err := os.WriteFile(at, f.content, 0o644); err != nil {
			return Written{}, err
		}
		written.Files = append(written.Files, f.name)
	}
	return written, nil
}

// makeEmpty makes a directory, or sees that it is empty.
func makeEmpty(dir string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return os.MkdirAll(dir, 0o755)
	case err != nil:
		return err
	case len(entries) > 0:
		return fmt.Errorf("the directory %s is not empty, it holds %s: name another one with --dir, or empty it", dir, entries[0].Name())
	}
	return nil
}

// names are what the templates take.
type names struct {
	Vendor, Type            string
	Binary, Module, Package string
	Import                  string // what stands before the module's path where it is imported
	Class, Variable         string // acme_fpga, ACME_FPGA
	GoVersion               string
	CorePath                string
	CoreVersion, CoreDir    string // CoreDir as go.mod writes it, or ""
	Simulated               []simulated
}

// Check returns what is wrong with the names that are asked for.
func (p Plugin) Check() error {
	err := errors.Join(checkWord("vendor", p.Vendor), checkWord("type", p.Type))
	if p.Module != "" {
		err = errors.Join(err, checkModule(p.Module))
	}
	return err
}

// names checks what is asked for and derives the rest.
func (p Plugin) names() (names, error) {
	if err := p.Check(); err != nil {
		return names{}, err
	}
	n := names{
		Vendor: p.Vendor, Type: p.Type, Module: p.Module,
		Binary: Binary(p.Vendor), Package: packageName(p.Vendor),
		Class: underscored(p.Vendor, p.Type), Variable: strings.ToUpper(underscored(p.Vendor, p.Type)),
		GoVersion: goVersion, CorePath: corePath, CoreVersion: p.Core.Version,
		Simulated: devices,
	}
	if n.Module == "" {
		n.Module = p.Core.modulePath(p.Dir, n.Binary)
	}
	if path.Base(n.Module) != n.Package {
		n.Import = n.Package + " "
	}
	if p.Core.Dir != "" {
		n.CoreVersion = "v0.0.0"
	}
	if err := checkModule(n.Module); err != nil {
		return names{}, err
	}
	var err error
	n.CoreDir, err = p.Core.replacement(p.Dir)
	return n, err
}

// file is a rendered template.
type file struct {
	name    string
	content []byte
}

// render renders all templates, in the order of their names.
func render(n names) ([]file, error) {
	var files []file
	err := fs.WalkDir(templates, "templates", func(at string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := templates.ReadFile(at)
		if err != nil {
			return err
		}
		// The delimiters are none that the templates' own languages have.
		t, err := template.New(at).Delims("«", "»").Option("missingkey=error").Parse(string(text))
		if err != nil {
			return err
		}
		var content bytes.Buffer
		if err := t.Execute(&content, n); err != nil {
			return err
		}
		name := strings.TrimSuffix(strings.TrimPrefix(at, "templates/"), ".tmpl")
		files = append(files, file{strings.Replace(name, "cmd/binary/", "cmd/"+n.Binary+"/", 1), content.Bytes()})
		return nil
	})
	return files, err
}
