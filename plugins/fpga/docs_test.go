package fpga

import (
	"slices"
	"strings"
	"testing"

	"github.com/nomad-devices/nomad-devices/core/config"
	"github.com/nomad-devices/nomad-devices/core/describe"
	"github.com/nomad-devices/nomad-devices/core/describe/pagetest"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/ami"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/aws"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/dfl"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/family"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/fpgamgr"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/xrt"
)

const page = "../../docs/plugins/fpga.md"

// TestPage holds the plugin's page against the code.
func TestPage(t *testing.T) {
	t.Parallel()
	pagetest.Tables(t, page, docTables)
	if found := pagetest.FaultCodes(t, page, "internal/*"); found < 20 {
		t.Errorf("found %d codes of faults: this test looks for the wrong thing", found)
	}
	var names []string
	for _, a := range attributes() {
		names = append(names, a.Name)
	}
	pagetest.Examples(t, page, names)
}

// docTables are the tables of the page, by the name between their marks. They are
// made from what the code works by.
var docTables = describe.Page{
	"configuration": func() (string, error) { return config.Table(Config{}) },
	"attributes":    func() (string, error) { return describe.Attributes(attributes()), nil },
	"statistics":    func() (string, error) { return describe.Stats(statistics()), nil },
	"boards":        func() (string, error) { return boardTable(), nil },
	"denied":        func() (string, error) { return deniedTable(), nil },
}

// attributes returns what devices of any family can have.
func attributes() []*describe.Attribute {
	return slices.Concat(family.Attributes, dfl.Attributes, xrt.Attributes, ami.Attributes, aws.Attributes, fpgamgr.Attributes)
}

func statistics() []*describe.Stat {
	return slices.Concat([]*describe.Stat{statHealth}, family.Stats, dfl.Stats, xrt.Stats, ami.Stats, aws.Stats, fpgamgr.Stats)
}

func boardTable() string {
	t := describe.NewTable("PCI functions", "Model")
	for _, row := range dfl.Boards() {
		t.Row(row[0], "`"+row[1]+"`")
	}
	return t.String()
}

func deniedTable() string {
	t := describe.NewTable("Device nodes", "What a task could do with one", "Handed over")
	for _, d := range family.Denied() {
		when := "never"
		if d.Exception != "" {
			when = "only with `" + d.Exception + "`"
		}
		t.Row(d.Nodes, strings.ToUpper(d.Can[:1])+d.Can[1:], when)
	}
	return t.String()
}
