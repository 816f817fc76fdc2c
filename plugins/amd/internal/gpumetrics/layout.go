package gpumetrics

// slot is where a layout keeps a field.
type slot struct {
	offset uint16 // of the first instance
	step   uint16 // from one instance to the next
	count  uint16 // of the instances; 0 if the layout has no such field
	stride uint16 // from one partition's instances to the next one's; 0 if it is the GPU's
	width  uint8  // of an instance in bytes: 1, 2, 4 or 8
	signed bool
	scale  float64 // from what is stored to the field's unit
}

// layout is where a revision keeps its fields.
type layout struct {
	size  int // of the structure in bytes
	slots [fieldCount]slot
}

// maxPartitions is the length of the array xcp_stats (NUM_XCP). Elements of
// partitions that do not exist are unset.
const maxPartitions = 8

// Widths in bytes, as the kernel's header has them.
const (
	u8  = 1
	u16 = 2
	u32 = 4
	u64 = 8
)

// Scales of what is not stored in the field's unit.
const (
	centi  = 0.01            // 0.01 °C, 0.01 %
	deci   = 0.1             // 0.1 GT/s
	milli  = 0.001           // mW
	energy = 1.0 / (1 << 16) // 15.259 µJ
)

// columns holds a number for each revision of a table. As an offset, 0, where the
// header is, means that the revision has no such field.
type columns [5]uint16

// row is a field in a table of layouts.
type row struct {
	field  Field
	width  uint8
	scale  float64 // 0: stored in the field's unit
	count  uint16  // 0: one instance
	step   uint16  // 0: instances lie side by side
	stride columns // for a field in xcp_stats, the size of an element
	at     columns
}

// table describes revisions that have much in common: those of a format, from
// content on.
type table struct {
	format, content uint8
	size            columns // of the structure, with the padding at its end
	rows            []row
}

// xcpStats are the sizes of an element of xcp_stats in v1.6 to v1.8: struct
// amdgpu_xcp_metrics, _v1_1 and _v1_2.
var xcpStats = columns{0, 0, 168, 232, 440}

// layouts turns tables into layouts by revision.
func layouts(tables []table) map[Revision]*layout {
	all := make(map[Revision]*layout)
	for _, t := range tables {
		for i, size := range t.size {
			if size == 0 {
				break
			}
			l := &layout{size: int(size)}
			for _, r := range t.rows {
				if r.at[i] == 0 {
					continue
				}
				s := slot{
					offset: r.at[i], width: r.width, count: max(r.count, 1),
					step: r.step, stride: r.stride[i], scale: r.scale,
				}
				if s.step == 0 {
					s.step = uint16(s.width)
				}
				if s.scale == 0 {
					s.scale = 1
				}
				l.slots[r.field] = s
			}
			all[Revision{t.format, t.content + uint8(i)}] = l
		}
	}
	return all
}

