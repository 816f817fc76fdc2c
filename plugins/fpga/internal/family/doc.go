// Package family holds what the driver families of FPGAs share: the interface
// that each implements, and the words and readers that several of them need.
//
// A family is a package beside this one (dfl, xrt, ami, ...). It reads files
// below the host root and nothing else: it needs no plugin, no Nomad and no
// hardware, so that a test of it is a tree of files, a [Scan] of that tree, and
// the devices that come out.
//
//	scan := family.NewScan(sysfs.New(sysfstest.Unpack(t, "testdata/u200.tsv")), family.NewMemory())
//	found, err := xrt.New(xrt.Config{}).Discover(ctx, scan)
//	devices, err := found.Cards[0].Read(ctx)
//
// # Rules that every family keeps
//
// A file holds a value, does not exist, or cannot be read now. These are three
// results ([Fact]), and the third is never taken for one of the others: an
// attribute that cannot be read is [core.Unknown], a statistic is left out, and
// whatever names a device or its group goes through [Keep].
//
// Nothing is written, no device node is opened, and no file is read whose reading
// has an effect. The numbers that the kernel counts (hwmon3, region0, fpga1,
// renderD128) never become part of an ID.
package family
