package xrt

import (
	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/family"
)

// state is whether a user function can be asked for more. It is read before
// anything else.
type state struct {
	ready, offline, bad family.Fact[uint64]
}

func readState(host *sysfs.FS, dir string) state {
	return state{
		ready:   family.ReadUint(host, dir+"/ready"),
		offline: family.ReadUint(host, dir+"/dev_offline"),
		bad:     family.ReadUint(host, dir+"/device_bad_state"),
	}
}

// answers reports whether the card's controllers can be asked: to read what they
// have to tell is to wait for them, and while the card is not ready, in vain.
func (s state) answers() bool {
	return s.ready == family.Is[uint64](1) && s.offline == family.Is[uint64](0)
}

// reset reports whether the card is being reset: its user function has none of
// its attributes.
func (s state) reset() bool { return s.ready.State == family.None }
