package amd

import (
	"testing"

	"github.com/nomad-devices/nomad-devices/core/describe/pagetest"
)

const pageFile = "../../docs/plugins/amd.md"

// TestPage holds the plugin's page against the code.
func TestPage(t *testing.T) {
	t.Parallel()
	pagetest.Tables(t, pageFile, page)
	if found := pagetest.FaultCodes(t, pageFile); found < 10 {
		t.Errorf("found %d codes of faults: this test looks for the wrong thing", found)
	}
	var names []string
	for _, a := range attributes {
		names = append(names, a.Name)
	}
	pagetest.Examples(t, pageFile, names)
}
