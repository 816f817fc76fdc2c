// Package dfl reads Intel's and Altera's FPGA cards: those that the kernel drives
// by their device feature list (DFL), and those of the older OPAE driver, which
// was never part of the kernel. The two differ in the names of their files.
//
// A card has a management engine (FME) and one or more ports. Behind each port
// is an accelerator function (AFU), which is what a task uses:
//
//	.../0000:b1:00.0/fpga_region/region0/     the base region
//	    dfl-fme.0/                            the management engine
//	        dfl-fme-region.1/fpga_region/region1/compat_id
//	    dfl-port.0/                           a port
//	        afu_id
//
// Sources: drivers/fpga/dfl*.c, Documentation/fpga/dfl.rst, and
// Documentation/ABI/testing/sysfs-platform-dfl-{fme,port} of the kernel.
package dfl
