package nvidia

import (
	"slices"
	"strconv"
	"strings"

	"github.com/nomad-devices/nomad-devices/core/config"
	"github.com/nomad-devices/nomad-devices/core/describe"
)

// docTables are the tables of the plugin's page, docs/plugins/nvidia.md, by the
// name between their marks. They are made from what the code works by, and a
// test holds the page against them.
var docTables = describe.Page{
	"configuration": func() (string, error) { return config.Table(Config{}) },
	"attributes":    func() (string, error) { return attributeTable(), nil },
	"statistics":    func() (string, error) { return statisticsTable(), nil },
	"xids":          func() (string, error) { return xidTable(), nil },
	"recovery":      func() (string, error) { return recoveryTable(), nil },
}

func attributeTable() string {
	t := describe.NewTable("Attribute", "Type", "Unit", "On", "Meaning")
	for _, a := range attributeDocs {
		t.Row("`"+a.name+"`", a.kind, string(a.unit), a.on.String(), a.description)
	}
	return t.String()
}

func statisticsTable() string {
	t := describe.NewTable("Statistic", "Unit", "On", "Meaning")
	for _, s := range stats {
		t.Row(s.name, s.unit, s.on.String(), s.description)
	}
	return t.String()
}

// xidTable groups the catalogue by what is done, those first that take a GPU
// away.
func xidTable() string {
	byBucket := make(map[xidBucket][]uint64)
	for code, entry := range xidCatalogue {
		byBucket[entry.bucket] = append(byBucket[entry.bucket], code)
	}
	t := describe.NewTable("XID", "What NVIDIA says to do", "What the plugin does")
	for _, b := range []xidBucket{xidReboot, xidReset, xidRestartVM, xidSuspect, xidMechanical, xidUpdate, xidEvaluate, xidApp, xidIgnore, xidUnlisted} {
		codes := byBucket[b]
		slices.Sort(codes)
		list := ranges(codes)
		if b == xidUnlisted {
			list += ", and all that are not in this table"
		}
		t.Row(list, b.String(), b.effect())
	}
	return t.String()
}

// effect says what an XID of this bucket does to a GPU.
func (b xidBucket) effect() string {
	switch {
	case b.unhealthy():
		return "unhealthy at once, until the driver asks for no recovery or the GPU went away and came back"
	case b == xidIgnore:
		return "logs it"
	default:
		return "logs it and looks at the GPU"
	}
}

// ranges writes sorted numbers with their runs joined: "8, 39–41".
func ranges(numbers []uint64) string {
	var parts []string
	for i := 0; i < len(numbers); {
		j := i
		for j+1 < len(numbers) && numbers[j+1] == numbers[j]+1 {
			j++
		}
		part := strconv.FormatUint(numbers[i], 10)
		switch j - i {
		case 0:
		case 1:
			part += ", " + strconv.FormatUint(numbers[j], 10)
		default:
			part += "–" + strconv.FormatUint(numbers[j], 10)
		}
		parts = append(parts, part)
		i = j + 1
	}
	return strings.Join(parts, ", ")
}

func recoveryTable() string {
	t := describe.NewTable("Value", "Recovery action", "To do")
	for value, a := range recoveryActions {
		remedy := a.remedy
		if remedy == "" {
			remedy = "nothing; XID faults are cleared"
		}
		t.Row(strconv.Itoa(value), a.name, remedy)
	}
	return t.String()
}
