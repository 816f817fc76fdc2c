package conformance_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/nomad/plugins/device"
	"github.com/hashicorp/nomad/plugins/shared/structs"
)

// statsDefects are in statistics.
var statsDefects = []defect{
	{name: "half the statistics", fails: []string{"C55/stats-in-time"}, spoil: func(p plugged) device.DevicePlugin {
		return &wrap{DevicePlugin: p, stats: func(ctx context.Context, interval time.Duration) (<-chan *device.StatsResponse, error) {
			return p.Stats(ctx, 20*interval)
		}}
	}},
	{name: "too many statistics", fails: []string{"C55/stats-in-time"}, spoil: func(p plugged) device.DevicePlugin {
		return &wrap{DevicePlugin: p, stats: func(ctx context.Context, interval time.Duration) (<-chan *device.StatsResponse, error) {
			return p.Stats(ctx, interval/10)
		}}
	}},
	{name: "late statistics", fails: []string{"C55/stats-in-time"}, spoil: func(p plugged) device.DevicePlugin {
		return &wrap{DevicePlugin: p, stats: func(ctx context.Context, interval time.Duration) (<-chan *device.StatsResponse, error) {
			in, err := p.Stats(ctx, interval)
			return through(ctx, in, lateFirst[*device.StatsResponse]()), err
		}}
	}},
	{name: "device without statistics", fails: []string{"C56/stats-of-all"}, spoil: func(p plugged) device.DevicePlugin {
		return statistics(p, func(m *device.StatsResponse, send func(*device.StatsResponse) bool) bool {
			for _, g := range m.Groups {
				delete(g.InstanceStats, "ACME-a")
			}
			return send(m)
		})
	}},
	{name: "no summary", fails: []string{"C57/stats-not-nil"}, spoil: func(p plugged) device.DevicePlugin {
		return eachStats(p, func(_ string, s *device.DeviceStats) { s.Summary = nil })
	}},
	{name: "no values", fails: []string{"C57/stats-not-nil"}, spoil: func(p plugged) device.DevicePlugin {
		return eachStats(p, func(_ string, s *device.DeviceStats) { s.Stats = nil })
	}},
	{name: "no time", fails: []string{"C57/stats-not-nil"}, spoil: func(p plugged) device.DevicePlugin {
		return eachStats(p, func(_ string, s *device.DeviceStats) { s.Timestamp = time.Time{} })
	}},
	{name: "statistic that is NaN", fails: []string{"C58/stats-finite"}, spoil: func(p plugged) device.DevicePlugin {
		return eachStats(p, func(_ string, s *device.DeviceStats) {
			s.Stats.Attributes["Ratio"] = &structs.StatValue{FloatNumeratorVal: new(math.NaN())}
		})
	}},
	{name: "error in the statistics", fails: []string{"C59/stats-stay"}, spoil: func(p plugged) device.DevicePlugin {
		var n atomic.Int64
		return statistics(p, func(m *device.StatsResponse, send func(*device.StatsResponse) bool) bool {
			if n.Add(1)%2 == 0 {
				return send(device.NewStatsError(errors.New("one card failed")))
			}
			return send(m)
		})
	}},
	{name: "fault ends the statistics", fails: []string{"C59/stats-survive-faults"}, hardware: true, spoil: func(p plugged) device.DevicePlugin {
		return statistics(p, func(m *device.StatsResponse, send func(*device.StatsResponse) bool) bool {
			return !ailing(m, "answers with an error") && send(m)
		})
	}},
	{name: "one hangs, no statistics", fails: []string{"C59/stats-while-one-hangs"}, hardware: true, spoil: func(p plugged) device.DevicePlugin {
		return statistics(p, func(m *device.StatsResponse, send func(*device.StatsResponse) bool) bool {
			if ailing(m, "does not answer") {
				for _, g := range m.Groups {
					for _, s := range g.InstanceStats {
						s.Stats = &structs.StatObject{}
					}
				}
			}
			return send(m)
		})
	}},
	{name: "two kinds of value", fails: []string{"C60/stats-one-value"}, spoil: func(p plugged) device.DevicePlugin {
		return eachStats(p, func(_ string, s *device.DeviceStats) {
			s.Stats.Attributes["Both"] = &structs.StatValue{IntNumeratorVal: new(int64(1)), StringVal: new("one")}
		})
	}},
	{name: "no kind of value", fails: []string{"C60/stats-one-value"}, spoil: func(p plugged) device.DevicePlugin {
		return eachStats(p, func(_ string, s *device.DeviceStats) { s.Stats.Attributes["None"] = &structs.StatValue{} })
	}},
	{name: "statistics need a stream", fails: []string{"C61/stats-first"}, spoil: func(p plugged) device.DevicePlugin {
		var looked atomic.Bool
		w := statistics(p, func(m *device.StatsResponse, send func(*device.StatsResponse) bool) bool {
			if !looked.Load() {
				m = &device.StatsResponse{}
			}
			return send(m)
		})
		w.fingerprint = func(ctx context.Context) (<-chan *device.FingerprintResponse, error) {
			looked.Store(true)
			return p.Fingerprint(ctx)
		}
		return w
	}},
}

// ailing returns whether a summary gives a reason.
func ailing(m *device.StatsResponse, reason string) bool {
	for _, g := range m.Groups {
		for _, s := range g.InstanceStats {
			if s.Summary.StringVal != nil && strings.Contains(*s.Summary.StringVal, reason) {
				return true
			}
		}
	}
	return false
}
