package gpumetrics

import (
	"encoding/binary"
	"fmt"
)

// A list of attributes follows the header: i32 attr_count, and that many packed
// records, each a u64 that describes what follows and its values
// (AMDGPU_METRICS_ENC_ATTR in drivers/gpu/drm/amd/include/kgd_pp_interface.h,
// DECLARE_SMU_METRICS_CLASS in drivers/gpu/drm/amd/pm/swsmu/smu_cmn.h).
const (
	countSize = 4
	codeSize  = 8

	codeInstances     = 0x3ff // bits 0–9
	codeIDShift       = 10    // bits 10–19
	codeID            = 0x3ff
	codeTypeShift     = 20 // bits 20–23
	codeType          = 0xf
	codeUnitShift     = 24 // bits 24–31
	codeUnit          = 0xff
	codeReservedShift = 32
)

// attributeTypes are the widths by enum amdgpu_metrics_attr_type: U8, S8, U16 and
// so on. Those with an odd number are signed.
var attributeTypes = [...]uint8{u8, u8, u16, u16, u32, u32, u64, u64}

// unit is an enum amdgpu_metrics_attr_unit.
type unit uint8

const (
	unitNone    unit = 0
	unitMHz     unit = 1  // CLOCK_1
	unitCelsius unit = 2  // TEMP_1
	unitWatt    unit = 3  // POWER_1
	unitNano    unit = 4  // TIME_1: ns
	unitTick    unit = 5  // TIME_2: 10 ns
	unitGT      unit = 6  // SPEED_1: GT/s
	unitDeciGT  unit = 7  // SPEED_2: 0.1 GT/s
	unitGB      unit = 8  // BW_1: GB/s
	unitKB      unit = 9  // DATA_1: KB
	unitPercent unit = 10 // PERCENT

	// unitAny is for counts. Kernels disagree on the unit of a sum of percentages.
	unitAny unit = 0xff
)

// attributes are the ids that are read (enum amdgpu_metrics_attr_id), each with
// the unit that it must come in and the scale of it. A value in another unit is
// left out. From 49 on kernels number differently; the others are of no use here.
var attributes = map[uint64]struct {
	field Field
	unit  unit
	scale float64
}{
	0:  {TempHotspot, unitCelsius, 1},
	1:  {TempMem, unitCelsius, 1},
	2:  {TempVRSoC, unitCelsius, 1},
	3:  {SocketPower, unitWatt, 1},
	4:  {GFXActivity, unitPercent, 1},
	5:  {MemActivity, unitPercent, 1},
	7:  {Energy, unitNone, energy},
	8:  {SystemClock, unitNano, 1},
	9:  {AccumulationCounter, unitAny, 1},
	10: {ProchotResidencyAcc, unitAny, 1},
	11: {PPTResidencyAcc, unitAny, 1},
	12: {SocketThermalResidencyAcc, unitAny, 1},
	13: {VRThermalResidencyAcc, unitAny, 1},
	14: {HBMThermalResidencyAcc, unitAny, 1},
	16: {PCIeWidth, unitNone, 1},
	17: {PCIeSpeed, unitDeciGT, deci},
	18: {XGMIWidth, unitNone, 1},
	19: {XGMISpeed, unitGT, 1},
	20: {GFXActivityAcc, unitAny, 1},
	21: {MemActivityAcc, unitAny, 1},
	22: {PCIeBandwidthAcc, unitAny, 1},
	23: {PCIeBandwidth, unitGB, 1},
	24: {PCIeRecoveries, unitAny, 1},
	25: {PCIeReplays, unitAny, 1},
	26: {PCIeReplayRollovers, unitAny, 1},
	27: {PCIeNAKsSent, unitAny, 1},
	28: {PCIeNAKsReceived, unitAny, 1},
	29: {XGMIRead, unitKB, 1},
	30: {XGMIWritten, unitKB, 1},
	32: {FirmwareTimestamp, unitTick, 1},
	33: {GFXClock, unitMHz, 1},
	34: {SoCClock, unitMHz, 1},
	35: {VideoClock, unitMHz, 1},
	36: {VideoDecodeClock, unitMHz, 1},
	37: {MemClock, unitMHz, 1},
	38: {PartitionCount, unitAny, 1},
	39: {PCIeOtherEndRecoveries, unitAny, 1},
	40: {GFXBusy, unitPercent, 1},
	42: {MediaActivity, unitPercent, 1},
	43: {GFXBusyAcc, unitAny, 1},
}

// readAttributes finds the fields in a list of attributes. data is the whole
// structure.
//
// The list must end where the structure does: nothing else would tell that it was
// misread.
func readAttributes(data []byte) (*layout, error) {
	if len(data) < headerSize+countSize {
		return nil, fmt.Errorf("%d bytes, which is less than the header and the number of attributes", len(data))
	}
	l := &layout{size: len(data)}
	count := int(int32(binary.LittleEndian.Uint32(data[headerSize:])))
	at := headerSize + countSize
	for i := range count {
		if len(data)-at < codeSize {
			return nil, fmt.Errorf("attribute %d of %d begins at byte %d of %d", i+1, count, at, len(data))
		}
		code := binary.LittleEndian.Uint64(data[at:])
		at += codeSize
		kind := code >> codeTypeShift & codeType
		if code>>codeReservedShift != 0 || kind >= uint64(len(attributeTypes)) {
			return nil, fmt.Errorf("attribute %d of %d is described by %#x, which is not understood", i+1, count, code)
		}
		s := slot{
			offset: uint16(at), count: uint16(code & codeInstances),
			width: attributeTypes[kind], step: uint16(attributeTypes[kind]), signed: kind%2 == 1,
		}
		at += int(s.count) * int(s.width)
		if at > len(data) {
			return nil, fmt.Errorf("attribute %d of %d (%#x) ends at byte %d of %d", i+1, count, code, at, len(data))
		}
		l.keep(code>>codeIDShift&codeID, unit(code>>codeUnitShift&codeUnit), s)
	}
	if count < 0 || at != len(data) {
		return nil, fmt.Errorf("its %d attributes end at byte %d of %d", count, at, len(data))
	}
	return l, nil
}

// keep notes where an attribute is, if it is known and the first of its kind.
func (l *layout) keep(id uint64, u unit, s slot) {
	a, known := attributes[id]
	if !known || a.unit != u && a.unit != unitAny || l.slots[a.field].count > 0 {
		return
	}
	s.scale = a.scale
	l.slots[a.field] = s
}
