// Package bitstream reads images for partial reconfiguration: GBS files (green
// bitstreams), as Intel's packager makes them, and AOCX files of its OpenCL
// compiler, which hold one.
//
// A GBS file is a header of 16 bytes, the length of its metadata, the metadata
// as JSON, and the image as the card takes it. An AOCX file is an ELF file that
// holds an ELF file that holds a compressed GBS.
package bitstream

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/family"
)

// MaxSize is the most that a file, or what is compressed in it, may hold.
const MaxSize = 256 << 20

// ErrFormat says that a file is no image.
var ErrFormat = errors.New("not a GBS or AOCX file")

// Image is an image with what its metadata say about it.
type Image struct {
	// Interface is the interface of the cards that the image was built for.
	Interface family.UUID
	// AFU is the accelerator function in it, and Name what its author calls it.
	AFU  family.UUID
	Name string
	// Payload is what the card takes. It may share memory with the file.
	Payload []byte
}

// Parse reads the content of a file.
func Parse(file []byte) (Image, error) {
	if len(file) > MaxSize {
		return Image{}, fmt.Errorf("%w: it is larger than %d MiB", ErrFormat, MaxSize>>20)
	}
	if bytes.HasPrefix(file, []byte(elfMagic)) {
		gbs, err := unpack(file)
		if err != nil {
			return Image{}, fmt.Errorf("%w: %w", ErrFormat, err)
		}
		file = gbs
	}
	return parseGBS(file)
}

var magic = [16]byte{'X', 'e', 'o', 'n', 'F', 'P', 'G', 'A', 0xb7, 'G', 'B', 'S', 'v', '0', '0', '1'}

// maxMetadata bounds the metadata; it is the packager's own limit.
const maxMetadata = 4096

type metadata struct {
	Image struct {
		Interface string `json:"interface-uuid"`
		Clusters  []struct {
			AFU  string `json:"accelerator-type-uuid"`
			Name string `json:"name"`
		} `json:"accelerator-clusters"`
	} `json:"afu-image"`
}

func parseGBS(gbs []byte) (Image, error) {
	rest, ok := bytes.CutPrefix(gbs, magic[:])
	if !ok || len(rest) < 4 {
		return Image{}, fmt.Errorf("%w: it does not begin like one", ErrFormat)
	}
	length := binary.LittleEndian.Uint32(rest)
	rest = rest[4:]
	if length >= maxMetadata || int(length) > len(rest) {
		return Image{}, fmt.Errorf("%w: metadata of %d bytes", ErrFormat, length)
	}
	var m metadata
	if err := json.Unmarshal(rest[:length], &m); err != nil {
		return Image{}, fmt.Errorf("%w: metadata: %w", ErrFormat, err)
	}
	if n := len(m.Image.Clusters); n != 1 {
		return Image{}, fmt.Errorf("%w: it holds %d accelerator functions, and must hold one", ErrFormat, n)
	}
	image := Image{Name: m.Image.Clusters[0].Name, Payload: rest[length:]}
	var err error
	if image.Interface, err = family.ParseUUID(m.Image.Interface); err != nil {
		return Image{}, fmt.Errorf("%w: interface: %w", ErrFormat, err)
	}
	if image.AFU, err = family.ParseUUID(m.Image.Clusters[0].AFU); err != nil {
		return Image{}, fmt.Errorf("%w: accelerator function: %w", ErrFormat, err)
	}
	if len(image.Payload) == 0 {
		return Image{}, fmt.Errorf("%w: there is nothing behind the metadata", ErrFormat)
	}
	return image, nil
}

// The sections of an AOCX file, and of the file in it.
const (
	sectionBinary = ".acl.fpga.bin"
	sectionGBS    = ".acl.gbs.gz"
)

// unpack returns the GBS in an AOCX file.
func unpack(aocx []byte) ([]byte, error) {
	binary, err := section(aocx, sectionBinary)
	if err != nil {
		return nil, err
	}
	compressed, err := section(binary, sectionGBS)
	if err != nil {
		return nil, err
	}
	r, err := gzip.NewReader(bytes.NewReader(compressed))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", sectionGBS, err)
	}
	gbs, err := io.ReadAll(io.LimitReader(r, MaxSize+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", sectionGBS, err)
	case len(gbs) > MaxSize:
		return nil, fmt.Errorf("%s: it is larger than %d MiB", sectionGBS, MaxSize>>20)
	default:
		return gbs, nil
	}
}
