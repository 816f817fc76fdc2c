package gpumetrics

import "testing"

func TestFieldsHaveNames(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	for f := range fieldCount {
		if f.String() == "" || seen[f.String()] {
			t.Errorf("field %d is called %q", f, f)
		}
		seen[f.String()] = true
	}
	if got := fieldCount.String(); got != "unknown field" {
		t.Errorf("what is no field is called %q", got)
	}
}
