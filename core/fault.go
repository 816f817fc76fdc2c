package core

// Severity says what a fault means for the scheduling of new work.
type Severity int

const (
	// Notice changes nothing: the device stays healthy and the text is shown
	// beside it.
	Notice Severity = iota
	// Soft makes a device unhealthy when it is seen in several looks in a row
	// (the setting health.unhealthy_after). A fault on the very first look
	// counts at once, since there is no good history to trust.
	Soft
	// Hard makes a device unhealthy at once.
	Hard
)

// String returns the lower-case name of the severity.
func (s Severity) String() string {
	switch s {
	case Notice:
		return "notice"
	case Soft:
		return "soft"
	case Hard:
		return "hard"
	default:
		return "unknown"
	}
}

// Fault is one thing that is wrong with a device, in words that an operator can
// act on. It is an error, so that any call of a vendor can return one.
//
// Its text is part of what Nomad stores about the node. It must hold nothing
// that changes by itself: no counter, no temperature, no time.
type Fault struct {
	// Code names the kind of fault for programs and for [Device.Cleared]:
	// "xid-79", "lost", "row-remap-failure".
	Code string
	// Severity says how the fault bears on scheduling.
	Severity Severity
	// Latched says that the fault stands until a scan clears its code or the
	// device went away and came back. A fault that is not latched stands as
	// long as scans report it.
	Latched bool
	// Reason says what happened: "XID 79: the GPU has fallen off the bus".
	Reason string
	// Remedy says what to do about it: "reboot the node". May be empty.
	Remedy string
	// Err is the cause, if there is one.
	Err error
}

// Error returns the reason and the remedy in one line.
func (f *Fault) Error() string {
	if f.Remedy == "" {
		return f.Reason
	}
	return f.Reason + "; " + f.Remedy
}

// Unwrap returns the cause.
func (f *Fault) Unwrap() error { return f.Err }
