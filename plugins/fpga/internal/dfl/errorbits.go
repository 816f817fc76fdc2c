package dfl

import (
	"fmt"
	"strings"

	"github.com/nomad-devices/nomad-devices/core"
)

// field is a bit, or a run of bits, of an error register.
type field struct {
	low, high int
	name      string
}

func bit(n int, name string) field { return field{n, n, name} }

// The error registers, with the names that Intel's documents and OPAE have for
// their bits (Intel FPGA "CCI-P" and "FME" register maps).
var (
	portErrorBits = []field{
		bit(0, "TxCh0Overflow"), bit(1, "TxCh0InvalidReqEncoding"), bit(2, "TxCh0Len3NotSupported"), bit(3, "TxCh0Len2NotAligned"),
		bit(4, "TxCh0Len4NotAligned"), bit(9, "MMIORdWhileRst"), bit(10, "MMIOWrWhileRst"),
		bit(16, "TxCh1Overflow"), bit(17, "TxCh1InvalidReqEncoding"), bit(18, "TxCh1Len3NotSupported"), bit(19, "TxCh1Len2NotAligned"),
		bit(20, "TxCh1Len4NotAligned"), bit(21, "TxCh1InsufficientData"), bit(22, "TxCh1DataPayloadOverrun"), bit(23, "TxCh1IncorrectAddr"),
		bit(24, "TxCh1NonZeroSOP"), bit(25, "TxCh1IllegalVCsel"),
		bit(32, "MMIOTimedOut"), bit(33, "TxCh2FifoOverflow"), bit(34, "UnexpMMIOResp"),
		bit(40, "TxReqCounterOverflow"), bit(41, "L1prSmrrError"), bit(42, "L1prSmrr2Error"), bit(43, "L1prMesegError"),
		bit(44, "GenProtRangeError"), bit(45, "LegRangeLowError"), bit(46, "LegRangeHighError"), bit(47, "VgaMemRangeError"),
		bit(48, "PageFault"), bit(49, "PMRError"), bit(50, "Ap6Event"), bit(51, "VfFlrAccessError"),
	}
	fmeErrorBits = []field{
		bit(0, "FabricErr"), bit(1, "FabricFifoUOflow"),
		{2, 3, "KtiCdcParityErr"},
		bit(4, "IommuParityErr"), bit(5, "AfuAccessModeErr"),
		bit(6, "MBPErr"),
		{7, 11, "Pcie0CdcParErr"},
		{12, 16, "Pcie1CdcParErr"},
		{17, 19, "CvlCdcParErr0"},
	}
	pcieErrorBits = []field{
		bit(0, "FormatTypeErr"), bit(1, "MWAddrErr"), bit(2, "MWLengthErr"), bit(3, "MRAddrErr"), bit(4, "MRLengthErr"), bit(5, "CompTagErr"),
		bit(6, "CompStatErr"), bit(7, "CompTimeOutErr"), bit(8, "ParityErr"), bit(9, "RxPoisonTlpErr"), bit(62, "VFNumb"), bit(63, "FunctTypeErr"),
	}
	nonfatalBits = []field{
		bit(0, "TempThreshAP1"), bit(1, "TempThreshAP2"), bit(2, "PcieError"), bit(3, "PortFatalErr"), bit(4, "ProcHot"),
		bit(5, "AfuAccessModeErr"), bit(6, "InjectedWarningErr"), bit(9, "TempThreshAP6"), bit(10, "PowerThreshAP1"),
		bit(11, "PowerThreshAP2"), bit(12, "MBPErr"),
	}
	catfatalBits = []field{
		bit(0, "KtiLinkFatalErr"), bit(1, "TagCchFatalErr"), bit(2, "CciFatalErr"), bit(3, "KtiProtoFatalErr"), bit(4, "DramFatalErr"),
		bit(5, "IommuFatalErr"), bit(6, "FabricFatalErr"), bit(7, "PciePoisonErr"), bit(8, "InjectedFatalErr"), bit(9, "CrcCatastErr"),
		bit(10, "ThermCatastErr"), bit(11, "InjectedCatastErr"),
	}
)

// names returns the names of the bits that are set, from the lowest on; a bit
// without a name is "bit 57".
func names(register uint64, fields []field) []string {
	var set []string
	for n := 0; n < 64; n++ {
		if register>>n&1 == 0 {
			continue
		}
		name := fmt.Sprintf("bit %d", n)
		for _, f := range fields {
			if n >= f.low && n <= f.high {
				name = f.name
				n = f.high
			}
		}
		set = append(set, name)
	}
	return set
}

// register returns the text of an error register: "0x0", or "0x10 (DramFatalErr)".
func register(v uint64, fields []field) core.Value {
	text := fmt.Sprintf("%#x", v)
	if set := names(v, fields); len(set) > 0 {
		text += " (" + strings.Join(set, ", ") + ")"
	}
	return core.String(text)
}
