package gpumetrics

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestThrottlers(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		bits uint64
		want []string
	}{
		{0, nil},
		{1<<0 | 1<<16 | 1<<36, []string{"PPT0", "TDC_GFX", "TEMP_HOTSPOT"}},
		{1<<5 | 1<<6, []string{"FPPT", "SPPT"}},
		{1<<7 | 1<<23 | 1<<47 | 1<<57, []string{"SPPT_APU", "APCC", "PROCHOT_GFX", "FIT"}},
		{1<<8 | 1<<63, []string{"BIT_8", "BIT_63"}},
	} {
		m := filled(t, "v2_2", func(m member) (uint64, bool) { return test.bits, m.name == "indep_throttle_status" })
		got, ok := m.Throttlers()
		if diff := cmp.Diff(test.want, got); !ok || diff != "" {
			t.Errorf("%#x, %t (-want +got):\n%s", test.bits, ok, diff)
		}
	}
}
