package bitstream

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// elfMagic begins every ELF file.
const elfMagic = "\x7fELF"

var (
	errELF     = errors.New("the ELF file is cut short or broken")
	errSection = errors.New("it has no such section")
)

// class is where the fields of an ELF file are, in files of 32 or of 64 bits
// (elf(5)). The standard library's package reads far more than sections, adds an
// eighth of a megabyte to the plugin, and is not made for hostile files.
type class struct {
	sections, entrySize, count, names int // in the file's header
	offset, size                      int // in a section's header
	header                            int // least size of a section's header
	wide                              bool
}

var classes = map[byte]class{
	1: {sections: 32, entrySize: 46, count: 48, names: 50, offset: 16, size: 20, header: 40},
	2: {sections: 40, entrySize: 58, count: 60, names: 62, offset: 24, size: 32, header: 64, wide: true},
}

// section returns the content of the section with a name in an ELF file. It
// shares the file's memory.
func section(file []byte, name string) ([]byte, error) {
	const littleEndian = 1
	if len(file) < 64 || !bytes.HasPrefix(file, []byte(elfMagic)) || file[5] != littleEndian {
		return nil, errELF
	}
	c, ok := classes[file[4]]
	if !ok {
		return nil, errELF
	}
	number := func(b []byte) uint64 {
		if c.wide {
			return binary.LittleEndian.Uint64(b)
		}
		return uint64(binary.LittleEndian.Uint32(b))
	}
	start := number(file[c.sections:])
	size := uint64(binary.LittleEndian.Uint16(file[c.entrySize:]))
	count := uint64(binary.LittleEndian.Uint16(file[c.count:]))
	headers, ok := slice(file, start, size*count)
	if !ok || size < uint64(c.header) {
		return nil, errELF
	}
	content := func(i uint64) ([]byte, bool) {
		h := headers[i*size:]
		return slice(file, number(h[c.offset:]), number(h[c.size:]))
	}
	which := uint64(binary.LittleEndian.Uint16(file[c.names:]))
	if which >= count {
		return nil, errELF
	}
	names, ok := content(which)
	if !ok {
		return nil, errELF
	}
	for i := range count {
		at := uint64(binary.LittleEndian.Uint32(headers[i*size:]))
		if at >= uint64(len(names)) || !bytes.HasPrefix(names[at:], append([]byte(name), 0)) {
			continue
		}
		data, ok := content(i)
		if !ok {
			return nil, errELF
		}
		return data, nil
	}
	return nil, fmt.Errorf("%w: %s", errSection, name)
}

// slice returns a part of a file, and false if it is not all there.
func slice(file []byte, offset, size uint64) ([]byte, bool) {
	if offset > uint64(len(file)) || size > uint64(len(file))-offset {
		return nil, false
	}
	return file[offset : offset+size : offset+size], true
}