// The layouts of gpu_metrics: struct gpu_metrics_v1_0 to v3_0 in
// drivers/gpu/drm/amd/include/kgd_pp_interface.h, aligned naturally.
var gpuTables = []table{
	{ // Radeon, and Instinct up to MI200
		format: 1, content: 0,
		size: columns{80, 96, 104, 120},
		rows: []row{
			{field: SystemClock, width: u64, at: columns{8, 32, 32, 32}},
			{field: TempEdge, width: u16, at: columns{16, 4, 4, 4}},
			{field: TempHotspot, width: u16, at: columns{18, 6, 6, 6}},
			{field: TempMem, width: u16, at: columns{20, 8, 8, 8}},
			{field: TempVRGFX, width: u16, at: columns{22, 10, 10, 10}},
			{field: TempVRSoC, width: u16, at: columns{24, 12, 12, 12}},
			{field: TempVRMem, width: u16, at: columns{26, 14, 14, 14}},
			{field: GFXActivity, width: u16, at: columns{28, 16, 16, 16}},
			{field: MemActivity, width: u16, at: columns{30, 18, 18, 18}},
			{field: MediaActivity, width: u16, at: columns{32, 20, 20, 20}},
			{field: SocketPower, width: u16, at: columns{34, 22, 22, 22}},
			{field: GFXClock, width: u16, at: columns{54, 54, 54, 54}},
			{field: SoCClock, width: u16, at: columns{56, 56, 56, 56}},
			{field: MemClock, width: u16, at: columns{58, 58, 58, 58}},
			{field: VideoClock, width: u16, count: 2, step: 4, at: columns{60, 60, 60, 60}},
			{field: VideoDecodeClock, width: u16, count: 2, step: 4, at: columns{62, 62, 62, 62}},
			{field: ThrottleStatus, width: u32, at: columns{68, 68, 68, 68}},
			{field: FanSpeed, width: u16, at: columns{72, 72, 72, 72}},
			{field: PCIeWidth, width: u8, at: columns{74}},
			{field: PCIeWidth, width: u16, at: columns{0, 74, 74, 74}},
			{field: PCIeSpeed, width: u8, scale: deci, at: columns{75}},
			{field: PCIeSpeed, width: u16, scale: deci, at: columns{0, 76, 76, 76}},
			{field: GFXActivityAcc, width: u32, at: columns{0, 80, 80, 80}},
			{field: MemActivityAcc, width: u32, at: columns{0, 84, 84, 84}},
			{field: FirmwareTimestamp, width: u64, at: columns{0, 0, 96, 96}},
			{field: IndepThrottleStatus, width: u64, at: columns{0, 0, 0, 112}},
		},
	},
	{ // Instinct MI300 and later
		format: 1, content: 4,
		size: columns{288, 360, 1664, 2208, 3872},
		rows: []row{
			{field: TempHotspot, width: u16, at: columns{4, 4, 4, 4, 4}},
			{field: TempMem, width: u16, at: columns{6, 6, 6, 6, 6}},
			{field: TempVRSoC, width: u16, at: columns{8, 8, 8, 8, 8}},
			{field: SocketPower, width: u16, at: columns{10, 10, 10, 10, 10}},
			{field: GFXActivity, width: u16, at: columns{12, 12, 12, 12, 12}},
			{field: MemActivity, width: u16, at: columns{14, 14, 14, 14, 14}},
			{field: MediaActivity, width: u16, count: 4, at: columns{16, 16}},
			{field: Energy, width: u64, scale: energy, at: columns{24, 88, 16, 24, 24}},
			{field: SystemClock, width: u64, at: columns{32, 96, 24, 32, 32}},
			{field: ThrottleStatus, width: u32, at: columns{40, 104}},
			{field: AccumulationCounter, width: u32, at: columns{0, 0, 32, 40, 40}},
			{field: ProchotResidencyAcc, width: u32, at: columns{0, 0, 36, 44, 44}},
			{field: PPTResidencyAcc, width: u32, at: columns{0, 0, 40, 48, 48}},
			{field: SocketThermalResidencyAcc, width: u32, at: columns{0, 0, 44, 52, 52}},
			{field: VRThermalResidencyAcc, width: u32, at: columns{0, 0, 48, 56, 56}},
			{field: HBMThermalResidencyAcc, width: u32, at: columns{0, 0, 52, 60, 60}},
			{field: PCIeWidth, width: u16, at: columns{48, 112, 60, 68, 68}},
			{field: PCIeSpeed, width: u16, scale: deci, at: columns{50, 114, 62, 70, 70}},
			{field: XGMIWidth, width: u16, at: columns{52, 116, 64, 72, 72}},
			{field: XGMISpeed, width: u16, at: columns{54, 118, 66, 74, 74}},
			{field: GFXActivityAcc, width: u32, at: columns{56, 120, 68, 76, 76}},
			{field: MemActivityAcc, width: u32, at: columns{60, 124, 72, 80, 80}},
			{field: PCIeBandwidthAcc, width: u64, at: columns{64, 128, 80, 88, 88}},
			{field: PCIeBandwidth, width: u64, at: columns{72, 136, 88, 96, 96}},
			{field: PCIeRecoveries, width: u64, at: columns{80, 144, 96, 104, 104}},
			{field: PCIeReplays, width: u64, at: columns{88, 152, 104, 112, 112}},
			{field: PCIeReplayRollovers, width: u64, at: columns{96, 160, 112, 120, 120}},
			{field: PCIeNAKsSent, width: u32, at: columns{0, 168, 120, 128, 128}},
			{field: PCIeNAKsReceived, width: u32, at: columns{0, 172, 124, 132, 132}},
			{field: XGMIRead, width: u64, count: 8, at: columns{104, 176, 128, 136, 136}},
			{field: XGMIWritten, width: u64, count: 8, at: columns{168, 240, 192, 200, 200}},
			{field: FirmwareTimestamp, width: u64, at: columns{232, 304, 256, 288, 288}},
			{field: GFXClock, width: u16, count: 8, at: columns{240, 312, 264, 296, 296}},
			{field: SoCClock, width: u16, count: 4, at: columns{256, 328, 280, 312, 312}},
			{field: VideoClock, width: u16, count: 4, at: columns{264, 336, 288, 320, 320}},
			{field: VideoDecodeClock, width: u16, count: 4, at: columns{272, 344, 296, 328, 328}},
			{field: MemClock, width: u16, at: columns{280, 352, 304, 336, 336}},
			{field: PartitionCount, width: u16, at: columns{0, 0, 306, 338, 338}},
			{field: PCIeOtherEndRecoveries, width: u32, at: columns{0, 0, 1656, 2200, 3864}},
			{field: GFXBusy, width: u32, count: 8, stride: xcpStats, at: columns{0, 0, 312, 344, 344}},
			{field: MediaActivity, width: u16, count: 4, stride: xcpStats, at: columns{0, 0, 408, 440, 456}},
			{field: GFXBusyAcc, width: u64, count: 8, stride: xcpStats, at: columns{0, 0, 416, 448, 464}},
		},
	},
	{ // APUs
		format: 2, content: 0,
		size: columns{120, 120, 128, 152, 168},
		rows: []row{
			{field: SystemClock, width: u64, at: columns{8, 32, 32, 32, 32}},
			{field: TempGFX, width: u16, scale: centi, at: columns{16, 4, 4, 4, 4}},
			{field: TempSoC, width: u16, scale: centi, at: columns{18, 6, 6, 6, 6}},
			{field: GFXActivity, width: u16, scale: centi, at: columns{0, 0, 0, 0, 28}},
			{field: MediaActivity, width: u16, scale: centi, at: columns{0, 0, 0, 0, 30}},
			{field: SocketPower, width: u16, scale: milli, at: columns{0, 0, 0, 0, 40}},
			{field: GFXClock, width: u16, at: columns{80, 76, 76, 76, 76}},
			{field: SoCClock, width: u16, at: columns{82, 78, 78, 78, 78}},
			{field: MemClock, width: u16, at: columns{84, 80, 80, 80, 80}},
			{field: VideoClock, width: u16, at: columns{88, 84, 84, 84, 84}},
			{field: VideoDecodeClock, width: u16, at: columns{90, 86, 86, 86, 86}},
			{field: ThrottleStatus, width: u32, at: columns{112, 108, 108, 108, 108}},
			{field: IndepThrottleStatus, width: u64, at: columns{0, 0, 120, 120, 120}},
		},
	},
	{ // APUs from Strix on. The clocks that it holds are averages and limits.
		format: 3, content: 0,
		size: columns{264},
		rows: []row{
			{field: TempGFX, width: u16, scale: centi, at: columns{4}},
			{field: TempSoC, width: u16, scale: centi, at: columns{6}},
			{field: GFXActivity, width: u16, at: columns{42}},
			{field: MediaActivity, width: u16, at: columns{44}},
			{field: SystemClock, width: u64, at: columns{104}},
			{field: SocketPower, width: u32, scale: milli, at: columns{112}},
		},
	},
}

// The layout of xcp_metrics that is no list of attributes: struct
// amdgpu_partition_metrics_v1_0, same source.
var partitionTables = []table{{
	format: 1, content: 0,
	size: columns{488},
	rows: []row{
		{field: GFXClock, width: u16, count: 8, at: columns{4}},
		{field: SoCClock, width: u16, count: 4, at: columns{20}},
		{field: VideoClock, width: u16, count: 4, at: columns{28}},
		{field: VideoDecodeClock, width: u16, count: 4, at: columns{36}},
		{field: MemClock, width: u16, at: columns{44}},
		{field: GFXBusy, width: u32, count: 8, at: columns{48}},
		{field: MediaActivity, width: u16, count: 4, at: columns{160}},
		{field: GFXBusyAcc, width: u64, count: 8, at: columns{168}},
	},
}}
