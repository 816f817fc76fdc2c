package gpumetrics

// Field is one quantity of a table, in one unit whatever the layout. Where a
// quantity has several instances, it is said what one is.
//
// Values are the firmware's own: some write 0 for a sensor that a card does not
// have, most often for the temperature of a voltage regulator.
type Field uint8

// The fields.
const (
	// Utilisation in %. Before v2.4 the tables of APUs hold hundredths on some
	// ASICs and whole numbers on others: there it is left out.

	// GFXActivity is how busy the compute and graphics engine is, on average.
	GFXActivity Field = iota
	// MemActivity is how busy the memory controller is, on average.
	MemActivity
	// MediaActivity is how busy the video engines are: an instance for each, or
	// one for all of them. From v1.6 on they are told apart by partition.
	MediaActivity
	// GFXBusy is how busy the engine is right now: an instance for each XCC. In
	// v1.6 to v1.8 they are told apart by partition.
	GFXBusy

	// What the firmware adds up in every cycle; see [Metrics.PerCycle].

	// AccumulationCounter counts the cycles.
	AccumulationCounter
	// GFXActivityAcc and MemActivityAcc are the sums of the activities in %.
	GFXActivityAcc
	MemActivityAcc
	// GFXBusyAcc is the sum of GFXBusy in %, with the same instances.
	GFXBusyAcc
	// ProchotResidencyAcc counts the cycles in which something outside the GPU
	// held it back.
	ProchotResidencyAcc
	// PPTResidencyAcc counts the cycles at the power limit.
	PPTResidencyAcc
	// SocketThermalResidencyAcc, VRThermalResidencyAcc and HBMThermalResidencyAcc
	// count the cycles at the thermal limits of the socket, the voltage regulators
	// and the memory.
	SocketThermalResidencyAcc
	VRThermalResidencyAcc
	HBMThermalResidencyAcc

	// Temperatures in °C.

	// TempEdge is that of the die's edge.
	TempEdge
	// TempHotspot is the highest on the die, elsewhere called junction.
	TempHotspot
	// TempMem is that of the memory.
	TempMem
	// TempVRGFX, TempVRSoC and TempVRMem are those of the voltage regulators. From
	// v1.4 on TempVRSoC is the highest of all regulators.
	TempVRGFX
	TempVRSoC
	TempVRMem
	// TempGFX and TempSoC are those of the two parts of an APU's GPU.
	TempGFX
	TempSoC

	// Power and energy.

	// SocketPower is the draw of the socket in W, on an APU with that of the CPU.
	// Before v2.4 the tables of APUs hold W on some ASICs and mW on others: there
	// it is left out.
	SocketPower
	// Energy is what the socket has used, in J. Before v1.4 its unit depends on
	// the ASIC: there it is left out.
	Energy

	// What holds the clocks down right now.

	// ThrottleStatus is bits that mean something else on every ASIC.
	ThrottleStatus
	// IndepThrottleStatus is bits that mean the same on every ASIC; see
	// [Metrics.Throttlers].
	IndepThrottleStatus

	// Current clocks in MHz, and the fan.

	// GFXClock is that of the engine: an instance for each XCC.
	GFXClock
	// SoCClock is that of the SoC: an instance for each of its dies.
	SoCClock
	// MemClock is that of the memory controller.
	MemClock
	// VideoClock and VideoDecodeClock are VCLK and DCLK: an instance for each
	// video engine, 0 for one that sleeps.
	VideoClock
	VideoDecodeClock
	// FanSpeed is in revolutions per minute.
	FanSpeed

	// The PCIe link.

	// PCIeWidth is the number of lanes in use.
	PCIeWidth
	// PCIeSpeed is the rate of a lane in GT/s.
	PCIeSpeed
	// PCIeBandwidth is what passes right now in GB/s, and PCIeBandwidthAcc the sum
	// of it over the cycles.
	PCIeBandwidth
	PCIeBandwidthAcc
	// PCIeRecoveries counts how often the link fell from L0 into recovery, and
	// PCIeOtherEndRecoveries how often the other end made it.
	PCIeRecoveries
	PCIeOtherEndRecoveries
	// PCIeReplays counts packets sent again, PCIeReplayRollovers how often that was
	// in vain so often that the link was trained anew.
	PCIeReplays
	PCIeReplayRollovers
	// PCIeNAKsSent and PCIeNAKsReceived count packets that were refused.
	PCIeNAKsSent
	PCIeNAKsReceived

	// The XGMI links.

	// XGMIWidth is the number of lanes of a link.
	XGMIWidth
	// XGMISpeed is the rate of a lane in Gbit/s.
	XGMISpeed
	// XGMIRead and XGMIWritten are what has passed, in KB: an instance for each
	// link.
	XGMIRead
	XGMIWritten

	// SystemClock is when the driver made the table, in ns since the host's boot.
	SystemClock
	// FirmwareTimestamp is the clock of the firmware in ticks of 10 ns. It begins
	// anew with the firmware.
	FirmwareTimestamp
	// PartitionCount is the number of compute partitions.
	PartitionCount

	fieldCount
)

