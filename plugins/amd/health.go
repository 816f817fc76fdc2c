package amd

import (
	"errors"
	"strings"
	"syscall"
	"time"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/core/sysfs/pci"
)

// The codes of the faults of a GPU that the driver runs.
const (
	codeUncorrectable = "ecc-uncorrectable"
	codeOldErrors     = "ecc-history"
	codeDeferred      = "ecc-deferred"
	codeBadPages      = "bad-pages"
	codePagesPending  = "bad-pages-pending"
	codeReset         = "reset"
	codeResetStuck    = "reset-stuck"
	codeUnreadable    = "unreadable"
	codeHot           = "hot"
	codePCIe          = "pcie-fatal"
	codeNode          = "node-missing"
	codeWedged        = "wedged"
)

const (
	// resetPatience is how long a reset may take.
	resetPatience = time.Minute
	// deferredWindow and deferredMost are how many deferred errors in which time
	// are too many: poison that piles up is soon read by somebody.
	deferredWindow = time.Hour
	deferredMost   = 10
	// heatMargin is how near to the temperature at which the driver powers the
	// node off a GPU is taken out of use, in thousandths of a degree.
	heatMargin = 2000
)

// watchful is what judging a GPU remembers from scan to scan.
type watchful struct {
	ras       rasState
	resetting time.Time // since when the GPU is in a reset; zero if it is not
	hot       bool
	// fatal is the number of fatal PCIe errors of the GPU and of its board's
	// bridge, and lost whether one rose.
	fatal map[core.PCIAddress]int64
	lost  bool
}

// examine returns what is wrong with the GPU, as far as can be seen while it sleeps if
// it is not awake.
func (c *card) examine(s sighting, awake bool) []core.Fault {
	now := time.Now()
	w := &c.watch
	state := stateFine
	if awake {
		w.ras.look(c, now)
		state = c.probe()
	}
	if !w.resetting.IsZero() && state == stateFine {
		w.lost = false // the reset is over
	}
	faults := w.errorFaults(now, c.vendor.cfg)
	faults = append(faults, w.pageFaults()...)
	faults = append(faults, c.fatalFaults(s)...)
	if !awake {
		w.resetting = time.Time{}
		return faults
	}
	if state == stateReset || w.ras.inReset {
		if w.resetting.IsZero() {
			w.resetting = now
		}
		return append(faults, resetFault(now.Sub(w.resetting)))
	}
	w.resetting = time.Time{}
	if state == stateUnreadable {
		faults = append(faults, core.Fault{
			Code: codeUnreadable, Severity: core.Soft,
			Reason: "the driver does not tell anything about the GPU: none of its sensors can be read",
			Remedy: "look at the kernel log (dmesg | grep amdgpu); a GPU that fell off the bus needs a reset or a reboot",
		})
	}
	return append(faults, c.heatFaults()...)
}

// power is whether a GPU sleeps.
type power int

const (
	// powerUnknown is that of a GPU that may be asleep: on its way, or one that
	// does not tell.
	powerUnknown power = iota
	powerActive
	powerSuspended
)

// power returns whether the GPU sleeps. Reading what needs its hardware would wake it
// on older kernels, and fails on newer ones
// (Documentation/ABI/testing/sysfs-devices-power, runtime_status).
func (c *card) power() power {
	status, err := c.vendor.host.ReadString(c.file("power/runtime_status"))
	switch {
	case sysfs.IsAbsent(err), err == nil && (status == "active" || status == "unsupported"):
		return powerActive
	case err == nil && (status == "suspended" || status == "suspending"):
		return powerSuspended
	default:
		return powerUnknown
	}
}

// state is how a GPU answers.
type state int

const (
	stateFine state = iota
	stateReset
	stateUnreadable
)

// live are files that need the GPU's hardware and that each GPU has one of.
var live = []string{"gpu_busy_percent", "mem_busy_percent", "pp_dpm_sclk"}

// probe asks the GPU for things until it has answered one. EBUSY is a reset or a
// card that is being set up, and what everything answers then; older kernels say
// EPERM for that (amdgpu_pm.c).
func (c *card) probe() state {
	state := stateFine
	answered := func(err error) bool {
		switch {
		case errors.Is(err, syscall.EBUSY):
			state = stateReset
			return true
		case err == nil || errors.Is(err, sysfs.ErrMalformed):
			state = stateFine
			return true
		case !unsupported(err):
			state = stateUnreadable
		}
		return false
	}
	for _, name := range live {
		if _, err := c.vendor.host.Read(c.file(name)); answered(err) {
			return state
		}
	}
	for _, label := range []string{"junction", "edge"} {
		if _, err := c.hwmon.read(c, label, "input"); answered(err) {
			return state
		}
	}
	return state
}

func resetFault(lasts time.Duration) core.Fault {
	if lasts > resetPatience {
		return core.Fault{
			Code: codeResetStuck, Severity: core.Hard,
			Reason: "a reset of the GPU did not finish",
			Remedy: "look at the kernel log (dmesg | grep amdgpu), then reload the driver or reboot the node",
		}
	}
	return core.Fault{
		Code: codeReset, Severity: core.Hard,
		Reason: "the GPU is being reset: jobs that used it have lost their work",
		Remedy: "it comes back by itself",
	}
}

