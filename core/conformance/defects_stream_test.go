package conformance_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"github.com/hashicorp/nomad/plugins/device"
	"github.com/hashicorp/nomad/plugins/shared/structs"
)

// defects of the fingerprint stream.
var streamDefects = []defect{
	{name: "late first message", fails: []string{"C12/first-message"}, spoil: func(p plugged) device.DevicePlugin {
		return &wrap{DevicePlugin: p, fingerprint: func(ctx context.Context) (<-chan *device.FingerprintResponse, error) {
			in, err := p.Fingerprint(ctx)
			return through(ctx, in, lateFirst[*device.FingerprintResponse]()), err
		}}
	}},
	{name: "no first message", fails: []string{"C12/first-message"}, spoil: func(p plugged) device.DevicePlugin {
		return fingerprints(p, func(*device.FingerprintResponse, func(*device.FingerprintResponse) bool) bool { return true })
	}},
	{name: "first message waits for the driver", fails: []string{"C12/first-message-hung"}, hardware: true, spoil: func(p plugged) device.DevicePlugin {
		return fingerprints(p, func(m *device.FingerprintResponse, send func(*device.FingerprintResponse) bool) bool {
			for p.hardware.isDown() == "hang" {
				time.Sleep(10 * time.Millisecond)
			}
			return send(m)
		})
	}},
	{name: "first message waits for devices", fails: []string{"C12/first-message-empty"}, hardware: true, spoil: func(p plugged) device.DevicePlugin {
		return fingerprints(p, func(m *device.FingerprintResponse, send func(*device.FingerprintResponse) bool) bool {
			for p.hardware.isDown() == "remove" {
				time.Sleep(10 * time.Millisecond)
			}
			return send(m)
		})
	}},
	{name: "stream ends", fails: []string{"C13/stream-stays"}, spoil: func(p plugged) device.DevicePlugin {
		return fingerprints(p, func(m *device.FingerprintResponse, send func(*device.FingerprintResponse) bool) bool {
			send(m)
			time.Sleep(200 * time.Millisecond)
			return false
		})
	}},
	{name: "error in the stream", fails: []string{"C13/stream-stays"}, spoil: func(p plugged) device.DevicePlugin {
		return fingerprints(p, func(m *device.FingerprintResponse, send func(*device.FingerprintResponse) bool) bool {
			send(m)
			time.Sleep(200 * time.Millisecond)
			return send(device.NewFingerprintError(errors.New("one card failed")))
		})
	}},
	{name: "stream ends after a while", fails: []string{"C13/stream-stays-long"}, long: true, spoil: func(p plugged) device.DevicePlugin {
		return &wrap{DevicePlugin: p, fingerprint: func(ctx context.Context) (<-chan *device.FingerprintResponse, error) {
			ctx, cancel := context.WithTimeout(ctx, 3500*time.Millisecond)
			context.AfterFunc(ctx, cancel)
			return p.Fingerprint(ctx)
		}}
	}},
	{name: "fault ends the stream", fails: []string{"C13/stream-survives-faults"}, hardware: true, spoil: func(p plugged) device.DevicePlugin {
		return fingerprints(p, func(m *device.FingerprintResponse, send func(*device.FingerprintResponse) bool) bool {
			return !sick(m.Devices, "answers with an error") && send(m)
		})
	}},
	{name: "nothing found once is nothing for ever", fails: []string{"C13/hardware-comes"}, hardware: true, spoil: func(p plugged) device.DevicePlugin {
		var none atomic.Bool
		return groups(p, func(all []*device.DeviceGroup) []*device.DeviceGroup {
			if none.Load() || len(all) == 0 && p.hardware.isDown() == "remove" {
				none.Store(true)
				return nil
			}
			return all
		})
	}},
	{name: "state of other streams left out", fails: []string{"C15/whole-state"}, spoil: func(p plugged) device.DevicePlugin {
		var streams atomic.Int64
		w := &wrap{DevicePlugin: p}
		w.fingerprint = func(ctx context.Context) (<-chan *device.FingerprintResponse, error) {
			first := streams.Add(1) == 1
			return eachGroup(p, func(g *device.DeviceGroup) {
				if !first {
					delete(g.Attributes, "memory")
				}
			}).Fingerprint(ctx)
		}
		return w
	}},
	{name: "repeats", fails: []string{"C16/no-repeats"}, spoil: func(p plugged) device.DevicePlugin {
		return fingerprints(p, func(m *device.FingerprintResponse, send func(*device.FingerprintResponse) bool) bool {
			send(m)
			time.Sleep(200 * time.Millisecond)
			return send(m)
		})
	}},
	{name: "order of a map", fails: []string{"C16/same-order"}, spoil: func(p plugged) device.DevicePlugin {
		return groups(p, func(all []*device.DeviceGroup) []*device.DeviceGroup {
			if p.launch == 1 {
				slices.Reverse(all)
			}
			return all
		})
	}},
	{name: "heat as an attribute", fails: []string{"C17/nothing-volatile"}, spoil: func(p plugged) device.DevicePlugin {
		return fingerprints(p, func(m *device.FingerprintResponse, send func(*device.FingerprintResponse) bool) bool {
			for n, heat := range []int64{40, 41, 40} {
				if n > 0 {
					time.Sleep(300 * time.Millisecond)
				}
				hot := device.NewFingerprint(copies(m.Devices)...)
				for _, g := range hot.Devices {
					g.Attributes["heat"] = structs.NewIntAttribute(heat, "")
				}
				if !send(hot) {
					return false
				}
			}
			return true
		})
	}},
	{name: "reading as an attribute", fails: []string{"C17/readings"}, hardware: true, spoil: func(p plugged) device.DevicePlugin {
		p.hardware.leak.Store(true)
		return p
	}},
	{name: "panic while serving", fails: []string{"C18/survives"}, spoil: func(p plugged) device.DevicePlugin {
		return attribute(p, "none", nil)
	}},
	{name: "nil device", fails: []string{"C18/survives"}, spoil: func(p plugged) device.DevicePlugin {
		return eachGroup(p, func(g *device.DeviceGroup) { g.Devices = append(g.Devices, nil) })
	}},
	{name: "nil group", fails: []string{"C18/survives"}, spoil: func(p plugged) device.DevicePlugin {
		return groups(p, func(all []*device.DeviceGroup) []*device.DeviceGroup {
			if len(all) == 0 {
				return all
			}
			return append(all, nil)
		})
	}},
	{name: "one fails, all fail", fails: []string{"C22/one-fails-alone"}, hardware: true, spoil: func(p plugged) device.DevicePlugin {
		return infected(p, "the card answers with an error")
	}},
	{name: "failure for ever", fails: []string{"C22/heals"}, hardware: true, spoil: func(p plugged) device.DevicePlugin {
		return forEver(p, "the card answers with an error")
	}},
	{name: "failing is absence", fails: []string{"C23/failing-is-not-absence"}, hardware: true, spoil: func(p plugged) device.DevicePlugin {
		return groups(p, func(all []*device.DeviceGroup) []*device.DeviceGroup {
			if sick(all, "the driver answers with an error") {
				return nil
			}
			return all
		})
	}},
	{name: "one hangs, all hang", fails: []string{"C24/one-hangs-alone"}, hardware: true, spoil: func(p plugged) device.DevicePlugin {
		return infected(p, "does not answer")
	}},
	{name: "hung for ever", fails: []string{"C24/hang-ends"}, hardware: true, spoil: func(p plugged) device.DevicePlugin {
		return forEver(p, "does not answer for this")
	}},
	{name: "one is gone, all are sick", fails: []string{"C31/hot-plug"}, hardware: true, spoil: func(p plugged) device.DevicePlugin {
		return infected(p, "no longer there")
	}},
	{name: "gone for ever", fails: []string{"C31/same-id-back"}, hardware: true, spoil: func(p plugged) device.DevicePlugin {
		return forEver(p, "no longer there")
	}},
	{name: "a goroutine per stream", fails: []string{"C25/streams-leave-nothing"}, spoil: func(p plugged) device.DevicePlugin {
		return &wrap{DevicePlugin: p, fingerprint: func(ctx context.Context) (<-chan *device.FingerprintResponse, error) {
			in, err := p.Fingerprint(ctx)
			out := make(chan *device.FingerprintResponse)
			go func() {
				for m := range in {
					out <- m
				}
				// A bare send, after the server has stopped reading.
				out <- device.NewFingerprint()
			}()
			return out, err
		}}
	}},
	{name: "one stream ends all", fails: []string{"C25/streams-apart"}, spoil: func(p plugged) device.DevicePlugin {
		life, end := context.WithCancel(context.Background())
		return &wrap{DevicePlugin: p, stats: func(ctx context.Context, interval time.Duration) (<-chan *device.StatsResponse, error) {
			one, cancel := context.WithCancel(life)
			context.AfterFunc(ctx, end)
			context.AfterFunc(ctx, cancel)
			return p.Stats(one, interval)
		}}
	}},
	{name: "flapping is passed on", fails: []string{"C17/flapping"}, hardware: true, long: true, spoil: func(p plugged) device.DevicePlugin {
		return &wrap{DevicePlugin: p, fingerprint: func(ctx context.Context) (<-chan *device.FingerprintResponse, error) {
			in, err := p.Fingerprint(ctx)
			out := make(chan *device.FingerprintResponse)
			go func() {
				defer close(out)
				var last *device.FingerprintResponse
				for flaps := p.hardware.flaps(); ; {
					select {
					case m, open := <-in:
						if !open {
							return
						}
						last = m
					case <-time.After(20 * time.Millisecond):
						if n := p.hardware.flaps(); last == nil || n == flaps {
							continue
						} else {
							flaps = n
						}
						last = device.NewFingerprint(copies(last.Devices)...)
						for _, g := range last.Devices {
							g.Attributes["comings"] = structs.NewIntAttribute(int64(flaps), "")
						}
					}
					select {
					case out <- last:
					case <-ctx.Done():
						return
					}
				}
			}()
			return out, err
		}}
	}},
	{name: "an odd fault touches all", fails: []string{"C22/every-fault"}, hardware: true, long: true, spoil: func(p plugged) device.DevicePlugin {
		return infected(p, "the plugin failed while it read")
	}},
}
