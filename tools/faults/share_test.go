package faults

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nomad-devices/nomad-devices/core/share"
	"github.com/nomad-devices/nomad-devices/tools/simulate/nvidia"
)

// mpsEnds takes the MPS daemon away under shared GPUs, as a crash leaves it and as
// an orderly end does.
func mpsEnds(t *trial) {
	daemon := func(m *nvidia.Machine) error {
		for path, text := range map[string]string{
			"run/mps/control": "", "run/mps/nvidia-cuda-mps-control.pid": "4711\n", "proc/4711/comm": "nvidia-cuda-mps\n",
		} {
			full := filepath.Join(m.Root(), path)
			if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
				return err
			}
			if err := os.WriteFile(full, []byte(text), 0o600); err != nil {
				return err
			}
		}
		return nil
	}
	s := newStand(t, options{anyway: true, prepare: daemon, settings: quick + `
share {
  devices  = ["0000:1b:00.0"]
  replicas = 2
  strategy = "mps"
}
mps {
  pipe_directory = "/run/mps"
  mounts         = false
}
`})
	well := func(_ *stand, now state) bool { return len(now.devices()) == 9 && now.healthy() == 9 }
	s.until("seven GPUs and two parts", well)
	part := share.PartID(s.uuid(0), 1)
	for _, gone := range []string{"proc/4711", "run/mps/control"} {
		t.do(os.RemoveAll(filepath.Join(s.machine.Root(), gone)))
		now := s.until("both parts to be unhealthy", func(_ *stand, now state) bool {
			d := now.device(part)
			return d != nil && !d.Healthy && now.healthy() == 7
		})
		t.hear(now.device(part).HealthDesc)
		if _, err := s.plugin.Reserve(t.Context(), []string{part}); err == nil || !strings.Contains(err.Error(), "MPS daemon") {
			t.Errorf("without its daemon a part was reserved: %v", err)
		}
		s.reserves(1)
		t.do(daemon(s.machine))
		s.until("both parts to be healthy again", well)
	}
}

// portTaken has another process at the address of the metrics.
func portTaken(t *trial) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	t.do(err)
	defer taken.Close()
	s := newStand(t, options{settings: quick + "metrics {\n  address = \"" + taken.Addr().String() + "\"\n}\n"})
	s.reserves(0)
	said := func(words string) {
		t.Helper()
		for deadline := time.Now().Add(patience); !t.holds(words); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("the plugin does not say %q", words)
			}
		}
	}
	said("metrics are not served")
	t.do(s.machine.Lose(2))
	s.sick(2)
	_ = taken.Close()
	said("serving metrics")
}
