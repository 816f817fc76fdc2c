// Package sysfs reads /sys, /proc and /dev below a host root, safely.
//
// Kernel files are not ordinary files: sizes are not known beforehand, a broken
// driver answers EAGAIN for ever, a device that fell off the bus answers an
// error here and a plausible text there. [FS] reads them with a cap on the size,
// without ever waiting in the runtime's poller, and never opens anything but a
// regular file or a directory, so that looking at a machine cannot reset a card.
//
// # Paths
//
// Every path is a host path as people write it: absolute, with slashes, such as
// "/sys/bus/pci/devices/0000:3b:00.0/vendor". It is looked up below the root
// that [New] was given, and so is every symbolic link on its way: an absolute
// link counts from the root as well, as it would on the host itself. Nothing
// outside the root can be reached.
//
// # Three results
//
// A file can hold a value, it can be absent (the device has no such fact), or it
// can be there and fail to be read. The second is an error for which [IsAbsent]
// is true, the third any other error. Treating the third as the second makes
// devices flap; treating it as a value invents one.
//
// # Time
//
// A read can take as long as the driver behind the file likes, even for ever,
// and nothing here ends it: no deadline works on such files. A caller that reads
// what a driver computes gives the whole reading a deadline and a goroutine of
// its own; see the core's package guard.
package sysfs
