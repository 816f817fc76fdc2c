package doctor

import "testing"

func TestNearest(t *testing.T) {
	t.Parallel()
	all := []string{"nomad-device-nvidia", "nomad-device-amd", "nomad-driver-podman"}
	for name, want := range map[string]string{
		"nvidia": "nomad-device-nvidia", "nomad-device-nvida": "nomad-device-nvidia", "Nomad-Device-AMD": "nomad-device-amd",
		"zfs": "",
	} {
		if got := nearest(name, all); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}
