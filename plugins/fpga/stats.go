package fpga

import (
	"context"
	"slices"
	"strings"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/describe"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/family"
)

// statHealth is the summary of a device that measures neither its temperature
// nor its power.
var statHealth = &describe.Stat{Name: "health", On: "without temperature and power", Description: "What the last look found: healthy, or what is wrong"}

// Measure reads the statistics of a device, its summary first.
func (v *Vendor) Measure(ctx context.Context, d core.Device) ([]core.Reading, error) {
	instance, err := instanceOf(d)
	if err != nil {
		return nil, err
	}
	readings, err := instance.Measure(ctx)
	readings = family.Measured(readings...)
	for _, summary := range []*describe.Stat{family.Temperature, family.Power} {
		i := slices.IndexFunc(readings, func(r core.Reading) bool { return r.Name == summary.Name })
		if i >= 0 {
			first := readings[i]
			copy(readings[1:], readings[:i])
			readings[0] = first
			return readings, err
		}
	}
	return append([]core.Reading{statHealth.Is(core.String(health(d)))}, readings...), err
}

func health(d core.Device) string {
	var texts []string
	for i := range d.Faults {
		texts = append(texts, d.Faults[i].Error())
	}
	if len(texts) == 0 {
		return "healthy"
	}
	return strings.Join(texts, "; also: ")
}
