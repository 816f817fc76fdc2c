package uevent

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// message joins the parts of a message as the kernel does.
func message(parts ...string) []byte { return []byte(strings.Join(parts, "\x00") + "\x00") }

func TestParse(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		message []byte
		want    Event
	}{
		{
			"a card that is bound",
			message("bind@/devices/pci0000:00/0000:00:01.0", "ACTION=bind", "DEVPATH=/devices/pci0000:00/0000:00:01.0",
				"SUBSYSTEM=pci", "DRIVER=amdgpu", "PCI_SLOT_NAME=0000:00:01.0", "MODALIAS=pci:v00001002d000074A1", "SEQNUM=4711"),
			Event{
				Action: "bind", Path: "/devices/pci0000:00/0000:00:01.0", Subsystem: "pci", Vars: map[string]string{
					"ACTION": "bind", "DEVPATH": "/devices/pci0000:00/0000:00:01.0", "SUBSYSTEM": "pci", "DRIVER": "amdgpu",
					"PCI_SLOT_NAME": "0000:00:01.0", "MODALIAS": "pci:v00001002d000074A1", "SEQNUM": "4711",
				},
			},
		},
		{
			"values with the signs that separate",
			message("change@/devices/a@b", "SUBSYSTEM=drm", "WEDGED=rebind,bus-reset", "X=a=b@c", "EMPTY="),
			Event{
				Action: "change", Path: "/devices/a@b", Subsystem: "drm",
				Vars: map[string]string{"SUBSYSTEM": "drm", "WEDGED": "rebind,bus-reset", "X": "a=b@c", "EMPTY": ""},
			},
		},
		{
			"the head alone", []byte("remove@/module/amdgpu"),
			Event{Action: "remove", Path: "/module/amdgpu", Vars: map[string]string{}},
		},
		{
			"what is no variable", message("add@/a", "SUBSYSTEM", "=x", "", "K=v"),
			Event{Action: "add", Path: "/a", Vars: map[string]string{"K": "v"}},
		},
		{
			"cut off", []byte("add@/a\x00SUBSYSTEM=pc"),
			Event{Action: "add", Path: "/a", Subsystem: "pc", Vars: map[string]string{"SUBSYSTEM": "pc"}},
		},
	} {
		got, err := Parse(test.message)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for name, message := range map[string][]byte{
		"nothing":             nil,
		"a NUL":               {0},
		"udev's":              []byte("libudev\x00\xfe\xed\xca\xfe\x28\x00\x00\x00ACTION=add\x00DEVPATH=/a@/b\x00"),
		"no action":           message("@/devices/a", "SUBSYSTEM=pci"),
		"no path":             message("add@", "SUBSYSTEM=pci"),
		"a path without root": message("add@devices/a", "SUBSYSTEM=pci"),
		"variables alone":     message("ACTION=add", "DEVPATH=/devices/a@/b"),
	} {
		if e, err := Parse(message); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %+v, error %v", name, e, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(message("add@/devices/a", "SUBSYSTEM=pci", "K=v"))
	f.Add([]byte("libudev\x00\xfe\xed\xca\xfe"))
	f.Add([]byte("@/=\x00\x00="))
	f.Fuzz(func(t *testing.T, message []byte) {
		e, err := Parse(message)
		if err != nil {
			if diff := cmp.Diff(Event{}, e); diff != "" {
				t.Errorf("an event beside an error:\n%s", diff)
			}
			return
		}
		if e.Action == "" || e.Path[0] != '/' || e.Lost || e.Vars == nil || e.Subsystem != e.Vars["SUBSYSTEM"] {
			t.Errorf("%+v", e)
		}
		for _, s := range []string{e.Action, e.Path} {
			if strings.Contains(s, "\x00") {
				t.Errorf("a NUL in %q", s)
			}
		}
		for key, value := range e.Vars {
			if key == "" || strings.ContainsAny(key, "=\x00") || strings.Contains(value, "\x00") {
				t.Errorf("variable %q=%q", key, value)
			}
		}
	})
}
