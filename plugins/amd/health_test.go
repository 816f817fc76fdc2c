package amd

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nomad-devices/nomad-devices/core"
)

// sickbed is a bench with one MI210, in a bubble of its own time.
type sickbed struct {
	*bench
	t *testing.T
}

// inBed runs a test in a bubble of its own time.
func inBed(t *testing.T, test func(b sickbed), change ...func(*Config)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(sickbed{newBench(t, machine(server), change...), t}) })
}

func (b sickbed) set(name, content string) { b.t.Helper(); b.bench.set(server.address, name, content) }

func (b sickbed) fail(name string, err error) { b.t.Helper(); b.bench.fail(server.address, name, err) }

func (b sickbed) counts(block string, n ...int) {
	b.t.Helper()
	var text strings.Builder
	for i, n := range n {
		fmt.Fprintf(&text, "%s: %d\n", []string{"ue", "ce", "de"}[i], n)
	}
	b.set("ras/"+block+"_err_count", text.String())
}

// after looks when some time has passed, and compares the faults.
func (b sickbed) after(wait time.Duration, what string, want ...string) core.Device {
	b.t.Helper()
	time.Sleep(wait)
	s := b.scan()
	d, ok := s.devices["GPU-9e3779b97f4a7c15"]
	if !ok {
		d = s.devices[server.address+"?"]
	}
	if got := codes(d); !slices.Equal(got, want) {
		b.t.Errorf("%s: faults %v, want %v (errors %v)", what, got, want, s.errs)
	}
	for _, f := range d.Faults {
		if f.Reason == "" || f.Remedy == "" || strings.ContainsAny(f.Reason, "0123456789") {
			b.t.Errorf("%s: a fault must say what and what to do, without numbers that move: %q", what, f.Error())
		}
	}
	return d
}

const (
	tick  = 10 * time.Second // as often as the counters are read
	fatal = "hard " + codeUncorrectable
)

