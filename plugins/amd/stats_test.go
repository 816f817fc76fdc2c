package amd

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nomad-devices/nomad-devices/core"
)

// readings returns the statistics of a device by name, as texts.
func (b *bench) readings(d core.Device) map[string]string {
	b.t.Helper()
	readings, err := b.Measure(b.t.Context(), d)
	if err != nil {
		b.t.Errorf("%s: %v", d.ID, err)
	}
	texts := map[string]string{}
	for _, r := range readings {
		text := r.Value.String()
		if r.Limit.Known() {
			text += " / " + r.Limit.String()
		}
		texts[r.Name] = text
	}
	return texts
}

// TestStatistics changes what single files say.
func TestStatistics(t *testing.T) {
	t.Parallel()
	const none = ""
	sensor := func(name string) string { return "hwmon/hwmon0/" + name }
	for _, tt := range []struct {
		file, content string
		err           error
		stat, want    string
	}{
		{"mem_info_vram_used", "68719476736\n", nil, "Memory state", "65536 / 65536"},
		{"mem_info_vram_used", "68719476737\n", nil, "Memory state", none},
		{"mem_info_vram_used", "-1\n", nil, "Memory state", none},
		{"mem_info_vram_used", "", nil, "Memory state", none},
		{"mem_info_vram_total", "0\n", nil, "Memory state", none},
		{"mem_info_vram_total", "18446744073709551615\n", nil, "Memory state", none},
		{"gpu_busy_percent", "100\n", nil, "GPU utilization", "100"},
		{"gpu_busy_percent", "0\n", nil, "GPU utilization", "0"},
		{"gpu_busy_percent", "101\n", nil, "GPU utilization", "37"}, // the firmware's
		{"gpu_busy_percent", "", syscall.EOPNOTSUPP, "GPU utilization", "37"},
		{"vcn_busy_percent", "3\n", nil, "Media utilization", "3"},
		{sensor("temp2_input"), "-5000\n", nil, "Temperature", "-5 / 100"},
		{sensor("temp2_input"), "511000\n", nil, "Temperature", "45"},
		{sensor("temp2_crit"), "0\n", nil, "Temperature", "45"},
		{sensor("temp2_crit"), "-273150\n", nil, "Temperature", "45"},
		{sensor("temp1_input"), "", syscall.EIO, "Edge temperature", none},
		{sensor("power1_average"), "0\n", nil, "Power usage", "0 / 300"},
		{sensor("power1_average"), "4294967295000000\n", nil, "Power usage", "90"},
		{sensor("power1_average"), "", syscall.EOPNOTSUPP, "Power usage", "90"},
		{sensor("power1_input"), "77000000\n", nil, "Power usage", "90 / 300"},
		{sensor("power1_cap"), "\n", nil, "Power usage", "90"},
		{sensor("freq1_input"), "-1\n", nil, "Core clock", "500"},
		{sensor("freq2_input"), "1600000000\n", nil, "Memory clock", "1600"},
		{sensor("fan1_input"), "1200\n", nil, "Fan speed", "1200"},
		{sensor("in0_input"), "65535\n", nil, "Core voltage", none},
		{"pcie_replay_count", "18446744073709551615\n", nil, "PCIe replays", none},
		{"pcie_replay_count", "-1\n", nil, "PCIe replays", none},
		{"current_link_speed", "Unknown\n", nil, "PCIe link", none},
		{"current_link_width", "63\n", nil, "PCIe link", none},
		{"aer_dev_correctable", "TOTAL_ERR_COR -3\n", nil, "PCIe correctable errors", none},
		{"gpu_metrics", "\x78\x00", nil, "Energy consumption", none},
		{"gpu_metrics", "\x08\x00\x07\x07\x01\x01\x01\x01", nil, "Energy consumption", none},
		{"ras/umc_err_count", "ue: 3\nce: 18446744073709551615\n", nil, "ECC corrected errors", "0"},
		{"ras/umc_err_count", "ue: 3\nce: 5\nde: 2\n", nil, "ECC uncorrected errors", "3"},
	} {
		t.Run(fmt.Sprintf("%s %q %v", tt.file, tt.content, tt.err), func(t *testing.T) {
			t.Parallel()
			b := newBench(t, machine(server))
			b.set(server.address, tt.file, tt.content)
			if tt.err != nil {
				b.fail(server.address, tt.file, tt.err)
			}
			got, ok := b.readings(b.scan().only(t))[tt.stat]
			if got != tt.want || ok != (tt.want != none) {
				t.Errorf("%s is %q, %v; want %q", tt.stat, got, ok, tt.want)
			}
		})
	}
}

