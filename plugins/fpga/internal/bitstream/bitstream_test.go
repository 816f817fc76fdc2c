package bitstream

import (
	"bytes"
	"compress/gzip"
	"debug/elf"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/family"
)

const (
	testInterface = "69528db6-eb31-577a-8c36-68f9faa081f6"
	testAFU       = "d8424dc4-a4a3-c413-f89e-433683f9040b"
)

const testMetadata = `{"version": 1, "afu-image": {"interface-uuid": "` + testInterface + `", "magic-no": 488605312,
	"accelerator-clusters": [{"total-contexts": 1, "name": "nlb_400", "accelerator-type-uuid": "` + testAFU + `"}]}}`

func gbs(metadata, payload string) []byte {
	file := append([]byte(nil), magic[:]...)
	file = binary.LittleEndian.AppendUint32(file, uint32(len(metadata)))
	return append(append(file, metadata...), payload...)
}

// elfFile makes an ELF file with one section of content and one of names.
func elfFile(name string, content []byte) []byte {
	const header, entry = 64, 64
	names := "\x00" + name + "\x00.shstrtab\x00"
	var b bytes.Buffer
	ident := [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)}
	end := uint64(header + len(content) + len(names))
	for _, part := range []any{
		elf.Header64{Ident: ident, Type: uint16(elf.ET_REL), Version: uint32(elf.EV_CURRENT), Shoff: end, Ehsize: header, Shentsize: entry, Shnum: 3, Shstrndx: 2},
		content, []byte(names),
		elf.Section64{},
		elf.Section64{Name: 1, Type: uint32(elf.SHT_PROGBITS), Off: header, Size: uint64(len(content))},
		elf.Section64{Name: uint32(2 + len(name)), Type: uint32(elf.SHT_STRTAB), Off: uint64(header + len(content)), Size: uint64(len(names))},
	} {
		_ = binary.Write(&b, binary.LittleEndian, part)
	}
	return b.Bytes()
}

// elfFile32 is elfFile with 32 bits.
func elfFile32(name string, content []byte) []byte {
	const header, entry = 52, 40
	names := "\x00" + name + "\x00.shstrtab\x00"
	var b bytes.Buffer
	ident := [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS32), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)}
	end := uint32(header + len(content) + len(names))
	for _, part := range []any{
		elf.Header32{Ident: ident, Type: uint16(elf.ET_REL), Version: uint32(elf.EV_CURRENT), Shoff: end, Ehsize: header, Shentsize: entry, Shnum: 3, Shstrndx: 2},
		content, []byte(names),
		elf.Section32{},
		elf.Section32{Name: 1, Type: uint32(elf.SHT_PROGBITS), Off: header, Size: uint32(len(content))},
		elf.Section32{Name: uint32(2 + len(name)), Type: uint32(elf.SHT_STRTAB), Off: uint32(header + len(content)), Size: uint32(len(names))},
	} {
		_ = binary.Write(&b, binary.LittleEndian, part)
	}
	return b.Bytes()
}

// TestSectionAsTheStandardLibrary holds the reader of ELF files against the
// standard library's.
func TestSectionAsTheStandardLibrary(t *testing.T) {
	t.Parallel()
	for name, file := range map[string][]byte{"64 bits": elfFile(sectionGBS, []byte("content")), "32 bits": elfFile32(sectionGBS, []byte("content"))} {
		f, err := elf.NewFile(bytes.NewReader(file))
		if err != nil {
			t.Fatal(err)
		}
		want, err := f.Section(sectionGBS).Data()
		if err != nil {
			t.Fatal(err)
		}
		got, err := section(file, sectionGBS)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %q, %v; want %q", name, got, err, want)
		}
		for n := range file {
			if got, err := section(file[:n], sectionGBS); err == nil {
				t.Errorf("%s: cut after %d bytes: %q", name, n, got)
			}
		}
	}
}

func aocx(gbs []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(gbs)
	_ = w.Close()
	return elfFile(sectionBinary, elfFile(sectionGBS, b.Bytes()))
}

func uuid(t *testing.T, text string) family.UUID {
	t.Helper()
	u, err := family.ParseUUID(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestParse(t *testing.T) {
	t.Parallel()
	want := Image{Interface: uuid(t, testInterface), AFU: uuid(t, testAFU), Name: "nlb_400", Payload: []byte("payload")}
	for name, file := range map[string][]byte{
		"GBS":               gbs(testMetadata, "payload"),
		"AOCX":              aocx(gbs(testMetadata, "payload")),
		"without dashes":    gbs(strings.ReplaceAll(strings.ReplaceAll(testMetadata, testAFU, "d8424dc4a4a3c413f89e433683f9040b"), testInterface, "69528DB6EB31577A8C3668F9FAA081F6"), "payload"),
		"blanks at the end": gbs(testMetadata+"   \n", "payload"),
	} {
		got, err := Parse(file)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: -want +got\n%s", name, diff)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	two := strings.Replace(testMetadata, `"accelerator-clusters": [`, `"accelerator-clusters": [{"accelerator-type-uuid": "`+testAFU+`"}, `, 1)
	long := gbs(testMetadata, "")
	binary.LittleEndian.PutUint32(long[16:], 4000)
	endless := gbs(testMetadata, "x")
	binary.LittleEndian.PutUint32(endless[16:], 1<<31)
	for says, file := range map[string][]byte{
		"begin like one":                    []byte("hello"),
		"nothing behind the metadata":       gbs(testMetadata, ""),
		"metadata of 4000 bytes":            long,
		"metadata of 2147483648 bytes":      endless,
		"metadata of 4096 bytes":            gbs(testMetadata+strings.Repeat(" ", 4096-len(testMetadata)), "x"),
		"2 accelerator functions":           gbs(two, "x"),
		"0 accelerator functions":           gbs(`{}`, "x"),
		"metadata: ":                        gbs(`{"afu-image":`, "x"),
		"interface: ":                       gbs(strings.Replace(testMetadata, testInterface, "none", 1), "x"),
		"accelerator function: ":            gbs(strings.Replace(testMetadata, testAFU, "", 1), "x"),
		"no such section: " + sectionBinary: elfFile("other", nil),
		"no such section: " + sectionGBS:    elfFile(sectionBinary, elfFile("other", nil)),
		sectionGBS + ": ":                   elfFile(sectionBinary, elfFile(sectionGBS, []byte("not compressed"))),
		"cut short or broken":               elfFile(sectionBinary, []byte("no ELF in it, however long")),
	} {
		if image, err := Parse(file); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), says) {
			t.Errorf("%+v, error %v; want one that says %q", image, err, says)
		}
	}
	if _, err := Parse(make([]byte, MaxSize+1)); !errors.Is(err, ErrFormat) {
		t.Errorf("a file that is too large: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(nil))
	f.Add(gbs(testMetadata, "payload"))
	f.Add(aocx(gbs(testMetadata, "payload")))
	f.Fuzz(func(t *testing.T, file []byte) {
		image, err := Parse(file)
		if err != nil && !errors.Is(err, ErrFormat) {
			t.Errorf("an error that is not about the format: %v", err)
		}
		if err == nil && len(image.Payload) == 0 {
			t.Error("an image of nothing")
		}
	})
}