// fields describes the fields: whole is a count, bits or a clock, to be had by
// [Metrics.Uint]; own is what each partition has to itself.
var fields = [fieldCount]struct {
	name  string
	whole bool
	own   bool
}{
	GFXActivity:               {name: "GFXActivity"},
	MemActivity:               {name: "MemActivity"},
	MediaActivity:             {name: "MediaActivity", own: true},
	GFXBusy:                   {name: "GFXBusy", own: true},
	AccumulationCounter:       {name: "AccumulationCounter", whole: true},
	GFXActivityAcc:            {name: "GFXActivityAcc", whole: true},
	MemActivityAcc:            {name: "MemActivityAcc", whole: true},
	GFXBusyAcc:                {name: "GFXBusyAcc", whole: true, own: true},
	ProchotResidencyAcc:       {name: "ProchotResidencyAcc", whole: true},
	PPTResidencyAcc:           {name: "PPTResidencyAcc", whole: true},
	SocketThermalResidencyAcc: {name: "SocketThermalResidencyAcc", whole: true},
	VRThermalResidencyAcc:     {name: "VRThermalResidencyAcc", whole: true},
	HBMThermalResidencyAcc:    {name: "HBMThermalResidencyAcc", whole: true},
	TempEdge:                  {name: "TempEdge"},
	TempHotspot:               {name: "TempHotspot"},
	TempMem:                   {name: "TempMem"},
	TempVRGFX:                 {name: "TempVRGFX"},
	TempVRSoC:                 {name: "TempVRSoC"},
	TempVRMem:                 {name: "TempVRMem"},
	TempGFX:                   {name: "TempGFX"},
	TempSoC:                   {name: "TempSoC"},
	SocketPower:               {name: "SocketPower"},
	Energy:                    {name: "Energy"},
	ThrottleStatus:            {name: "ThrottleStatus", whole: true},
	IndepThrottleStatus:       {name: "IndepThrottleStatus", whole: true},
	GFXClock:                  {name: "GFXClock"},
	SoCClock:                  {name: "SoCClock"},
	MemClock:                  {name: "MemClock"},
	VideoClock:                {name: "VideoClock"},
	VideoDecodeClock:          {name: "VideoDecodeClock"},
	FanSpeed:                  {name: "FanSpeed"},
	PCIeWidth:                 {name: "PCIeWidth"},
	PCIeSpeed:                 {name: "PCIeSpeed"},
	PCIeBandwidth:             {name: "PCIeBandwidth"},
	PCIeBandwidthAcc:          {name: "PCIeBandwidthAcc", whole: true},
	PCIeRecoveries:            {name: "PCIeRecoveries", whole: true},
	PCIeOtherEndRecoveries:    {name: "PCIeOtherEndRecoveries", whole: true},
	PCIeReplays:               {name: "PCIeReplays", whole: true},
	PCIeReplayRollovers:       {name: "PCIeReplayRollovers", whole: true},
	PCIeNAKsSent:              {name: "PCIeNAKsSent", whole: true},
	PCIeNAKsReceived:          {name: "PCIeNAKsReceived", whole: true},
	XGMIWidth:                 {name: "XGMIWidth"},
	XGMISpeed:                 {name: "XGMISpeed"},
	XGMIRead:                  {name: "XGMIRead", whole: true},
	XGMIWritten:               {name: "XGMIWritten", whole: true},
	SystemClock:               {name: "SystemClock", whole: true},
	FirmwareTimestamp:         {name: "FirmwareTimestamp", whole: true},
	PartitionCount:            {name: "PartitionCount", whole: true},
}

// String returns the field's name.
func (f Field) String() string {
	if f >= fieldCount {
		return "unknown field"
	}
	return fields[f].name
}
