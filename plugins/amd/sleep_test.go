package amd

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestSuspended has a card that sleeps: nothing is read that needs its hardware, in a
// scan or for the statistics, and what was known stays.
func TestSuspended(t *testing.T) {
	t.Parallel()
	waking := []string{
		"gpu_busy_percent", "mem_busy_percent", "vcn_busy_percent", "pp_dpm_sclk", "pp_dpm_mclk", "gpu_metrics", "pcie_replay_count",
		"current_link_speed", "current_link_width", "max_link_speed", "max_link_width", "ras", "ras/sdma_err_count", "ras/gpu_vram_bad_pages",
		"hwmon/hwmon0/temp1_input", "hwmon/hwmon0/temp2_input", "hwmon/hwmon0/temp2_crit", "hwmon/hwmon0/temp2_emergency",
		"hwmon/hwmon0/power1_average", "hwmon/hwmon0/power1_input", "hwmon/hwmon0/power1_cap", "hwmon/hwmon0/power1_cap_default",
		"hwmon/hwmon0/freq1_input", "hwmon/hwmon0/freq2_input", "hwmon/hwmon0/fan1_input", "hwmon/hwmon0/in0_input",
	}
	for _, g := range []gpu{server, radeon} {
		for status, said := range map[string]bool{"suspended\n": true, "suspending\n": true, "resuming\n": false, "error\n": false, "\xff": false, "": false} {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, machine(g))
				b.set(g.address, "power/runtime_status", status)
				first := b.good().only(t)
				text := b.text(first)
				if strings.Contains(text, "Power state: suspended") != said || !strings.Contains(text, "Memory state: 256 / ") {
					t.Errorf("%q:\n%s", status, text)
				}
				for _, stat := range []string{"Temperature", "Power usage", "utilization", "ECC un"} {
					if strings.Contains(text, stat) {
						t.Errorf("%q: it tells its %s", status, stat)
					}
				}
				for _, address := range append(slices.Clone(g.above), g.address) {
					for _, name := range waking {
						if n := b.count(address, name); n > 0 {
							t.Errorf("%q: %s of %s was accessed %d times", status, name, address, n)
						}
					}
				}
				b.set(g.address, "power/runtime_status", "active\n")
				awake := b.good().only(t)
				if v := awake.Attributes["power"]; !v.Known() {
					t.Errorf("awake: power %v", v)
				}
				before := b.texts(b.scan())
				b.set(g.address, "power/runtime_status", status)
				for id, d := range b.good().devices {
					for name, v := range d.Attributes {
						if v.Known() && !strings.Contains(before[id], fmt.Sprintf("  %s = %v\n", name, v)) {
							t.Errorf("%q: %s = %v", status, name, v)
						}
					}
					if len(d.Attributes) != len(awake.Attributes) {
						t.Errorf("%q: %d attributes, awake it had %d", status, len(d.Attributes), len(awake.Attributes))
					}
				}
			})
		}
	}
}

// TestCountersAreReadSeldom reads the error counters, which asks the hardware, not
// more often than configured, and never for the statistics.
func TestCountersAreReadSeldom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, machine(server), func(c *Config) { c.RASPeriod = 30 * time.Second })
		count := func() int { return b.count(server.address, "ras/umc_err_count") - 1 } // one looks whether it is there
		d := b.good().only(t)
		first := count()
		for range 29 {
			time.Sleep(time.Second)
			if _, err := b.Measure(t.Context(), d); err != nil {
				t.Error(err)
			}
		}
		if n := count(); n != first || first != 1 {
			t.Errorf("read %d times, then %d", first, n-first)
		}
		before := b.count(server.address, "ras/sdma_err_count")
		for range 29 {
			b.good()
		}
		if n := b.count(server.address, "ras/sdma_err_count"); n != before {
			t.Errorf("read %d times more within the period", n-before)
		}
		time.Sleep(time.Second)
		b.good()
		if n := b.count(server.address, "ras/sdma_err_count"); n != before+1 {
			t.Errorf("read %d times after the period", n-before)
		}
	})
}
