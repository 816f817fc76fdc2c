package bench

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path"
	"regexp"
	"strconv"
	"strings"
)

// microPackages have the project's own micro-benchmarks.
const microPackages = "github.com/nomad-devices/nomad-devices/core/..."

// runMicro runs the micro-benchmarks. It needs the go command and the project's
// sources.
func runMicro(ctx context.Context, benchTime string) ([]MicroRow, error) {
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", ".", "-benchmem", "-benchtime", benchTime, microPackages)
	output, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("running the micro-benchmarks: %w\n%s", err, bytes.TrimSpace(output))
	}
	rows := parseMicro(output)
	if len(rows) == 0 {
		return nil, fmt.Errorf("running the micro-benchmarks: %s has none", microPackages)
	}
	return rows, nil
}

// processors is the number of them that go test puts behind a name.
var processors = regexp.MustCompile(`-[0-9]+$`)

// parseMicro reads what go test -bench -benchmem writes. Lines that it does not
// know are left out.
func parseMicro(output []byte) []MicroRow {
	var rows []MicroRow
	pkg := ""
	lines := bufio.NewScanner(bytes.NewReader(output))
	for lines.Scan() {
		line := lines.Text()
		if name, ok := strings.CutPrefix(line, "pkg: "); ok {
			pkg = path.Base(strings.TrimSpace(name))
			continue
		}
		fields := strings.Fields(line)
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		row := MicroRow{Package: pkg, Name: processors.ReplaceAllString(strings.TrimPrefix(fields[0], "Benchmark"), "")}
		timed := false
		for i := 2; i+1 < len(fields); i += 2 {
			n, err := strconv.ParseFloat(fields[i], 64)
			if err != nil {
				break
			}
			switch fields[i+1] {
			case "ns/op":
				row.Nanos, timed = n, true
			case "B/op":
				row.Bytes = n
			case "allocs/op":
				row.Allocs = n
			}
		}
		if timed {
			rows = append(rows, row)
		}
	}
	return rows
}