func TestUncorrectedErrors(t *testing.T) {
	t.Parallel()
	t.Run("by default", func(t *testing.T) {
		t.Parallel()
		inBed(t, func(b sickbed) {
			b.after(0, "well")
			b.counts("umc", 1, 7)
			b.counts("sdma", 2, 0)
			d := b.after(tick, "errors", fatal)
			if !strings.Contains(d.Faults[0].Reason, "sdma, umc") {
				t.Errorf("the fault is %q", d.Faults[0].Reason)
			}
			b.after(24*time.Hour, "a day later", fatal)
			b.fail("ras/umc_err_count", syscall.EINVAL)
			b.fail("ras/sdma_err_count", syscall.EIO)
			b.after(tick, "unreadable", fatal)
			b.fail("ras", syscall.EIO)
			b.after(tick, "all unreadable", fatal)
			for _, name := range []string{"ras", "ras/umc_err_count", "ras/sdma_err_count"} {
				b.fail(name, nil)
			}
			b.set("ras/umc_err_count", "\xff\xff")
			b.after(tick, "garbage", fatal)
			b.counts("umc", 0, 0)
			b.after(tick, "one block was reset", fatal)
			b.counts("sdma", 0, 0)
			b.after(tick, "the other one, too")
		})
	})
	t.Run("with a threshold", func(t *testing.T) {
		t.Parallel()
		inBed(t, func(b sickbed) {
			b.counts("umc", 5, 0)
			b.after(0, "old ones", "notice "+codeOldErrors)
			b.counts("umc", 7, 0)
			b.after(tick, "too few", "notice "+codeOldErrors)
			b.counts("umc", 8, 0)
			b.after(tick, "enough", fatal)
		}, func(c *Config) { c.UEThreshold = 3 })
	})
	t.Run("strict", func(t *testing.T) {
		t.Parallel()
		inBed(t, func(b sickbed) {
			b.counts("umc", 5, 0)
			b.after(0, "old ones", "hard "+codeOldErrors)
			b.counts("umc", 0, 0)
			b.after(tick, "reset")
			b.counts("umc", 1, 0)
			b.after(tick, "new ones", fatal)
		}, func(c *Config) { c.StrictECC = true })
	})
	t.Run("forgiven", func(t *testing.T) {
		t.Parallel()
		inBed(t, func(b sickbed) {
			b.after(0, "well")
			b.counts("umc", 1, 0)
			b.after(tick, "errors", fatal)
			b.counts("umc", 2, 0)
			b.after(50*time.Minute, "another one", fatal)
			b.after(50*time.Minute, "not long enough", fatal)
			b.after(10*time.Minute, "long enough")
			b.counts("umc", 3, 0)
			b.after(tick, "again", fatal)
		}, func(c *Config) { c.UERecoverAfter = time.Hour })
	})
	t.Run("the driver is reloaded", func(t *testing.T) {
		t.Parallel()
		inBed(t, func(b sickbed) {
			b.after(0, "well")
			b.counts("umc", 1, 0)
			b.after(tick, "errors", fatal)
			driver := "/sys/bus/pci/devices/" + server.address + "/driver"
			b.faults.Set(driver, syscall.ENOENT)
			d := b.after(tick, "unbound", "soft "+codeUnbound)
			if d.ID != "" || d.PCI != core.PCIAddress(server.address) {
				t.Errorf("unbound: %+v", d)
			}
			if !slices.Contains(d.Cleared, codeWedged) {
				t.Errorf("what the driver gave up stays so without it: %v", d.Cleared)
			}
			b.faults.Set(driver, nil)
			b.after(tick, "bound again, with errors that may be new", "notice "+codeOldErrors)
			b.counts("umc", 0, 0)
			b.after(tick, "counted anew")
		})
	})
	t.Run("a GPU without", func(t *testing.T) {
		t.Parallel()
		inBed(t, func(b sickbed) {
			b.fail("ras", syscall.ENOENT)
			d := b.after(0, "well")
			if text := b.text(d); strings.Contains(text, "ECC") || strings.Contains(text, "Retired") {
				t.Errorf("it counts errors:\n%s", text)
			}
		})
	})
}

func TestDeferredErrors(t *testing.T) {
	t.Parallel()
	inBed(t, func(b sickbed) {
		b.counts("umc", 0, 0, 100)
		b.after(0, "well: they are old")
		b.counts("umc", 0, 0, 104)
		b.after(tick, "some", "notice "+codeDeferred)
		b.counts("umc", 0, 0, 109)
		b.after(30*time.Minute, "some more", "notice "+codeDeferred)
		b.counts("umc", 0, 0, 110)
		b.after(20*time.Minute, "too many", "soft "+codeDeferred)
		b.after(11*time.Minute, "the first ones are an hour old", "notice "+codeDeferred)
		b.after(50*time.Minute, "all are")
		b.counts("umc", 0, 0)
		b.after(tick, "a file without")
		b.counts("umc", 0, 0, 50)
		b.after(tick, "a file with")
		b.counts("umc", 0, 0, 10)
		b.after(tick, "counted anew")
	})
}

func TestBadPages(t *testing.T) {
	t.Parallel()
	inBed(t, func(b sickbed) {
		b.after(0, "none")
		b.set("ras/gpu_vram_bad_pages", "0x00000001 : 0x00001000 : R\n0x00000002 : 0x00001000 : R\n")
		d := b.after(tick, "retired")
		if !strings.Contains(b.text(d), "Retired pages: 2 #") {
			t.Error("they are not counted")
		}
		b.set("ras/gpu_vram_bad_pages", "0x00000001 : 0x00001000 : R\n0x00000003 : 0x00001000 : P\n")
		b.after(tick, "pending", "notice "+codePagesPending)
		b.set("ras/gpu_vram_bad_pages", "0x00000001 : 0x00001000 : F\n0x00000003 : 0x00001000 : P\n")
		b.after(tick, "in use", "hard "+codeBadPages, "notice "+codePagesPending)
		b.fail("ras/gpu_vram_bad_pages", syscall.EIO)
		b.after(tick, "unreadable", "hard "+codeBadPages, "notice "+codePagesPending)
		b.fail("ras/gpu_vram_bad_pages", nil)
		b.set("ras/gpu_vram_bad_pages", strings.Repeat("x", 5000))
		b.after(tick, "garbage", "hard "+codeBadPages, "notice "+codePagesPending)
		b.set("ras/gpu_vram_bad_pages", "")
		b.after(tick, "none any more")
	})
}