// TestPartitionStatistics has readings of the partitions' own, and some about the time
// between two readings.
func TestPartitionStatistics(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, machine(cpx))
		s := b.good()
		metrics := func(second uint64) {
			b.set(cpx.address, "gpu_metrics", string(instinctMetrics(second)))
			time.Sleep(time.Second)
		}
		third, whole := s.devices["GPU-71c0a1d2e3f40501/cpx3"], s.devices["GPU-71c0a1d2e3f40501/cpx0"]
		got := b.readings(third)
		if got["GPU utilization"] != "30" || got["Time at power limit"] != "" {
			t.Errorf("the first time: %v", got)
		}
		metrics(2)
		reads := b.count(cpx.address, "gpu_metrics")
		got = b.readings(third)
		if got["Time at power limit"] != "25" || got["Time at heat limit"] != "0" || got["GPU utilization"] != "30" || got["Energy consumption"] != "180" {
			t.Errorf("the second time: %v", got)
		}
		if other := b.readings(whole); other["Time at power limit"] != "25" || other["GPU utilization"] != "0" {
			t.Errorf("another partition: %v", other)
		}
		if n := b.count(cpx.address, "gpu_metrics") - reads; n != 1 {
			t.Errorf("the GPU's metrics were read %d times for two partitions", n)
		}
		metrics(1) // the driver was reloaded
		if got := b.readings(third); got["Time at power limit"] != "" {
			t.Errorf("after counters that went back: %v", got)
		}
	})
}

// TestPartitionMetricsOfItsOwn has a kernel that gives each partition a table.
func TestPartitionMetricsOfItsOwn(t *testing.T) {
	t.Parallel()
	b := newBench(t, machine(cpx))
	b.set(cpx.address, "gpu_metrics", string(filled(288, 1, 4))) // knows no partitions
	d := b.good().devices["GPU-71c0a1d2e3f40501/cpx3"]
	if got, ok := b.readings(d)["GPU utilization"]; ok {
		t.Errorf("utilization %s out of nothing", got)
	}
	table := filled(488, 1, 0)
	binary.LittleEndian.PutUint32(table[48:], 55) // of its only die
	for content, want := range map[string]string{"": "", "\x01\x02": "", string(table[:100]): "", string(table): "55"} {
		b.write("/sys/devices/platform/amdgpu_xcp_2/xcp/xcp_metrics", content)
		if got := b.readings(d)["GPU utilization"]; got != want {
			t.Errorf("utilization %q out of %d bytes, want %q", got, len(content), want)
		}
	}
}

// TestProcesses counts what processes hold, on each partition of its own.
func TestProcesses(t *testing.T) {
	t.Parallel()
	b := newBench(t, machine(cpx))
	s := b.good()
	id := func(k int) uint32 { return s.devices[fmt.Sprintf("GPU-71c0a1d2e3f40501/cpx%d", k)].Ref.(*ref).node.ID }
	proc := func(pid int, k int, content string) {
		b.write(fmt.Sprintf("/sys/class/kfd/kfd/proc/%d/vram_%d", pid, id(k)), content)
	}
	proc(100, 2, "1073741824\n")
	proc(200, 2, "2147483648\n")
	proc(300, 2, "0\n")
	proc(400, 2, "garbage")
	proc(500, 2, "18446744073709551615\n")
	proc(100, 3, "1048576\n")
	for k, want := range map[int][2]string{2: {"3072 / 24576", "2"}, 3: {"1 / 24576", "1"}, 4: {"0 / 24576", "0"}} {
		got := b.readings(s.devices[fmt.Sprintf("GPU-71c0a1d2e3f40501/cpx%d", k)])
		if got["Memory of processes"] != want[0] || got["Compute processes"] != want[1] {
			t.Errorf("partition %d: %q held by %s", k, got["Memory of processes"], got["Compute processes"])
		}
	}
	b.faults.Set("/sys/class/kfd/kfd/proc", syscall.EACCES)
	time.Sleep(parentAge + 10*time.Millisecond)
	got := b.readings(s.devices["GPU-71c0a1d2e3f40501/cpx2"])
	if _, ok := got["Memory of processes"]; ok || got["Compute processes"] != "" {
		t.Errorf("unreadable: %v", got)
	}
}

func TestMeasureFails(t *testing.T) {
	t.Parallel()
	b := newBench(t, machine(server))
	if _, err := b.Measure(t.Context(), core.Device{ID: "GPU-x", Ref: 1}); err == nil || !strings.Contains(err.Error(), "GPU-x") {
		t.Errorf("a device that was never read: %v", err)
	}
	d := b.good().only(t)
	if err := b.host.Close(); err != nil {
		t.Fatal(err)
	}
	if readings, err := b.Measure(t.Context(), d); err == nil {
		t.Errorf("nothing can be read: %v", readings)
	}
}

// TestAllStatisticsAreDescribed has every reading in the table, and no name twice.
func TestAllStatisticsAreDescribed(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, s := range stats {
		if known[s.Name] {
			t.Errorf("%q is there twice", s.Name)
		}
		known[s.Name] = true
	}
	names := map[string]bool{}
	for _, a := range attributes {
		if names[a.Name] {
			t.Errorf("%q is there twice", a.Name)
		}
		names[a.Name] = true
	}
	for machine, tsv := range machines(t) {
		b := newBench(t, tsv)
		for id, d := range b.good().devices {
			for name := range b.readings(d) {
				if !known[name] {
					t.Errorf("%s, %s: the statistic %q is in no table", machine, id, name)
				}
			}
			for name := range d.Attributes {
				if !names[name] {
					t.Errorf("%s, %s: the attribute %q is in no table", machine, id, name)
				}
			}
		}
	}
	if diff := cmp.Diff(len(stats), len(known)); diff != "" || len(slices.Collect(maps.Keys(names))) != len(attributes) {
		t.Error(diff)
	}
}
