package conformance

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/hashicorp/nomad/plugins/device"
)

const (
	// earlyDeaths is how often a plugin is killed soon after it was launched,
	// before it is watched.
	earlyDeaths = 5
	// mostBusy is the share of a processor's time that a plugin may use which
	// has little to do but wait. A machine with other work leaves less than all
	// of it to one that spins.
	mostBusy = 0.25
)

// relaunched is a plugin that was launched again, with a stream just opened.
type relaunched struct {
	*instance
	fingerprints *fingerprintTape
	calls        uint64 // into the driver before it was launched
}

// afterCrashes launches the plugin as Nomad does after a crash, at once and into
// the same environment, and kills it when it shows its devices or a second after
// its first message. The last launch is left alone for watch to look at. The
// first one is the measure: what is wrong with it is the matter of other rules.
func (b *bench) afterCrashes(ctx context.Context, watch func(relaunched) error) error {
	if err := b.session.steady(); err != nil {
		return err
	}
	// Each launch has a place of its own for temporary files otherwise. Here the
	// plugin finds there what processes before it have left.
	tmp, err := os.MkdirTemp("", "check-")
	if err != nil {
		return fmt.Errorf("a place for the plugin's temporary files: %w", err)
	}
	defer os.RemoveAll(tmp)
	target := b.target.(Binary)
	target.Env = append(slices.Clip(target.Env), "TMPDIR="+tmp)

	die := func(r relaunched) error {
		if err := r.first(ctx, b); err != nil {
			return err
		}
		r.fingerprints.until(ctx, b.promptly, withDevices)
		r.crash()
		return nil
	}
	if err := b.relaunch(ctx, target, die); err != nil {
		return skip("already at its first launch: %v", err)
	}
	for deaths := 1; deaths < earlyDeaths; deaths++ {
		if err := b.relaunch(ctx, target, die); err != nil {
			return fmt.Errorf("after %d early deaths: %w", deaths, err)
		}
	}
	if err := b.relaunch(ctx, target, watch); err != nil {
		return fmt.Errorf("after %d early deaths: %w", earlyDeaths, err)
	}
	return nil
}

// relaunch starts a plugin, gives it its configuration, opens a stream, and ends
// it after then.
func (b *bench) relaunch(ctx context.Context, target Target, then func(relaunched) error) error {
	var r relaunched
	var err error
	if counter, ok := b.options.Hardware.(HardwareWithCalls); ok {
		if r.calls, err = counter.Calls(); err != nil {
			return err
		}
	}
	if r.instance, err = b.launchAs(ctx, target); err != nil {
		return err
	}
	defer r.close()
	if took := r.process.stdout.first; took > b.promptly+b.leeway {
		return fmt.Errorf("the handshake came %s; want it within %v", after(took), b.promptly)
	}
	if err := b.configure(ctx, r.instance); err != nil {
		return fmt.Errorf("SetConfig: %w", err)
	}
	r.fingerprints = r.fingerprint()
	defer r.fingerprints.stop()
	return then(r)
}

// first waits for the first message. The error says that it is late or does not
// come.
func (r relaunched) first(ctx context.Context, b *bench) error {
	r.fingerprints.until(ctx, b.answer, some)
	if err := r.ended(); err != nil {
		return err
	}
	switch moments, _ := r.fingerprints.played(); {
	case len(moments) == 0:
		return fmt.Errorf("no first message within %v", b.answer)
	case moments[0].at > b.promptly+b.leeway:
		return fmt.Errorf("the first message came %s; want it within %v", after(moments[0].at), b.promptly)
	default:
		return nil
	}
}

// ended returns how the plugin or its stream came to an end, or nil.
func (r relaunched) ended() error {
	_, end := r.fingerprints.played()
	if _, what := blame(r.instance, end); what != "" {
		return errors.New(what)
	}
	return nil
}

// checkCrashLoop: a plugin that died early again and again starts like any
// other, stays, and comes back to its devices.
func checkCrashLoop(ctx context.Context, b *bench) error {
	return b.afterCrashes(ctx, func(r relaunched) error {
		if err := r.first(ctx, b); err != nil {
			return err
		}
		start := time.Now()
		before, _ := processorTime(r.process.pid())
		wait(ctx, b.options.Watch)
		now, err := processorTime(r.process.pid())
		if used, took := now-before, time.Since(start); err == nil && used.Seconds() > mostBusy*took.Seconds() {
			return fmt.Errorf("it kept the processor busy for %v of %v", round(used), round(took))
		}
		known, _ := b.session.groups() // none, if there are no devices
		back := r.fingerprints.until(ctx, b.heal, func(m []moment[*device.FingerprintResponse]) bool {
			return slices.Equal(idsOf(m[len(m)-1].message.Devices), idsOf(known))
		})
		if err := r.ended(); err != nil {
			return err
		}
		if last, _ := r.fingerprints.last(); !back {
			return fmt.Errorf("within %v it came back to %s; want %s", b.heal, list(idsOf(last.message.Devices)), list(idsOf(known)))
		}
		first, _ := r.fingerprints.played()
		b.note("after %d early deaths the first message came %s", earlyDeaths, after(first[0].at))
		return nil
	})
}

// checkHardwareRests: a plugin that died early again and again waits before it
// touches the hardware once more.
func checkHardwareRests(ctx context.Context, b *bench) error {
	counter, ok := b.options.Hardware.(HardwareWithCalls)
	if !ok {
		return skip("the hardware does not count its calls")
	}
	return b.afterCrashes(ctx, func(r relaunched) error {
		for {
			// A machine that is slow to look makes the pause longer, not shorter.
			calls, err := counter.Calls()
			at := time.Since(r.fingerprints.opened)
			switch {
			case err != nil:
				return err
			case at > b.promptly:
				return r.ended()
			case calls != r.calls:
				return fmt.Errorf("%d calls into the driver %s; want none within %v", calls-r.calls, after(at), b.promptly)
			}
			wait(ctx, 10*time.Millisecond)
		}
	})
}