func TestReset(t *testing.T) {
	t.Parallel()
	sensors := []string{"gpu_busy_percent", "mem_busy_percent", "pp_dpm_sclk", "gpu_metrics", "hwmon/hwmon0/temp2_input"}
	t.Run("all say busy", func(t *testing.T) {
		t.Parallel()
		inBed(t, func(b sickbed) {
			text := b.text(b.after(0, "well"))
			for _, name := range sensors {
				b.fail(name, syscall.EBUSY)
			}
			b.after(tick, "begins", "hard "+codeReset)
			b.after(time.Minute, "goes on", "hard "+codeReset)
			b.after(time.Second, "does not end", "hard "+codeResetStuck)
			for _, name := range sensors {
				b.fail(name, nil)
			}
			if diff := b.text(b.after(tick, "is over")); diff != text {
				t.Errorf("after it:\n%s", diff)
			}
			b.fail("gpu_busy_percent", syscall.EBUSY)
			b.after(tick, "another one", "hard "+codeReset)
		})
	})
	t.Run("the counters cannot be asked", func(t *testing.T) {
		t.Parallel()
		inBed(t, func(b sickbed) {
			b.set("ras/umc_err_count", "Query currently inaccessible\n")
			b.after(0, "begins", "hard "+codeReset)
			b.counts("umc", 0, 0)
			b.after(tick, "is over")
		})
	})
	t.Run("it takes a fatal error away", func(t *testing.T) {
		t.Parallel()
		inBed(t, func(b sickbed) {
			b.after(0, "well")
			b.set("aer_dev_fatal", "TLP 1\nTOTAL_ERR_FATAL 1\n")
			b.after(tick, "a fatal error", "soft "+codePCIe)
			b.fail("gpu_busy_percent", syscall.EBUSY)
			b.after(tick, "a reset", "soft "+codePCIe, "hard "+codeReset)
			b.fail("gpu_busy_percent", nil)
			b.after(tick, "is over")
		})
	})
}

func TestUnreadable(t *testing.T) {
	t.Parallel()
	sensors := []string{"gpu_busy_percent", "mem_busy_percent", "pp_dpm_sclk", "hwmon/hwmon0/temp1_input", "hwmon/hwmon0/temp2_input"}
	for _, errno := range []syscall.Errno{syscall.EIO, syscall.EPERM, syscall.ETIMEDOUT} {
		inBed(t, func(b sickbed) {
			b.after(0, "well")
			for _, name := range sensors {
				b.fail(name, errno)
			}
			b.after(tick, "nothing answers", "soft "+codeUnreadable)
			b.fail("pp_dpm_sclk", nil)
			b.after(tick, "something answers")
			b.fail("pp_dpm_sclk", syscall.EOPNOTSUPP)
			b.after(tick, "it has no such table", "soft "+codeUnreadable)
			for _, name := range sensors {
				b.fail(name, syscall.EINVAL)
			}
			b.after(tick, "it has no sensors at all")
		})
	}
}

