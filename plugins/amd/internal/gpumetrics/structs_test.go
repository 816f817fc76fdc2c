package gpumetrics

import (
	"bufio"
	_ "embed"
	"encoding/binary"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// structsText describes the kernel's structures by the order of their members,
// so that the offsets of the tables are checked against something else.
//
//go:embed testdata/structs.txt
var structsText string

// member is a number in a structure: "xcp_stats[2].vcn_busy[1]".
type member struct {
	name      string
	partition int // of xcp_stats
	index     int
	offset    int
	width     int
}

// structure is one of the kernel's.
type structure struct {
	size, align int
	members     []member
}

// structures parses structsText.
func structures(tb testing.TB) map[string]*structure {
	tb.Helper()
	all := map[string]*structure{"header": {size: headerSize, align: 2, members: []member{}}}
	for i, width := range []int{u8, u16, u32, u64} {
		all[[]string{"u8", "u16", "u32", "u64"}[i]] = &structure{size: width, align: width}
	}
	var name string
	var s *structure
	var size int
	done := func() {
		if s == nil {
			return
		}
		s.size = (s.size + s.align - 1) / s.align * s.align
		if s.size != size {
			tb.Fatalf("%s: the members take %d bytes, not %d", name, s.size, size)
		}
		all[name] = s
	}
	for lines := bufio.NewScanner(strings.NewReader(structsText)); lines.Scan(); {
		words := strings.Fields(lines.Text())
		if len(words) == 0 || words[0] == "#" {
			continue
		}
		if n, err := strconv.Atoi(words[1]); err == nil {
			done()
			name, size, s = words[0], n, &structure{align: 1}
			continue
		}
		for _, word := range words[1:] {
			s.add(tb, all[words[0]], word)
		}
	}
	done()
	return all
}

// add appends a member, or an array of them.
func (s *structure) add(tb testing.TB, kind *structure, word string) {
	tb.Helper()
	if kind == nil {
		tb.Fatalf("%s has no type", word)
	}
	name, count := word, 1
	if before, after, ok := strings.Cut(word, "["); ok {
		n, err := strconv.Atoi(strings.TrimSuffix(after, "]"))
		if err != nil {
			tb.Fatal(err)
		}
		name, count = before, n
	}
	s.align = max(s.align, kind.align)
	s.size = (s.size + kind.align - 1) / kind.align * kind.align
	for i := range count {
		if kind.members == nil {
			s.members = append(s.members, member{name: name, index: i, offset: s.size, width: kind.size})
		}
		for _, m := range kind.members {
			s.members = append(s.members, member{
				name: name + "." + m.name, partition: i, index: m.index, offset: s.size + m.offset, width: m.width,
			})
		}
		s.size += kind.size
	}
}

// revisionOf returns the revision in a structure's name; ok is false if it is
// not the structure of a file.
func revisionOf(name string) (r Revision, partition, ok bool) {
	match := regexp.MustCompile(`^(partition_)?v(\d)_(\d)$`).FindStringSubmatch(name)
	if match == nil {
		return Revision{}, false, false
	}
	return Revision{match[2][0] - '0', match[3][0] - '0'}, match[1] != "", true
}

// blob returns a file of the revision, whose values are all ones.
func (s *structure) blob(r Revision) []byte {
	data := make([]byte, s.size)
	for i := range data {
		data[i] = 0xff
	}
	binary.LittleEndian.PutUint16(data, uint16(s.size))
	data[2], data[3] = r.Format, r.Content
	return data
}

// put stores a value in a member.
func (m member) put(data []byte, value uint64) {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], value)
	copy(data[m.offset:m.offset+m.width], b[:])
}

// ones is the value of a member that is unset.
func (m member) ones() uint64 { return ^uint64(0) >> (64 - 8*m.width) }

// meaning is what a member is here.
type meaning struct {
	field Field
	first int // the instance of the member's first
	scale float64
}

