package nvidia

import (
	"strings"
	"testing"
)

// FuzzPlan places any profiles on a GPU: they fit within it or are refused.
func FuzzPlan(f *testing.F) {
	f.Add("3g.40gb 2g.20gb")
	f.Add("1c.3g.40gb 2c.3g.40gb 7g.80gb")
	f.Add("g. .g 0c.1g.10gb -1c.1g.10gb 1g.10gb+me")
	s, err := vendor.Scenario("8xh100", nil)
	if err != nil {
		f.Fatal(err)
	}
	v := newView(s)
	f.Fuzz(func(t *testing.T, text string) {
		profiles := strings.Fields(text)
		layout, err := plan(v, 0, profiles)
		if err != nil {
			return
		}
		seen := map[[2]int]bool{}
		for _, slot := range layout {
			at := [2]int{slot.gi, slot.ci}
			if seen[at] || slot.gi < 0 || slot.ci < 0 {
				t.Errorf("%q: instance %v twice or nowhere", text, at)
			}
			seen[at] = true
		}
		if len(layout) != len(profiles) || len(layout) > 7 {
			t.Errorf("%q became %d instances", text, len(layout))
		}
	})
}

func FuzzAPIVersion(f *testing.F) {
	f.Add("12.4")
	f.Add("-1.99999999999999999999")
	f.Fuzz(func(t *testing.T, text string) {
		if n, err := apiVersion(text); err == nil && n < 1100 {
			t.Errorf("%q is %d", text, n)
		}
	})
}
