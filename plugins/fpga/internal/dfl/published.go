package dfl

import (
	"fmt"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/describe"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/family"
)

const on = "dfl, opae"

// Attributes are those that these families have beside the shared ones.
var Attributes = []*describe.Attribute{attrInterface, attrAFU, attrBitstream, attrBBS, attrDate, attrMode}

var (
	attrInterface = &describe.Attribute{Name: "interface_uuid", Kind: core.KindString, On: on + ", vfio", Description: "Interface of the card, which an image must have been built for. Absent where the kernel's modules for programming are not loaded."}
	attrAFU       = &describe.Attribute{Name: "afu_uuid", Kind: core.KindString, On: on, Description: "Accelerator function behind the port; with a `program` block for the card, the one that it loads. Absent where the card has its functions behind virtual functions."}
	attrBitstream = &describe.Attribute{Name: "bitstream_id", Kind: core.KindString, On: on, Description: "ID of the card's static image (FIM), in hexadecimal; the lower half is usually a git hash."}
	attrBBS       = &describe.Attribute{Name: "bbs_version", Kind: core.KindVersion, On: on, Description: "Version of the static image: `5.0.1`."}
	attrDate      = &describe.Attribute{Name: "bitstream_date", Kind: core.KindString, On: on, Description: "When the static image was built: `2022-05-04`."}
	attrMode      = &describe.Attribute{Name: "mode", Kind: core.KindString, On: on + ", vfio", Description: "What the device is: a `port`, a whole `region`, or a function for `vfio`."}
)

// bbsVersion returns the version in a bitstream ID (Documentation/ABI/testing/
// sysfs-platform-dfl-fme, bitstream_id).
func bbsVersion(id uint64) core.Value {
	return family.Version(fmt.Sprintf("%d.%d.%d", id>>56&15, id>>52&15, id>>48&15))
}

// bitstreamDate returns the date in the metadata of a bitstream, whose digits are
// yymmdd and one that counts builds. Metadata without a date have no value.
func bitstreamDate(metadata uint64) core.Value {
	digits := fmt.Sprintf("%07x", metadata)
	if len(digits) != 7 {
		return core.Value{}
	}
	var year, month, day int
	if n, err := fmt.Sscanf(digits[:6], "%2d%2d%2d", &year, &month, &day); err != nil || n != 3 ||
		month < 1 || month > 12 || day < 1 || day > 31 {
		return core.Value{}
	}
	return core.String(fmt.Sprintf("20%02d-%02d-%02d", year, month, day))
}

// Stats are the statistics that these families have beside the shared ones.
var Stats = []*describe.Stat{
	statAFU, statPowerState,
	statPortErrors, statPortFirst, statFMEErrors, statPCIe0, statPCIe1, statNonfatal, statCatfatal,
	statAERFatal, statAERNonfatal, statAERCorrectable, statBMC, statBMCFirmware,
}

var (
	statAFU            = &describe.Stat{Name: "afu_uuid", On: on, Description: "Accelerator function that is loaded now"}
	statPowerState     = &describe.Stat{Name: "power_state", On: on, Description: "Power state of the port: normal; AP1, AP2: throttled; AP6: stopped, because the FPGA was too hot"}
	statPortErrors     = &describe.Stat{Name: "port_errors", On: on, Description: "Errors of the port, which a task can cause. They stay set until they are cleared"}
	statPortFirst      = &describe.Stat{Name: "port_first_error", On: on, Description: "The first of the port's errors"}
	statFMEErrors      = &describe.Stat{Name: "fme_errors", On: on, Description: "Errors of the card's management engine"}
	statPCIe0          = &describe.Stat{Name: "pcie0_errors", On: on, Description: "Errors of the first PCIe link"}
	statPCIe1          = &describe.Stat{Name: "pcie1_errors", On: on, Description: "Errors of the second PCIe link"}
	statNonfatal       = &describe.Stat{Name: "nonfatal_errors", On: on, Description: "Errors of the card that are not fatal"}
	statCatfatal       = &describe.Stat{Name: "catfatal_errors", On: on, Description: "Catastrophic and fatal errors of the card, which make its devices unhealthy"}
	statAERFatal       = &describe.Stat{Name: "aer_fatal", Unit: "#", Counter: true, On: on, Description: "Fatal PCIe errors that the kernel counted"}
	statAERNonfatal    = &describe.Stat{Name: "aer_nonfatal", Unit: "#", Counter: true, On: on, Description: "Other uncorrectable PCIe errors that the kernel counted"}
	statAERCorrectable = &describe.Stat{Name: "aer_correctable", Unit: "#", Counter: true, On: on, Description: "Correctable PCIe errors that the kernel counted"}
	statBMC            = &describe.Stat{Name: "bmc_version", On: on, Description: "Version of the board's controller"}
	statBMCFirmware    = &describe.Stat{Name: "bmcfw_version", On: on, Description: "Version of the firmware of the board's controller"}
)
