package nvidia

import (
	"testing"

	"github.com/nomad-devices/nomad-devices/core/describe/pagetest"
)

const page = "../../docs/plugins/nvidia.md"

// TestPage holds the plugin's page against the code.
func TestPage(t *testing.T) {
	t.Parallel()
	pagetest.Tables(t, page, docTables)
	if found := pagetest.FaultCodes(t, page); found < 10 {
		t.Errorf("found %d codes of faults: this test looks for the wrong thing", found)
	}
	var names []string
	for _, a := range attributeDocs {
		names = append(names, a.name)
	}
	pagetest.Examples(t, page, names)
}

func TestRanges(t *testing.T) {
	t.Parallel()
	for want, numbers := range map[string][]uint64{
		"":                  nil,
		"8":                 {8},
		"13, 14":            {13, 14},
		"8, 39–41, 60, 171": {8, 39, 40, 41, 60, 171},
	} {
		if got := ranges(numbers); got != want {
			t.Errorf("%v: %q, want %q", numbers, got, want)
		}
	}
}
