package nvidia

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/plugins/nvidia/internal/nvml"
)

// Where the loaded kernel module tells its version: the module's own file, and
// the driver's, which tells the same in a sentence.
const (
	moduleVersionPath = "/sys/module/nvidia/version"
	driverVersionPath = "/proc/driver/nvidia/version"
)

const (
	// firstRetry and lastRetry bound the pause between two attempts to attach to
	// a driver that is not there. An attempt is not free: the library runs
	// nvidia-modprobe.
	firstRetry = 15 * time.Second
	lastRetry  = 5 * time.Minute
	// mismatchPatience is how long a library that never fitted the driver is
	// tried before a fresh process looks whether there is another file by now.
	mismatchPatience = time.Minute
)

// codeDriver is the fault of all devices while the driver is gone.
const codeDriver = "driver-gone"

// session is one attachment to the driver. It is immutable; handles and facts of
// one session mean nothing in another.
type session struct {
	number int
	// driver and cuda are the versions of the driver and of the newest CUDA that
	// it supports.
	driver, cuda core.Value
}

// driver attaches to NVIDIA's library and driver, whenever both are there. Only
// Discover uses it, so it needs no lock.
type driver struct {
	lib  nvml.Library
	host *sysfs.FS

	session *session // nil while there is none
	number  int
	inits   int    // successful calls of Init, each to be undone by a Shutdown
	mapped  string // the kernel module's version when the library was attached
	used    bool   // devices were offered in this process

	failed     error // why the last attempt failed
	failedAt   time.Time
	failedHost string // the kernel module's version at that time
	pause      time.Duration
	mismatched time.Time // since when the library does not fit the driver
}

// connect returns the session with the driver. Where there is no driver it
// returns a note instead, or an error if devices depended on it.
func (d *driver) connect() (*session, *core.Note, error) {
	version := hostVersion(d.host)
	if d.mapped != "" && version != "" && version != d.mapped {
		return nil, nil, fmt.Errorf("the NVIDIA driver was replaced: this process uses version %s, the kernel %s: %w", d.mapped, version, core.ErrRestart)
	}
	if d.session == nil {
		if !d.due(version) {
			return d.absent(version, d.failed)
		}
		if err := d.lib.Init(); err != nil {
			d.failed, d.failedAt, d.failedHost = err, time.Now(), version
			return d.absent(version, err)
		}
		d.inits++
		d.number++
		d.failed, d.pause, d.mismatched, d.mapped = nil, 0, time.Time{}, version
		d.session = &session{number: d.number, driver: core.Unknown(), cuda: core.Unknown()}
	}
	if d.mapped == "" {
		d.mapped = version
	}
	d.versions()
	return d.session, nil, nil
}

// due reports whether it is time for another attempt. A library that is not
// there is looked for each time, which costs nothing, and so is a driver whose
// files on the host changed.
func (d *driver) due(version string) bool {
	if d.failed == nil || errors.Is(d.failed, nvml.ErrLibraryNotFound) || version != d.failedHost {
		d.pause = 0
		return true
	}
	if time.Since(d.failedAt) < d.pause {
		return false
	}
	d.pause = min(max(firstRetry, 2*d.pause), lastRetry)
	return true
}

// versions fills in what is not known yet of the session.
func (d *driver) versions() {
	if d.session.driver.Kind() != core.KindUnknown && d.session.cuda.Kind() != core.KindUnknown {
		return
	}
	s := *d.session
	if v, err := d.lib.DriverVersion(); err == nil {
		s.driver = core.Version(v)
	} else if nvml.Unsupported(err) {
		s.driver = core.Value{}
	}
	if v, err := d.lib.CUDAVersion(); err == nil {
		s.cuda = core.Version(fmt.Sprintf("%d.%d", v/1000, v%1000/10))
	} else if nvml.Unsupported(err) {
		s.cuda = core.Value{}
	}
	d.session = &s
}

