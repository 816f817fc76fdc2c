package family_test

import (
	"strings"
	"testing"

	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/core/sysfs/sysfstest"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/family"
)

func TestRenderFaults(t *testing.T) {
	t.Parallel()
	const dir = "/sys/devices/card"
	for name, tt := range map[string]struct{ files, want string }{
		"all there":        {"/dev/dri/renderD128\t!chardev\n" + dir + "/drm/renderD128/dev\t226:128\\n\n" + dir + "/drm/card0/dev\t226:0\\n\n", ""},
		"no DRM":           {dir + "/vendor\t0x10ee\\n\n", "has no render node; do this"},
		"no render node":   {dir + "/drm/card0/dev\t226:0\\n\n", "has no render node; do this"},
		"nothing in /dev":  {dir + "/drm/renderD128/dev\t226:128\\n\n", "/dev/dri/renderD128 is missing; look whether udev runs"},
		"the second lacks": {"/dev/dri/renderD1\t!chardev\n" + dir + "/drm/renderD1/dev\t226:1\\n\n" + dir + "/drm/renderD2/dev\t226:2\\n\n", "/dev/dri/renderD2 is missing"},
		"not to be listed": {dir + "/drm\tno directory\\n\n", "cannot be looked up"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			faults := family.RenderFaults(sysfs.New(sysfstest.UnpackText(t, tt.files)), dir, "do this")
			if len(faults) > 1 || len(faults) == 0 != (tt.want == "") {
				t.Fatalf("%v, want %q", faults, tt.want)
			}
			for _, f := range faults {
				if f.Code != "no-render-node" || !strings.Contains(f.Error(), tt.want) {
					t.Errorf("%s: %v, want %q", f.Code, f.Error(), tt.want)
				}
			}
		})
	}
}
