package nvidia

import (
	"slices"
	"strings"
	"testing"

	"github.com/nomad-devices/nomad-devices/core"
)

func TestXIDPolicyJudge(t *testing.T) {
	t.Parallel()
	policy := newXIDPolicy([]int{46}, []int{13, 79})
	for _, tt := range []struct {
		name    string
		code    uint64
		fault   string // code of the fault, "" for none
		says    string // part of the reason or the text
		look    bool
		cleared bool // whether the driver's word clears it
	}{
		{"application error", 31, "", "GPU memory page fault; the GPU stays in use; to do: restart the application", true, false},
		{"harmless", 63, "", "to do: nothing", false, false},
		{"reset class", 119, "xid-119", "XID 119: GSP RPC timeout", true, true},
		{"suspect", 48, "xid-48", "double bit ECC error", true, true},
		{"virtual machine", 151, "xid-151", "key rotation", true, true},
		{"the driver decides", 154, "", "see what the driver says next", true, false},
		{"contained memory error", 94, "", "restart the application", true, false},
		{"uncontained memory error", 95, "xid-95", "uncontained", true, true},
		{"newer than the table", 999, "", "XID 999; the GPU stays in use; to do: not listed", true, false},
		{"unused code", 1, "", "not listed", true, false},
		{"ignored by the operator", 46, "", "in xid_ignore", false, false},
		{"made fatal by the operator", 13, "xid-fatal-13", "in xid_fatal", true, false},
		{"fatal wins over the catalogue's own", 79, "xid-fatal-79", "fallen off the bus (in xid_fatal)", true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := policy.judge(tt.code)
			if got.look != tt.look {
				t.Errorf("look = %v, want %v", got.look, tt.look)
			}
			if tt.fault == "" {
				if got.fault != nil {
					t.Fatalf("fault %v, want none", got.fault)
				}
				if !strings.Contains(got.text, tt.says) {
					t.Errorf("text %q does not say %q", got.text, tt.says)
				}
				return
			}
			if got.fault == nil {
				t.Fatalf("no fault, want %s", tt.fault)
			}
			if got.text != "" {
				t.Errorf("a fault is logged by the core, and here is a text too: %q", got.text)
			}
			if got.fault.Code != tt.fault || got.fault.Severity != core.Hard || !got.fault.Latched {
				t.Errorf("fault %+v, want a hard latched %s", got.fault, tt.fault)
			}
			if !strings.Contains(got.fault.Reason, tt.says) || got.fault.Remedy == "" {
				t.Errorf("fault says %q, want %q and a remedy", got.fault.Error(), tt.says)
			}
			if c := slices.Contains(policy.clearedByDriver(), got.fault.Code); c != tt.cleared {
				t.Errorf("cleared by the driver: %v, want %v", c, tt.cleared)
			}
		})
	}
}

// TestXIDCatalogue holds the table against the lists of NVIDIA's catalogue.
func TestXIDCatalogue(t *testing.T) {
	t.Parallel()
	for bucket, codes := range map[xidBucket][]uint64{
		xidApp: {
			8, 11, 13, 25, 31, 32, 39, 40, 41, 60, 68, 69, 70, 71, 72, 75, 76, 77, 80, 82, 83, 84, 85, 86, 88, 89,
			94, 96, 97, 98, 99, 100, 101, 102, 103, 104, 105, 126, 127, 128, 129, 130, 131, 132, 133, 134, 135, 139,
		},
		xidIgnore:     {14, 37, 38, 43, 44, 63, 66, 67, 92, 93, 106, 107, 108, 121, 137, 141, 152, 153, 157, 160, 161},
		xidReset:      {46, 62, 64, 95, 109, 110, 119, 120, 136, 140, 143, 155, 156, 158},
		xidReboot:     {79},
		xidRestartVM:  {151},
		xidMechanical: {54},
		xidUpdate:     {78},
		xidSuspect:    {48, 74},
		xidUnlisted:   {1, 61, 142, 173, 999},
		xidEvaluate: {
			45, 144, 145, 146, 147, 148, 149, 150, 154, 159,
			162, 163, 164, 165, 166, 167, 168, 169, 170, 171, 172,
		},
	} {
		for _, code := range codes {
			if got := xidCatalogue[code].bucket; got != bucket {
				t.Errorf("XID %d: %v, want %v", code, got, bucket)
			}
		}
		if bucket.unhealthy() && bucket.remedy() == "" {
			t.Errorf("%v takes a GPU away and names no remedy", bucket)
		}
	}
	for code, entry := range xidCatalogue {
		if entry.name == "" {
			t.Errorf("XID %d has no name", code)
		}
	}
}
