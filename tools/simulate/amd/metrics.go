package amd

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"github.com/nomad-devices/nomad-devices/tools/simulate/pcitree"
)

// A layout of the gpu_metrics file (drivers/gpu/drm/amd/include/kgd_pp_interface.h):
// little-endian, and all ones where the GPU has no value.
type layout struct {
	size             int
	format, content  uint8
	fields           []field
	partitions       int // offset of num_partition; 0: the layout knows none
	statistics       int // offset of the first partition's statistics
	statisticsLength int // of one partition
}

// field is a number, or count numbers that are the same.
type field struct {
	at, size int // in bytes
	count    int // 0 is 1
	key      string
	factor   float64 // 0 is 1
}

// Factors from the units of the scenario to those of the file.
const (
	toWatts = 1.0 / 1000    // from mW
	toTicks = 1000 / 15.259 // of energy, from mJ
	toCenti = 100.0         // of °C and % in the layouts of APUs
	tenthGT = 10.0          // of a link's speed, from GT/s
)

// linkRate is not a key of the scenario: the rate of the link's generation.
const linkRate = "pcie.rate"

var layouts = map[string]layout{
	"1.3": {
		size: 120, format: 1, content: 3, fields: []field{
			{at: 4, size: 2, key: "temperature.edge"},
			{at: 6, size: 2, key: "temperature"},
			{at: 8, size: 2, key: "temperature.memory"},
			{at: 10, size: 2, key: "temperature.regulator.graphics"},
			{at: 12, size: 2, key: "temperature.regulator.soc"},
			{at: 14, size: 2, key: "temperature.regulator.memory"},
			{at: 16, size: 2, key: "utilization.gpu"},
			{at: 18, size: 2, key: "utilization.memory"},
			{at: 20, size: 2, key: "utilization.media"},
			{at: 22, size: 2, key: "power.average", factor: toWatts},
			{at: 24, size: 8, key: "energy", factor: toTicks},
			{at: 32, size: 8, key: "metrics.time"},
			{at: 40, size: 2, key: "clock.graphics"},
			{at: 42, size: 2, key: "clock.soc"},
			{at: 44, size: 2, key: "clock.memory"},
			{at: 54, size: 2, key: "clock.graphics"},
			{at: 56, size: 2, key: "clock.soc"},
			{at: 58, size: 2, key: "clock.memory"},
			{at: 68, size: 4, key: "throttle.bits"},
			{at: 72, size: 2, key: "fan.speed"},
			{at: 74, size: 2, key: "pcie.width"},
			{at: 76, size: 2, key: linkRate, factor: tenthGT},
			{at: 80, size: 4, key: "activity.graphics"},
			{at: 84, size: 4, key: "activity.memory"},
			{at: 96, size: 8, key: "metrics.firmware_time"},
			{at: 106, size: 2, key: "voltage.graphics"},
			{at: 112, size: 8, key: "throttle.common"},
		},
	},
	"1.6": {
		size: 1664, format: 1, content: 6, partitions: 306, statistics: 312, statisticsLength: 168,
		fields: append(instinct(16, -8, 0), field{at: 1656, size: 4, key: "pcie.other_end_recovery"}),
	},
	"1.7": {
		size: 2208, format: 1, content: 7, partitions: 338, statistics: 344, statisticsLength: 232,
		fields: append(instinct(24, 0, 32), field{at: 16, size: 8, key: "memory.bandwidth"}, field{at: 2200, size: 4, key: "pcie.other_end_recovery"},
			field{at: 264, size: 2, count: 8, key: "xgmi.link_status"}),
	},
	"2.1": {
		size: 120, format: 2, content: 1, fields: []field{
			{at: 4, size: 2, key: "temperature.edge", factor: toCenti},
			{at: 6, size: 2, key: "temperature.soc", factor: toCenti},
			{at: 28, size: 2, key: "utilization.gpu", factor: toCenti},
			{at: 30, size: 2, key: "utilization.media", factor: toCenti},
			{at: 32, size: 8, key: "metrics.time"},
			{at: 40, size: 2, key: "power.average"},
			{at: 64, size: 2, key: "clock.graphics"},
			{at: 66, size: 2, key: "clock.soc"},
			{at: 68, size: 2, key: "clock.memory"},
			{at: 76, size: 2, key: "clock.graphics"},
			{at: 78, size: 2, key: "clock.soc"},
			{at: 80, size: 2, key: "clock.memory"},
			{at: 108, size: 4, key: "throttle.bits"},
			{at: 112, size: 2, key: "fan.speed"},
		},
	},
}