// errorFaults returns what the error counters mean.
func (w *watchful) errorFaults(now time.Time, cfg *Config) []core.Fault {
	var faults []core.Fault
	for _, b := range w.ras.blocks {
		if after := cfg.UERecoverAfter; after > 0 && !b.risen.IsZero() && now.Sub(b.risen) >= after {
			b.risen = time.Time{}
		}
	}
	const reset = "stop its jobs, then reset the GPU or reload the driver; it comes back when its counters begin anew"
	if blocks := w.ras.where(func(b *rasBlock) bool { return !b.risen.IsZero() }); len(blocks) > 0 {
		faults = append(faults, core.Fault{
			Code: codeUncorrectable, Severity: core.Hard,
			Reason: "uncorrectable errors in " + strings.Join(blocks, ", "), Remedy: reset,
		})
	}
	if blocks := w.ras.where(func(b *rasBlock) bool { return b.old && b.risen.IsZero() }); len(blocks) > 0 {
		f := core.Fault{
			Code: codeOldErrors, Severity: core.Notice,
			Reason: "uncorrectable errors in " + strings.Join(blocks, ", ") + " before the plugin was started",
			Remedy: "reset the GPU if it was not reset since",
		}
		if cfg.StrictECC {
			f.Severity, f.Remedy = core.Hard, reset
		}
		faults = append(faults, f)
	}
	switch n := w.ras.deferredSince(now.Add(-deferredWindow)); {
	case n >= deferredMost:
		faults = append(faults, core.Fault{
			Code: codeDeferred, Severity: core.Soft,
			Reason: "many deferred memory errors within an hour: poison that nobody has read yet piles up",
			Remedy: "drain the GPU and reset it; if they come back, replace it",
		})
	case n > 0:
		faults = append(faults, core.Fault{
			Code: codeDeferred, Severity: core.Notice,
			Reason: "deferred memory errors within the last hour: poison that nobody has read yet",
			Remedy: "if they become many, drain the GPU and reset it",
		})
	}
	return faults
}

// pageFaults returns what the list of failed pages means.
func (w *watchful) pageFaults() []core.Fault {
	var faults []core.Fault
	if w.ras.pages.unreserved > 0 {
		faults = append(faults, core.Fault{
			Code: codeBadPages, Severity: core.Hard,
			Reason: "pages of its memory failed and could not be taken out of use",
			Remedy: "stop its jobs and reload the driver; if that does not help, replace the GPU",
		})
	}
	if w.ras.pages.pending > 0 {
		faults = append(faults, core.Fault{
			Code: codePagesPending, Severity: core.Notice,
			Reason: "pages of its memory failed and are taken out of use at the next reset",
			Remedy: "reset the GPU when its jobs are done",
		})
	}
	return faults
}

// heatFaults takes a GPU out of use before the driver powers the node off over its
// heat.
func (c *card) heatFaults() []core.Fault {
	for _, label := range []string{"junction", "edge"} {
		now, err := c.hwmon.temperature(c, label, "input")
		if errors.Is(err, errNoSensor) {
			continue
		}
		if err != nil {
			break
		}
		limit, err := c.hwmon.temperature(c, label, "emergency")
		if err != nil || limit <= 0 {
			break
		}
		cool, err := c.hwmon.temperature(c, label, "crit")
		if err != nil || cool <= 0 || cool > limit-heatMargin {
			cool = limit - heatMargin
		}
		c.watch.hot = now >= limit-heatMargin || c.watch.hot && now >= cool
		break
	}
	if !c.watch.hot {
		return nil
	}
	return []core.Fault{{
		Code: codeHot, Severity: core.Soft,
		Reason: "the GPU is about as hot as it may be before the driver powers the node off",
		Remedy: "look at the cooling; it comes back when it is cooler",
	}}
}

// fatalFaults tells of fatal errors of the PCIe link since the last scan, on the
// GPU or on its board's own bridge
// (Documentation/ABI/testing/sysfs-bus-pci-devices-aer_stats).
func (c *card) fatalFaults(s sighting) []core.Fault {
	if !s.onBus {
		return nil
	}
	w := &c.watch
	for _, address := range []core.PCIAddress{c.address, c.bridge} {
		if address == "" {
			continue
		}
		n, err := c.aer(address, "fatal")
		if err != nil {
			continue
		}
		switch before, known := w.fatal[address]; {
		case known && n > before:
			w.lost = true
		case n < before:
			w.lost = false // the function was found anew
		}
		if w.fatal == nil {
			w.fatal = map[core.PCIAddress]int64{}
		}
		w.fatal[address] = n
	}
	if !w.lost {
		return nil
	}
	return []core.Fault{{
		Code: codePCIe, Severity: core.Soft,
		Reason: "a fatal error on the PCIe link of the GPU",
		Remedy: "look at the kernel log (dmesg | grep AER); it is trusted again after a reset, or when the driver is bound anew",
	}}
}

// aer returns the number of PCIe errors of a kind that a function had.
func (c *card) aer(address core.PCIAddress, kind string) (int64, error) {
	data, err := c.vendor.host.Read(pci.Path(address) + "/aer_dev_" + kind)
	if err != nil {
		return 0, err
	}
	return parseAER(data)
}

// renderFaults tells that a device's render node is missing.
func (c *card) renderFaults(r *ref) []core.Fault {
	if r.node.RenderMinor == 0 {
		return []core.Fault{{
			Code: codeNode, Severity: core.Soft,
			Reason: "the driver shows no render node for the GPU",
			Remedy: "look at the kernel log (dmesg | grep amdgpu); a GPU that the driver could not set up has none",
		}}
	}
	node := renderNode(r.node.RenderMinor)
	if exists, err := c.vendor.host.Exists(node); exists || err != nil {
		return nil
	}
	return []core.Fault{nodeFault(node)}
}

// nodeFault is the fault of a device node that is missing. It does not name the node's
// number, which changes from boot to boot.
func nodeFault(node string) core.Fault {
	return core.Fault{
		Code: codeNode, Severity: core.Soft,
		Reason: "the device node of the GPU is missing: " + strings.TrimRight(node, "0123456789"),
		Remedy: "check that udev or devtmpfs runs on the node; udevadm trigger makes the nodes anew",
	}
}