// gone takes the error of a call that concerned no single GPU, and returns what
// Discover answers.
func (d *driver) gone(err error) (*core.Note, error) {
	switch nvml.ClassOf(err) {
	case nvml.ClassMismatch:
		return nil, fmt.Errorf("the NVIDIA driver was replaced under this process (%w): %w", err, core.ErrRestart)
	case nvml.ClassNotLoaded:
		d.session = nil
		_, note, err := d.absent(hostVersion(d.host), err)
		return note, err
	default:
		return nil, fmt.Errorf("asking the driver for its GPUs: %w", err)
	}
}

// absent says what it means that there is no session, because of err.
func (d *driver) absent(version string, err error) (*session, *core.Note, error) {
	switch {
	case errors.Is(err, nvml.ErrOtherLibrary):
		return nil, nil, fmt.Errorf("nvml_library names another file now: %w: %w", err, core.ErrRestart)
	case nvml.ClassOf(err) == nvml.ClassMismatch:
		return nil, nil, d.mismatch(err)
	case nvml.ClassOf(err) != nvml.ClassNotLoaded:
		return nil, nil, fmt.Errorf("attaching to the NVIDIA driver: %w", err)
	case d.used:
		return nil, nil, driverGone(err)
	case version != "" && errors.Is(err, nvml.ErrLibraryNotFound):
		return nil, &core.Note{
			Subject: "NVIDIA driver",
			Text: fmt.Sprintf("version %s is loaded, but its management library cannot be used: %v; "+
				"install the library of the same version, or name its file in nvml_library", version, err),
		}, nil
	default:
		return nil, &core.Note{
			Subject: "NVIDIA driver",
			Text:    "no driver is in use, so no GPU is offered; GPUs are found as soon as it is: " + err.Error(),
		}, nil
	}
}

// driverGone is what a device suffers from while there is no driver. Its text is
// the same whatever call found out.
func driverGone(err error) *core.Fault {
	return &core.Fault{
		Code: codeDriver, Severity: core.Hard, Err: err,
		Reason: "the NVIDIA driver is gone",
		Remedy: "load it again (modprobe nvidia); the devices then return by themselves",
	}
}

// mismatch is the answer to a library that does not fit the driver. A process
// that had devices ends at once, because the file on disk is likely to fit. One
// that could never attach has just mapped that file: it waits for the kernel
// module to be replaced as well, and looks for another file from time to time.
func (d *driver) mismatch(err error) error {
	if d.mismatched.IsZero() {
		d.mismatched = time.Now()
	}
	if d.used || time.Since(d.mismatched) >= mismatchPatience {
		return fmt.Errorf("the NVIDIA driver and its library have different versions (%w): %w", err, core.ErrRestart)
	}
	return &core.Fault{
		Code: codeDriver, Severity: core.Hard, Err: err,
		Reason: "the NVIDIA driver and its library have different versions: " + err.Error(),
		Remedy: "reboot the node, or load the kernel module of the installed version",
	}
}

// close detaches from the driver.
func (d *driver) close() error {
	var errs []error
	for ; d.inits > 0; d.inits-- {
		errs = append(errs, d.lib.Shutdown())
	}
	d.session = nil
	return errors.Join(errs...)
}

// hostVersion returns the version of the loaded kernel module by the host's
// files, or "" where they do not tell: no module, a container, WSL.
func hostVersion(host *sysfs.FS) string {
	if v, err := host.ReadString(moduleVersionPath); err == nil && v != "" {
		return v
	}
	text, err := host.ReadString(driverVersionPath)
	if err != nil {
		return ""
	}
	return parseDriverVersion(text)
}

var versionWord = regexp.MustCompile(`^[0-9]+(\.[0-9]+)+$`)

// parseDriverVersion finds the version in the driver's sentence, "NVRM version:
// NVIDIA UNIX Open Kernel Module for x86_64  580.82.07  Release Build (…)". It
// returns "" if there is none in the first line; the second has the compiler's.
func parseDriverVersion(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	for word := range strings.FieldsSeq(line) {
		if versionWord.MatchString(word) {
			return word
		}
	}
	return ""
}
