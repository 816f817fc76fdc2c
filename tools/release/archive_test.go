package release

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

// unzip unpacks an archive into a directory.
func unzip(t *testing.T, path, dir string) {
	t.Helper()
	r, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	if err := os.CopyFS(dir, r); err != nil {
		t.Fatalf("unpacking %s: %v", path, err)
	}
	for _, f := range r.File {
		if err := os.Chmod(filepath.Join(dir, filepath.FromSlash(f.Name)), f.Mode()); err != nil {
			t.Fatal(err)
		}
	}
}

// sums reads the checksums, by the names of the files.
func (s snapshot) sums(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile(s.file("nomad-devices_VERSION_SHA256SUMS"))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for line := range strings.Lines(string(text)) {
		sum, name, ok := strings.Cut(strings.TrimSpace(line), "  ")
		if !ok {
			t.Fatalf("checksums: %q", line)
		}
		content, err := os.ReadFile(filepath.Join(s.dist, name))
		if err != nil {
			t.Fatal(err)
		}
		if got := sha256.Sum256(content); hex.EncodeToString(got[:]) != sum {
			t.Errorf("the checksum of %s is not that of the file", name)
		}
		found[name] = sum
	}
	return found
}

// TestSnapshotsAreTheSame compares what two clones of one commit make.
func TestSnapshotsAreTheSame(t *testing.T) {
	one := snapshots(t)
	another, err := second()
	if err != nil {
		t.Fatal(err)
	}
	have, want := one.sums(t), another.sums(t)
	for _, sums := range []map[string]string{have, want} {
		// Each carries the time of its making.
		maps.DeleteFunc(sums, func(name, _ string) bool { return strings.HasSuffix(name, ".spdx.json") })
	}
	if diff := gocmp.Diff(have, want); diff != "" {
		t.Errorf("the checksums differ (-one +another):\n%s", diff)
	}
}

// TestSnapshotIsComplete looks for everything that a release is made of.
func TestSnapshotIsComplete(t *testing.T) {
	s := snapshots(t)
	var want []string
	for program := range products {
		for arch := range architectures {
			for _, path := range []string{s.archive(program, arch), s.deb(program, arch), s.rpm(program, arch)} {
				want = append(want, filepath.Base(path))
			}
			want = append(want, filepath.Base(s.archive(program, arch))+".spdx.json")
		}
	}
	var got []string
	for name := range s.sums(t) {
		got = append(got, name)
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("files with a checksum (-want +got):\n%s", diff)
	}
}

func TestSnapshotArchives(t *testing.T) {
	s := snapshots(t)
	for program := range products {
		for arch := range architectures {
			t.Run(program+"/"+arch, func(t *testing.T) {
				r, err := zip.OpenReader(s.archive(program, arch))
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = r.Close() }()
				var names []string
				content := map[string][]byte{}
				for _, f := range r.File {
					names = append(names, f.Name)
					if want := map[bool]os.FileMode{true: 0o755, false: 0o644}[f.Name == program]; f.Mode() != want {
						t.Errorf("%s has mode %v, want %v", f.Name, f.Mode(), want)
					}
					file, err := f.Open()
					if err != nil {
						t.Fatal(err)
					}
					if content[f.Name], err = io.ReadAll(file); err != nil {
						t.Fatal(err)
					}
				}
				want := []string{"CHANGELOG.md", "LICENSE", "NOTICE", "THIRD-PARTY-NOTICES", program}
				example := program + ".hcl.example"
				if vendor, ok := strings.CutPrefix(program, "nomad-device-"); ok {
					want = append(want, example)
					source, err := os.ReadFile(filepath.Join(s.clone, "plugins", vendor, "examples", "agent.hcl"))
					if err != nil || !bytes.Equal(content[example], source) {
						t.Errorf("%s is not the plugin's example, %v", example, err)
					}
				} else {
					want = append(want, "completions/bash", "completions/fish", "completions/zsh")
				}
				if program == "nomad-device-nvidia" {
					want = append(want, mpsUnit)
				}
				slices.Sort(want)
				slices.Sort(names)
				if diff := gocmp.Diff(want, names); diff != "" {
					t.Errorf("files (-want +got):\n%s", diff)
				}
				for _, linked := range []string{"\nGo: LICENSE\n", "\ngithub.com/hashicorp/go-plugin v", "\ngithub.com/hashicorp/nomad v", "\ngoogle.golang.org/grpc v"} {
					if !strings.Contains(string(content["THIRD-PARTY-NOTICES"]), linked) {
						t.Errorf("the notices lack %q", linked)
					}
				}
				testMaterials(t, s.archive(program, arch)+".spdx.json")
			})
		}
	}
}

// testMaterials looks into a bill of materials.
func testMaterials(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var bill struct {
		Version  string `json:"spdxVersion"`
		Packages []struct{ Name, VersionInfo string }
	}
	if err := json.Unmarshal(text, &bill); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(bill.Version, "SPDX-2.") {
		t.Errorf("%s has the version %q", filepath.Base(path), bill.Version)
	}
	for _, name := range []string{"stdlib", "github.com/hashicorp/nomad", "google.golang.org/grpc"} {
		if !slices.ContainsFunc(bill.Packages, func(p struct{ Name, VersionInfo string }) bool { return p.Name == name && p.VersionInfo != "" }) {
			t.Errorf("%s lacks %s and its version", filepath.Base(path), name)
		}
	}
}