// instinct gives the fields that the layouts of the MI300 family share. energy is
// the offset of the first that differs, shift what is added to those after it,
// clocks what is added to the clocks, relative to version 1.7.
func instinct(energy, shift, clocks int) []field {
	first := []field{
		{at: 4, size: 2, key: "temperature"},
		{at: 6, size: 2, key: "temperature.memory"},
		{at: 8, size: 2, key: "temperature.regulator.soc"},
		{at: 10, size: 2, key: "power.input", factor: toWatts},
		{at: 12, size: 2, key: "utilization.gpu"},
		{at: 14, size: 2, key: "utilization.memory"},
		{at: energy, size: 8, key: "energy", factor: toTicks},
	}
	for _, f := range []field{
		{at: 32, size: 8, key: "metrics.time"},
		{at: 40, size: 4, key: "throttle.accumulation"},
		{at: 44, size: 4, key: "throttle.prochot"},
		{at: 48, size: 4, key: "throttle.ppt"},
		{at: 52, size: 4, key: "throttle.socket_thermal"},
		{at: 56, size: 4, key: "throttle.vr_thermal"},
		{at: 60, size: 4, key: "throttle.hbm_thermal"},
		{at: 64, size: 4, key: "clock.lock"},
		{at: 68, size: 2, key: "pcie.width"},
		{at: 70, size: 2, key: linkRate, factor: tenthGT},
		{at: 72, size: 2, key: "xgmi.width"},
		{at: 74, size: 2, key: "xgmi.speed"},
		{at: 76, size: 4, key: "activity.graphics"},
		{at: 80, size: 4, key: "activity.memory"},
		{at: 88, size: 8, key: "pcie.bandwidth.total"},
		{at: 96, size: 8, key: "pcie.bandwidth"},
		{at: 104, size: 8, key: "pcie.recovery"},
		{at: 112, size: 8, key: "pcie.replay"},
		{at: 120, size: 8, key: "pcie.replay_rollover"},
		{at: 128, size: 4, key: "pcie.nak_sent"},
		{at: 132, size: 4, key: "pcie.nak_received"},
		{at: 136, size: 8, count: 8, key: "xgmi.read_kib"},
		{at: 200, size: 8, count: 8, key: "xgmi.write_kib"},
	} {
		f.at += shift
		first = append(first, f)
	}
	for _, f := range []field{
		{at: 256, size: 8, key: "metrics.firmware_time"},
		{at: 264, size: 2, count: 8, key: "clock.graphics"},
		{at: 280, size: 2, count: 4, key: "clock.soc"},
		{at: 288, size: 2, count: 4, key: "clock.video"},
		{at: 296, size: 2, count: 4, key: "clock.decoder"},
		{at: 304, size: 2, key: "clock.memory"},
	} {
		f.at += clocks
		first = append(first, f)
	}
	return first
}

// metrics encodes the gpu_metrics file of a GPU; nil if it has none.
func metrics(g gpu) ([]byte, error) {
	version := g.text("gpu_metrics")
	if version == "" {
		return nil, nil
	}
	l, ok := layouts[version]
	if !ok {
		return nil, fmt.Errorf("%s = %s: the simulator encodes %s", g.Key(g.n, "gpu_metrics"), version, strings.Join(sorted(layouts), ", "))
	}
	blob := make([]byte, l.size)
	for i := range blob {
		blob[i] = 0xff
	}
	binary.LittleEndian.PutUint16(blob, uint16(l.size))
	blob[2], blob[3] = l.format, l.content
	for _, f := range l.fields {
		if value, ok := g.metric(f); ok {
			for i := range max(f.count, 1) {
				put(blob[f.at+i*f.size:], f.size, value)
			}
		}
	}
	if l.partitions > 0 {
		binary.LittleEndian.PutUint16(blob[l.partitions:], uint16(len(g.parts)))
		for i, p := range g.parts {
			g.statistics(blob[l.statistics+i*l.statisticsLength:], p)
		}
	}
	return blob, nil
}

// metric gives the value of a field; false if the GPU has none.
func (g gpu) metric(f field) (uint64, bool) {
	text := g.text(f.key)
	if f.key == linkRate {
		text = pcitree.Rate(g.text("pcie.generation"))
	}
	factor := f.factor
	if factor == 0 {
		factor = 1
	}
	if n, err := strconv.ParseUint(text, 0, 64); err == nil && factor == 1 {
		return n, true
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || n < 0 {
		return 0, false
	}
	return uint64(n*factor + 0.5), true
}

// Offsets in the statistics of a partition.
const (
	busyNow   = 0   // of each die, 4 bytes, %
	busyTotal = 104 // of each die, 8 bytes
	maxDies   = 8
)

// statistics encodes how busy the dies of a partition are.
func (g gpu) statistics(blob []byte, p part) {
	key := fmt.Sprintf("partition.%d.utilization", p.index)
	if g.text(key) == "" {
		key = "utilization.gpu"
	}
	now, haveNow := g.metric(field{key: key})
	total, haveTotal := g.metric(field{key: "activity.graphics"})
	for i := range min(g.dies()/len(g.parts), maxDies) {
		if haveNow {
			put(blob[busyNow+4*i:], 4, now)
		}
		if haveTotal {
			put(blob[busyTotal+8*i:], 8, total)
		}
	}
}

// put encodes a number, cut to its size.
func put(blob []byte, size int, value uint64) {
	var all [8]byte
	binary.LittleEndian.PutUint64(all[:], value)
	copy(blob[:size], all[:size])
}
