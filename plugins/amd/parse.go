package amd

import (
	"bufio"
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/nomad-devices/nomad-devices/core/sysfs"
)

// parseAER reads the total of a file of PCIe error counters, whose last line is
// "TOTAL_ERR_FATAL 0".
func parseAER(data []byte) (int64, error) {
	lines := bufio.NewScanner(bytes.NewReader(data))
	for lines.Scan() {
		name, text, _ := strings.Cut(lines.Text(), " ")
		if !strings.HasPrefix(name, "TOTAL_ERR_") {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
		if err != nil || n < 0 {
			break
		}
		return n, nil
	}
	return 0, fmt.Errorf("%w: no line TOTAL_ERR", sysfs.ErrMalformed)
}

// parseLevels reads a table of clocks, pp_dpm_sclk or pp_dpm_mclk: a line "1: 2100Mhz
// *" for each level, the star at the one in use. It returns the highest in MHz
// (Documentation/gpu/amdgpu/thermal.rst).
func parseLevels(data []byte) (int64, error) {
	highest := int64(0)
	lines := bufio.NewScanner(bytes.NewReader(data))
	for lines.Scan() {
		_, text, ok := strings.Cut(lines.Text(), ":")
		if !ok {
			continue
		}
		text = strings.ToLower(strings.Trim(text, " *"))
		digits, ok := strings.CutSuffix(text, "mhz")
		if !ok {
			continue
		}
		if n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 32); err == nil {
			highest = max(highest, n)
		}
	}
	if highest <= 0 {
		return 0, fmt.Errorf("%w: it holds no clock", sysfs.ErrMalformed)
	}
	return highest, nil
}