func TestHeat(t *testing.T) {
	t.Parallel()
	inBed(t, func(b sickbed) {
		hot := "soft " + codeHot
		degrees := func(n int) { b.set("hwmon/hwmon0/temp2_input", fmt.Sprintln(1000*n)) }
		b.after(0, "well")
		degrees(102)
		b.after(tick, "throttling is normal")
		degrees(103)
		b.after(tick, "near the end", hot)
		degrees(101)
		b.after(tick, "not cool yet", hot)
		b.fail("hwmon/hwmon0/temp2_input", syscall.EIO)
		b.after(tick, "unreadable", hot)
		b.fail("hwmon/hwmon0/temp2_input", nil)
		degrees(511)
		b.after(tick, "no temperature", hot)
		degrees(99)
		b.after(tick, "cool")
		b.set("hwmon/hwmon0/temp2_emergency", "0\n")
		degrees(140)
		b.after(tick, "without a limit")
	})
}

func TestFatalPCIeErrors(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, machine(radeon))
		lost := func() bool { return slices.Contains(codes(b.scan().only(t)), "soft "+codePCIe) }
		bridge := func(n int) { b.set(radeon.above[0], "aer_dev_fatal", fmt.Sprintf("TOTAL_ERR_FATAL %d\n", n)) }
		step := func(what string, want bool) {
			t.Helper()
			if got := lost(); got != want {
				t.Errorf("%s: %v", what, got)
			}
		}
		bridge(2)
		step("old ones", false)
		b.fail(radeon.above[0], "aer_dev_fatal", syscall.EIO)
		step("the bridge cannot be read", false)
		b.fail(radeon.above[0], "aer_dev_fatal", nil)
		step("it can be read again", false)
		bridge(3)
		step("an error of the board's bridge", true)
		b.fail(radeon.above[0], "aer_dev_fatal", syscall.EIO)
		step("it cannot be read", true)
		b.fail(radeon.above[0], "aer_dev_fatal", nil)
		b.set(radeon.above[0], "aer_dev_fatal", "what?")
		step("garbage", true)
		bridge(0)
		step("found anew", false)
		b.set(radeon.above[0], "aer_dev_correctable", "TOTAL_ERR_COR 70000\n")
		step("corrected ones", false)
	})
}

func TestMissingNodes(t *testing.T) {
	t.Parallel()
	inBed(t, func(b sickbed) {
		b.after(0, "well")
		for _, node := range []string{"/dev/kfd", "/dev/dri/renderD128"} {
			b.faults.Set(node, syscall.ENOENT)
			b.after(tick, node+" is missing", "soft "+codeNode)
			b.faults.Set(node, syscall.EACCES)
			b.after(tick, node+" cannot be looked at")
			b.faults.Set(node, nil)
			b.after(tick, "back")
		}
		b.properties(1, "drm_render_minor", "0")
		b.after(tick, "KFD does not tell the minor, the driver does")
		b.fail("drm", syscall.ENOENT)
		d := b.after(tick, "nobody does", "soft "+codeNode)
		if g, err := b.Grant(t.Context(), d); err == nil {
			t.Errorf("granted %+v", g)
		}
	})
}

func TestWithoutKFDNode(t *testing.T) {
	t.Parallel()
	inBed(t, func(b sickbed) {
		b.after(0, "well")
		node := "/sys/class/kfd/kfd/topology/nodes/1/properties"
		b.faults.Set(node, syscall.ENOENT)
		b.after(tick, "gone", "soft "+codeNoKFD)
		b.faults.Set(node, syscall.EPERM)
		if s := b.scan(); s.errs[server.address] == nil || !strings.Contains(s.errs[server.address].Error(), "device cgroup") {
			t.Errorf("hidden: %v, %v", s.ids(), s.errs)
		}
		b.faults.Set(node, nil)
		b.after(tick, "back")
		b.faults.Set("/sys/class/kfd/kfd/topology/nodes", syscall.EIO)
		if s := b.scan(); s.errs[server.address] == nil {
			t.Errorf("no topology: %v", s.ids())
		}
	})
}
