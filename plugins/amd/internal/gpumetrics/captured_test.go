package gpumetrics

import (
	"bufio"
	"encoding/hex"
	"errors"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// rows reads a file of tab-separated values below the folder of captured
// machines, which the tests can do without.
func rows(t *testing.T, name string) [][]string {
	t.Helper()
	trees := os.Getenv("NOMAD_DEVICES_TREES")
	if trees == "" {
		t.Skip("NOMAD_DEVICES_TREES names no folder of captured machines")
	}
	file, err := os.Open(filepath.Join(trees, "amd/gpu-metrics", name))
	if errors.Is(err, os.ErrNotExist) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var all [][]string
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if row := strings.Split(lines.Text(), "\t"); !strings.HasPrefix(row[0], "#") {
			all = append(all, row)
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

var memberName = regexp.MustCompile(`^(?:(xcp_stats)\[(\d+)\]\.)?(\w+?)(?:\[(\d+)\])?$`)

// TestCaptured compares captured and synthetic files with what is known of them:
// rows of blob, member, value and unit.
func TestCaptured(t *testing.T) {
	t.Parallel()
	blobs := make(map[string][]byte)
	for _, row := range rows(t, "blobs.tsv") {
		data, err := hex.DecodeString(row[3])
		if err != nil {
			t.Fatalf("%s: %v", row[0], err)
		}
		blobs[row[0]] = data
	}
	var compared, unread int
	for _, row := range rows(t, "answer-key.tsv") {
		blob, name, value := row[0], row[1], row[2]
		data, ok := blobs[blob]
		if !ok {
			t.Errorf("%s: no such blob", blob)
			continue
		}
		m, err := Decode(data)
		if name == "verdict" {
			// A list of attributes is a revision that is known here; this one is
			// refused because its size does not fit.
			list := strings.HasPrefix(value, "UNSUPPORTED: 1.9")
			if unsupported := strings.HasPrefix(value, "UNSUPPORTED") && !list; err == nil || errors.Is(err, ErrRevision) != unsupported {
				t.Errorf("%s: error %v, want %s", blob, err, value)
			}
			compared++
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", blob, err)
			continue
		}
		switch name {
		case "structure_size":
			if strconv.Itoa(len(m.data)) != value {
				t.Errorf("%s: %s is %d, want %s", blob, name, len(m.data), value)
			}
			continue
		case "format_revision", "content_revision":
			got := m.Revision.Format
			if name[0] == 'c' {
				got = m.Revision.Content
			}
			if strconv.Itoa(int(got)) != value {
				t.Errorf("%s: %s is %d, want %s", blob, name, got, value)
			}
			continue
		}
		parts := memberName.FindStringSubmatch(name)
		if parts == nil {
			t.Errorf("%s: %s is no member's name", blob, name)
			continue
		}
		index, _ := strconv.Atoi(parts[4])
		member, part := parts[3], m
		if parts[1] != "" {
			k, _ := strconv.Atoi(parts[2])
			member, part = parts[1]+"."+member, m.Partition(k)
		}
		meaning, read, err := meaningOf(m.Revision, member)
		if err != nil {
			t.Errorf("%s: %v", blob, err)
			continue
		}
		if !read {
			unread++
			continue
		}
		compared++
		got, known := part.At(meaning.field, meaning.first+index)
		if value == "NA" {
			if known {
				t.Errorf("%s: %s is %v, want nothing", blob, name, got)
			}
			continue
		}
		raw, err := strconv.ParseUint(value, 10, 64)
		if err != nil {
			t.Errorf("%s: %s: %v", blob, name, err)
			continue
		}
		if want := float64(raw) * meaning.scale; !known || math.Abs(got-want) > 1e-9*math.Abs(want) {
			t.Errorf("%s: %s is %v, %t, want %v", blob, name, got, known, want)
		}
	}
	t.Logf("%d rows compared, %d rows of members that are not read", compared, unread)
	if compared == 0 {
		t.Error("nothing was compared")
	}
}
