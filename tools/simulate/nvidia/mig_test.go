package nvidia

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type place struct {
	Profile string
	GI, CI  int
}

func layout(t *testing.T, m *Machine, gpu int) ([]place, []string) {
	t.Helper()
	gpus, err := m.GPUs()
	check(t, err)
	var places []place
	var uuids []string
	for _, d := range gpus[gpu].MIG {
		places = append(places, place{d.Profile, d.GI, d.CI})
		uuids = append(uuids, d.UUID)
	}
	return places, uuids
}

func TestMIGLayouts(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		profiles []string
		want     []place
		refused  string
	}{
		"mixed":              {[]string{"3g.40gb", "2g.20gb", "1g.10gb"}, []place{{"3g.40gb", 1, 0}, {"2g.20gb", 3, 0}, {"1g.10gb", 7, 0}}, ""},
		"two halves":         {[]string{"3g.40gb", "3g.40gb"}, []place{{"3g.40gb", 1, 0}, {"3g.40gb", 2, 0}}, ""},
		"compute instances":  {[]string{"1c.3g.40gb", "2c.3g.40gb", "1c.3g.40gb"}, []place{{"1c.3g.40gb", 1, 0}, {"2c.3g.40gb", 1, 1}, {"1c.3g.40gb", 2, 0}}, ""},
		"none":               {nil, nil, ""},
		"too many slices":    {[]string{"4g.40gb", "4g.40gb"}, nil, "do not fit"},
		"too much memory":    {[]string{"3g.40gb", "3g.40gb", "1g.10gb"}, nil, "do not fit together"},
		"unknown":            {[]string{"5g.50gb"}, nil, "no MIG profile"},
		"more than possible": {[]string{"1g.10gb", "1g.10gb", "1g.10gb", "1g.10gb", "1g.10gb", "1g.10gb", "1g.10gb", "1g.10gb"}, nil, "7 is the most"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t, "4xa100-mig")
			before, _ := layout(t, m, 0)
			err := m.MIG(0, tt.profiles...)
			if tt.refused != "" {
				if err == nil || !strings.Contains(err.Error(), tt.refused) {
					t.Errorf("MIG: %v, want an error with %q", err, tt.refused)
				}
				tt.want = before
			} else if err != nil {
				t.Fatal(err)
			}
			got, _ := layout(t, m, 0)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("layout (-want +got):\n%s", diff)
			}
		})
	}
}

func TestMIGDevicesKeepTheirUUIDs(t *testing.T) {
	t.Parallel()
	m := newMachine(t, "8xh100")
	check(t, m.MIG(0, "3g.40gb", "1g.10gb"))
	_, first := layout(t, m, 0)
	check(t, m.MIG(0, "3g.40gb", "2g.20gb"))
	_, second := layout(t, m, 0)
	if first[0] != second[0] {
		t.Errorf("the device that stayed has another UUID: %s, then %s", first[0], second[0])
	}
	if first[1] == second[1] {
		t.Errorf("a new device has the UUID of an old one: %s", first[1])
	}
	check(t, m.MIGOff(0))
	check(t, m.MIG(0, "3g.40gb", "1g.10gb"))
	_, third := layout(t, m, 0)
	if first[0] == third[0] || first[1] == third[1] {
		t.Errorf("devices made anew have old UUIDs: %v, %v", first, third)
	}
	if err := newMachine(t, "2xt4").MIG(0, "1g.10gb"); err == nil {
		t.Error("a T4 was cut up")
	}
}

func TestMIGInTheTree(t *testing.T) {
	t.Parallel()
	m := newMachine(t, "8xh100")
	if exists(t, m, "/dev/nvidia-caps/nvidia-cap201") {
		t.Error("a capability of an instance that does not exist")
	}
	check(t, m.MIG(1, "1g.10gb"))
	// gpu1/gi7: 3 + 1*135 + 7*9 = 201, its compute instance 0 follows.
	for _, p := range []string{
		"/dev/nvidia-caps/nvidia-cap201", "/dev/nvidia-caps/nvidia-cap202",
		"/proc/driver/nvidia/capabilities/gpu1/mig/gi7/access", "/proc/driver/nvidia/capabilities/gpu1/mig/gi7/ci0/access",
	} {
		if !exists(t, m, p) {
			t.Errorf("%s is missing", p)
		}
	}
	if !strings.Contains(capsTable(), "\ngpu1/gi7/access 201\ngpu1/gi7/ci0/access 202\n") {
		t.Error("mig-minors does not have gpu1/gi7/access as 201")
	}
	check(t, m.MIGOff(1))
	if exists(t, m, "/dev/nvidia-caps/nvidia-cap201") {
		t.Error("the capability stays after MIG was ended")
	}
}
