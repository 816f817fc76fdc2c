package pcitree

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nomad-devices/nomad-devices/tools/simulate/tree"
)

// An address that is read is written as it was.
func FuzzParse(f *testing.F) {
	f.Add("10000:3B:1f.7")
	f.Add("0000:00:00.")
	f.Fuzz(func(t *testing.T, text string) {
		a, err := Parse(text)
		if err != nil {
			return
		}
		if again, err := Parse(a.String()); err != nil || again != a {
			t.Errorf("%q: %v, and then %v, %v", text, a, again, err)
		}
	})
}

func TestAddress(t *testing.T) {
	t.Parallel()
	a, err := Parse("10000:3B:1f.7")
	if want := (Address{0x10000, 0x3b, 0x1f, 7}); err != nil || a != want {
		t.Errorf("%v, %v, want %v", a, err, want)
	}
	for above, want := range map[uint32]string{0: "0000:02:00.0", 1: "0000:01:00.0", 2: "0000:00:00.0", 5: "0000:00:00.0"} {
		if got := (Address{Bus: 2, Device: 3, Function: 1}).Up(above).String(); got != want {
			t.Errorf("%d bridges up: %s, want %s", above, got, want)
		}
	}
	if _, err := Parse("slot 3"); err == nil {
		t.Error("slot 3 is an address")
	}
}

func TestFunction(t *testing.T) {
	t.Parallel()
	files := map[string]string{
		"vendor": "0x10ee", "device": "0x5005", "subsystem_vendor": "0x10ee", "subsystem_device": "0x000e", "class": "0x058000", "numa_node": "",
		"aer_dev_fatal": AER("fatal", "3"), "aer_dev_correctable": AER("correctable", "2"), "aer_dev_nonfatal": AER("nonfatal", ""),
	}
	Link{Speed: Speed("3"), Width: "16", MaxSpeed: Speed("odd")}.Add(files)
	f := Function{Address: Address{Bus: 0x65, Function: 1}, At: Root(0, 0x64) + "/0000:64:01.1/0000:65:00.1", Driver: "xocl", Files: files}
	var tr tree.Tree
	f.Write(&tr)
	f.Group(&tr, "7")
	f.Group(&tr, "") // in none
	root := t.TempDir()
	if err := tr.Sync(root); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		Devices + "/0000:65:00.1/uevent":                        "DRIVER=xocl\nPCI_CLASS=58000\nPCI_ID=10EE:5005\nPCI_SUBSYS_ID=10EE:000E\nPCI_SLOT_NAME=0000:65:00.1\n",
		Devices + "/0000:65:00.1/aer_dev_fatal":                 "Undefined 0\nDLP 0\nTLP 3\nCmpltTO 0\nTOTAL_ERR_FATAL 3\n",
		Devices + "/0000:65:00.1/aer_dev_correctable":           "RxErr 0\nBadTLP 2\nRollover 0\nTOTAL_ERR_COR 2\n",
		Devices + "/0000:65:00.1/aer_dev_nonfatal":              "",
		Devices + "/0000:65:00.1/numa_node":                     "",
		Devices + "/0000:65:00.1/current_link_speed":            "8.0 GT/s PCIe\n",
		Devices + "/0000:65:00.1/max_link_speed":                "odd\n",
		"/sys/bus/pci/drivers/xocl/0000:65:00.1/device":         "0x5005\n",
		"/sys/kernel/iommu_groups/7/devices/0000:65:00.1/class": "0x058000\n",
		"/sys/kernel/iommu_groups/7/type":                       "DMA-FQ\n",
	}
	got := map[string]string{}
	for name := range want {
		text, _ := os.ReadFile(filepath.Join(root, name)) // one that is not there is empty
		got[name] = string(text)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}
