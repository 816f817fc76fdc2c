// Package xrt finds AMD (Xilinx) Alveo cards that are driven by XRT: the driver
// xocl has their user functions, xclmgmt their management functions.
//
// A device is the FPGA behind one user function; what a task gets is its render
// node. The management function tells of its health where the host has it: in a
// virtual machine, and in most clouds, it has not. A card with a management
// function alone runs its factory image and is listed, unhealthy.
//
// # Files
//
// The functions' directories hold attributes and, for each part of the shell, a
// directory of its own such as rom.u.0 (Xilinx/XRT,
// src/runtime_src/doc/toc/sysfs.rst and
// src/runtime_src/core/pcie/driver/linux/xocl). While a card is not ready, each
// read of a sensor waits for a mailbox that nobody answers; so ready and
// dev_offline are read first, and no sensor unless both allow it. Of the files
// with an effect, the management function's "error" clears what it shows and
// mig_cache_update sends a request to the card: neither is read, and no blob is.
package xrt
