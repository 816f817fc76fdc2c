package faults

import (
	"bytes"
	"debug/elf"
	"fmt"
	"os"
)

// without writes a library that lacks a function. Compiling one for each
// function would take minutes, so the function's name is changed in the table
// by which the dynamic linker finds it.
func without(library []byte, path, function string) error {
	file, err := elf.NewFile(bytes.NewReader(library))
	if err != nil {
		return fmt.Errorf("the simulated driver: %w", err)
	}
	names := file.Section(".dynstr")
	if names == nil {
		return fmt.Errorf("the simulated driver has no table of names")
	}
	table := library[names.Offset : names.Offset+names.Size]
	at := bytes.Index(table, []byte("\x00"+function+"\x00"))
	if at < 0 {
		return fmt.Errorf("the simulated driver has no %s", function)
	}
	changed := bytes.Clone(library)
	changed[int(names.Offset)+at+1] = 'x'
	return os.WriteFile(path, changed, 0o700) //nolint:gosec // a library
}