// read are the members that are read, by their names in any structure.
var read = map[string]meaning{
	"temperature_edge": {TempEdge, 0, 1}, "temperature_hotspot": {TempHotspot, 0, 1}, "temperature_mem": {TempMem, 0, 1},
	"temperature_vrgfx": {TempVRGFX, 0, 1}, "temperature_vrsoc": {TempVRSoC, 0, 1}, "temperature_vrmem": {TempVRMem, 0, 1},
	"temperature_gfx": {TempGFX, 0, centi}, "temperature_soc": {TempSoC, 0, centi},
	"average_gfx_activity": {GFXActivity, 0, 1}, "average_umc_activity": {MemActivity, 0, 1},
	"average_mm_activity": {MediaActivity, 0, 1}, "average_vcn_activity": {MediaActivity, 0, 1},
	"vcn_activity": {MediaActivity, 0, 1}, "vcn_busy": {MediaActivity, 0, 1}, "xcp_stats.vcn_busy": {MediaActivity, 0, 1},
	"gfx_busy_inst": {GFXBusy, 0, 1}, "xcp_stats.gfx_busy_inst": {GFXBusy, 0, 1},
	"gfx_busy_acc": {GFXBusyAcc, 0, 1}, "xcp_stats.gfx_busy_acc": {GFXBusyAcc, 0, 1},
	"average_socket_power": {SocketPower, 0, 1}, "curr_socket_power": {SocketPower, 0, 1},
	"energy_accumulator":   {Energy, 0, energy},
	"accumulation_counter": {AccumulationCounter, 0, 1},
	"gfx_activity_acc":     {GFXActivityAcc, 0, 1}, "mem_activity_acc": {MemActivityAcc, 0, 1},
	"prochot_residency_acc": {ProchotResidencyAcc, 0, 1}, "ppt_residency_acc": {PPTResidencyAcc, 0, 1},
	"socket_thm_residency_acc": {SocketThermalResidencyAcc, 0, 1}, "vr_thm_residency_acc": {VRThermalResidencyAcc, 0, 1},
	"hbm_thm_residency_acc": {HBMThermalResidencyAcc, 0, 1},
	"throttle_status":       {ThrottleStatus, 0, 1}, "indep_throttle_status": {IndepThrottleStatus, 0, 1},
	"current_gfxclk": {GFXClock, 0, 1}, "current_socclk": {SoCClock, 0, 1}, "current_uclk": {MemClock, 0, 1},
	"current_vclk": {VideoClock, 0, 1}, "current_vclk0": {VideoClock, 0, 1}, "current_vclk1": {VideoClock, 1, 1},
	"current_dclk": {VideoDecodeClock, 0, 1}, "current_dclk0": {VideoDecodeClock, 0, 1}, "current_dclk1": {VideoDecodeClock, 1, 1},
	"current_fan_speed": {FanSpeed, 0, 1},
	"pcie_link_width":   {PCIeWidth, 0, 1}, "pcie_link_speed": {PCIeSpeed, 0, deci},
	"pcie_bandwidth_inst": {PCIeBandwidth, 0, 1}, "pcie_bandwidth_acc": {PCIeBandwidthAcc, 0, 1},
	"pcie_l0_to_recov_count_acc": {PCIeRecoveries, 0, 1}, "pcie_lc_perf_other_end_recovery": {PCIeOtherEndRecoveries, 0, 1},
	"pcie_replay_count_acc": {PCIeReplays, 0, 1}, "pcie_replay_rover_count_acc": {PCIeReplayRollovers, 0, 1},
	"pcie_nak_sent_count_acc": {PCIeNAKsSent, 0, 1}, "pcie_nak_rcvd_count_acc": {PCIeNAKsReceived, 0, 1},
	"xgmi_link_width": {XGMIWidth, 0, 1}, "xgmi_link_speed": {XGMISpeed, 0, 1},
	"xgmi_read_data_acc": {XGMIRead, 0, 1}, "xgmi_write_data_acc": {XGMIWritten, 0, 1},
	"system_clock_counter": {SystemClock, 0, 1}, "firmware_timestamp": {FirmwareTimestamp, 0, 1},
	"num_partition": {PartitionCount, 0, 1},
}

// notRead matches the members that are left out on purpose: the CPU's part of an
// APU, averages beside current values, voltages and currents, the units that differ
// by ASIC, and what no statistic is made of.
var notRead = regexp.MustCompile(`^(xcp_stats\.)?(padding1?|jpeg_(activity|busy)|mem_max_bandwidth|gfxclk_lock_status|xgmi_link_status|` +
	`temperature_(hbm|core|l3|skin)|average_.*(frequency|temperature_.*|voltage|current|_c0_activity|ipu_activity|reads|writes)|` +
	`average_((cpu|soc|gfx|core|ipu|apu|dgpu|all_core|sys)_power)|(current_)?stapm_power_limit|voltage_.*|fan_pwm|` +
	`current_(fclk|coreclk|l3clk|core_maxfreq|gfx_maxfreq)|throttle_residency_.*|time_filter_alphavalue|` +
	`gfx_below_host_limit.*|gfx_low_utilization_acc)$`)

// meaningOf returns what a member is in a revision; ok is false if it is not read.
func meaningOf(r Revision, name string) (m meaning, ok bool, err error) {
	m, ok = read[name]
	if !ok {
		if !notRead.MatchString(name) {
			err = fmt.Errorf("nothing says whether %s is read", name)
		}
		return meaning{}, false, err
	}
	switch {
	case m.field == Energy && (r.Format != 1 || r.Content < 4):
		return meaning{}, false, nil
	case r.Format < 2:
	case m.field == GFXActivity || m.field == MediaActivity:
		if r.Format == 2 {
			return meaning{m.field, m.first, centi}, r.Content >= 4, nil
		}
	case m.field == SocketPower:
		return meaning{m.field, m.first, milli}, r.Format == 3 || r.Content >= 4, nil
	}
	return m, true, nil
}
