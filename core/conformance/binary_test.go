package conformance_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/nomad/plugins/base"
	"github.com/hashicorp/nomad/plugins/device"

	"github.com/nomad-devices/nomad-devices/core/conformance"
	"github.com/nomad-devices/nomad-devices/core/plugin"
)

var (
	update = flag.Bool("update", false, "write the table in docs/conformance.md anew")
	long   = flag.Bool("long", false, "also check binaries with the long cases, which takes minutes")
)

// The variables that make this test binary a plugin: the name of its defect, or
// "none", and the directory of its machine.
const (
	asPlugin = "CONFORMANCE_PLUGIN"
	rootDir  = "CONFORMANCE_ROOT"
)

func TestMain(m *testing.M) {
	if name := os.Getenv(asPlugin); name != "" {
		servePlugin(name, os.Getenv(rootDir))
		return
	}
	flag.Parse()
	os.Exit(m.Run())
}

// binaryDefect is a defect that takes a process to be seen.
type binaryDefect struct {
	defect
	// before runs before the plugin is served, and beside it.
	before func(r *reference)
	// serve serves the plugin, in place of the core's main.
	serve func(r *reference)
	// after runs when the plugin was told to end.
	after func(r *reference)
	// file is the name of the binary, if it is another than the plugin's.
	file string
	// only are the cases that are run; nil: all.
	only *regexp.Regexp
}

// soon runs f when the plugin is up.
func soon(f func()) func(*reference) {
	return func(*reference) { time.AfterFunc(200*time.Millisecond, f) }
}

// asPluginOnly runs f where the process is a plugin, and not started by hand.
func asPluginOnly(f func(*reference)) func(*reference) {
	return func(r *reference) {
		if os.Getenv(base.Handshake.MagicCookieKey) != "" {
			f(r)
		}
	}
}

// afterCrashes runs f where as many processes were started before this one with
// the same place for temporary files, of which none ended in order.
func afterCrashes(starts int64, f func(*reference)) func(*reference) {
	return asPluginOnly(func(r *reference) {
		if count(filepath.Join(os.TempDir(), "starts")) > starts {
			f(r)
		}
	})
}

// count makes a file a byte longer and returns how long it is.
func count(path string) int64 {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return 0
	}
	defer file.Close()
	_, _ = file.Write([]byte{'.'})
	info, err := file.Stat()
	if err != nil {
		return 0
	}
	return info.Size()
}

// served serves a plugin in the way of the core's main, but with its log, with
// what spoil makes of it, and with the signals as they are set.
func served(log func() hclog.Logger, spoil func(device.DevicePlugin) device.DevicePlugin, signals ...func()) func(*reference) {
	return func(r *reference) {
		for _, set := range signals {
			set()
		}
		p, _ := plugin.New(r.definition(), log())
		device.Serve(spoil(p), log())
	}
}

func ignoreHangup() { signal.Ignore(syscall.SIGHUP) }

// dieOfHangup ends the process, also where whoever runs the tests ignores the
// signal, as nohup does.
func dieOfHangup() {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	go func() {
		<-hangup
		os.Exit(2)
	}()
}

func ignoreTerminate() { signal.Ignore(syscall.SIGTERM) }

// obeyTerminate ends the process in order.
func obeyTerminate() {
	terminate := make(chan os.Signal, 1)
	signal.Notify(terminate, syscall.SIGTERM)
	go func() {
		<-terminate
		os.Exit(0)
	}()
}

func jsonLog() hclog.Logger {
	return hclog.New(&hclog.LoggerOptions{Name: referenceName, Level: hclog.Trace, JSONFormat: true, Output: os.Stderr})
}

func asIs(p device.DevicePlugin) device.DevicePlugin { return p }

var binaryDefects = []binaryDefect{
	{defect: defect{name: "other name", fails: []string{"C1/one-name"}}, file: "acme"},
	{defect: defect{name: "talks on stdout", fails: []string{"C3/clean-stdout"}}, serve: served(jsonLog, func(p device.DevicePlugin) device.DevicePlugin {
		return &wrap{DevicePlugin: p, info: func() (*base.PluginInfoResponse, error) {
			_, _ = syscall.Write(1, []byte("a library says hello\n"))
			return p.PluginInfo()
		}}
	}, ignoreHangup, obeyTerminate)},
	{defect: defect{name: "slow handshake", fails: []string{"C3/clean-stdout"}}, before: asPluginOnly(func(*reference) {
		time.Sleep(late)
	})},
	{defect: defect{name: "log without a form", fails: []string{"C3/json-log"}}, before: soon(func() {
		_, _ = syscall.Write(2, []byte("a library says hello\n"))
	})},
	{defect: defect{name: "no arguments allowed", fails: []string{"C4/arguments"}}, before: func(*reference) {
		if len(os.Args) > 1 {
			os.Exit(3)
		}
	}},
	{defect: defect{name: "serves nobody", fails: []string{"C4/by-hand"}}, before: func(*reference) {
		if os.Getenv(base.Handshake.MagicCookieKey) == "" {
			os.Exit(0)
		}
	}},
	{defect: defect{name: "silent log", fails: []string{"C40/health-logged"}, hardware: true}, before: asPluginOnly(func(*reference) {
		os.Stderr, _ = os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	})},
	{defect: defect{name: "a file per stream", fails: []string{"C25/streams-leave-nothing"}}, serve: served(jsonLog, func(p device.DevicePlugin) device.DevicePlugin {
		var mu sync.Mutex
		var files []*os.File
		return &wrap{DevicePlugin: p, fingerprint: func(ctx context.Context) (<-chan *device.FingerprintResponse, error) {
			f, err := os.Open(os.DevNull)
			mu.Lock()
			files = append(files, f)
			mu.Unlock()
			out, failed := p.Fingerprint(ctx)
			return out, errors.Join(err, failed)
		}}
	}, ignoreHangup, obeyTerminate)},
	{defect: defect{name: "a goroutine per stream of a process", fails: []string{"C25/streams-leave-nothing"}}, serve: served(jsonLog, func(p device.DevicePlugin) device.DevicePlugin {
		return &wrap{DevicePlugin: p, fingerprint: func(ctx context.Context) (<-chan *device.FingerprintResponse, error) {
			go func() { select {} }()
			return p.Fingerprint(ctx)
		}}
	}, ignoreHangup, obeyTerminate)},
	{defect: defect{name: "does not end", fails: []string{"C64/exits"}}, after: func(*reference) { time.Sleep(late) }},
	{defect: defect{name: "leaves a process", fails: []string{"C64/exits"}}, before: asPluginOnly(func(*reference) {
		// It ends some seconds after the plugin.
		_ = exec.Command("sh", "-c", "while kill -0 $PPID 2>/dev/null; do sleep 0.2; done; sleep 5").Start()
	})},
	{defect: defect{name: "does not end while hung", fails: []string{"C64/exits-while-hung"}, hardware: true}, after: func(r *reference) {
		for r.isDown() == conformance.Hang {
			time.Sleep(10 * time.Millisecond)
		}
	}},
	{defect: defect{name: "dies of SIGHUP", fails: []string{"C66/ignores-hangup"}}, serve: served(jsonLog, asIs, dieOfHangup, obeyTerminate)},
	{defect: defect{name: "deaf to SIGTERM", fails: []string{"C66/terminates"}}, serve: served(jsonLog, asIs, ignoreHangup, ignoreTerminate)},
	{defect: defect{name: "dies of SIGTERM", fails: []string{"C66/terminates"}}, serve: served(jsonLog, asIs, ignoreHangup)},
	{defect: defect{name: "lives without an agent", fails: []string{"C65/orphan"}, long: true}, serve: served(jsonLog, asIs, ignoreHangup, obeyTerminate)},
	{defect: defect{name: "waits before the handshake after crashes", fails: []string{"C70/crash-loop"}}, before: afterCrashes(3, func(*reference) {
		time.Sleep(late)
	})},
	{defect: defect{name: "ends itself after crashes", fails: []string{"C70/crash-loop"}}, only: crashCases, before: afterCrashes(5, func(*reference) {
		time.AfterFunc(1200*time.Millisecond, func() { os.Exit(1) })
	})},
	{defect: defect{name: "spins after crashes", fails: []string{"C70/crash-loop"}}, only: crashCases, before: afterCrashes(5, func(*reference) {
		const threads = 8 // as many shares of a machine that others use, too
		runtime.GOMAXPROCS(threads)
		for range threads {
			go func() {
				for n := 0; n >= 0; n++ { // longer than anybody waits
				}
			}()
		}
	})},
	{defect: defect{name: "gives up after crashes", fails: []string{"C70/crash-loop"}}, only: crashCases, before: afterCrashes(5, func(r *reference) {
		r.HangDiscover()
	})},
	{defect: defect{name: "forgets its crashes", fails: []string{"C70/hardware-rests"}, hardware: true}, only: crashCases, serve: served(jsonLog, asIs, ignoreHangup, obeyTerminate)},
}

// crashCases are those that look at a plugin that died, and at what could be
// taken for it. Defects that differ in how they fail C70 need not show for each
// of the others that they do not.
var crashCases = regexp.MustCompile(`^C(12|13|18|70)/`)

// servePlugin is the main of the plugin that this test binary can be.
func servePlugin(name, root string) {
	r, err := newReference(root)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	r.touched = func() { count(callsFile(root)) }
	r.follow()
	var d binaryDefect
	if n := slices.IndexFunc(binaryDefects, func(d binaryDefect) bool { return d.name == name }); n >= 0 {
		d = binaryDefects[n]
	}
	if d.before != nil {
		d.before(r)
	}
	if d.serve != nil {
		d.serve(r)
	} else {
		plugin.Main(r.definition())
	}
	if d.after != nil {
		d.after(r)
	}
}

// remote is the hardware of plugins in other processes, which follow what is
// written in a file of the machine's directory.
type remote struct{ root string }

var _ conformance.HardwareWithCalls = remote{}

func faultsFile(root string) string { return filepath.Join(root, "faults") }

func callsFile(root string) string { return filepath.Join(root, "calls") }

func (h remote) write(line string) error {
	next := faultsFile(h.root) + ".next"
	return errors.Join(os.WriteFile(next, []byte(line), 0o600), os.Rename(next, faultsFile(h.root)))
}

// Break implements [conformance.Hardware].
func (h remote) Break(id string, fault conformance.Fault) ([]string, error) {
	for _, ids := range cards {
		if slices.Contains(ids, id) {
			return ids, h.write(id + " " + string(fault))
		}
	}
	return nil, fmt.Errorf("no card has the device %s", id)
}

// BreakAll implements [conformance.Hardware].
func (h remote) BreakAll(fault conformance.Fault) error { return h.write("all " + string(fault)) }

// Repair implements [conformance.Hardware].
func (h remote) Repair() error { return h.write("") }

// Calls implements [conformance.HardwareWithCalls].
func (h remote) Calls() (uint64, error) {
	info, err := os.Stat(callsFile(h.root))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return uint64(info.Size()), nil
}

// follow makes the hardware what the file says, now and from now on.
func (r *reference) follow() {
	last := ""
	look := func() {
		text, _ := os.ReadFile(faultsFile(r.root))
		if string(text) == last {
			return
		}
		last = string(text)
		_ = r.Repair()
		switch which, fault, _ := strings.Cut(last, " "); which {
		case "":
		case "all":
			_ = r.BreakAll(conformance.Fault(fault))
		default:
			_, _ = r.Break(which, conformance.Fault(fault))
		}
	}
	look()
	go func() {
		for range time.Tick(10 * time.Millisecond) {
			look()
		}
	}()
}

// binary is the plugin with a defect, or with none, as a binary on a machine of
// its own.
func binary(t *testing.T, d binaryDefect) (conformance.Binary, conformance.Options) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	name := referenceName
	if d.file != "" {
		name = d.file
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.Symlink(self, path); err != nil {
		t.Fatal(err)
	}
	r := &reference{root: root}
	options := conformance.Patient(r.options())
	options.Hardware = remote{root}
	if !d.hardware && d.name != "" {
		options.Hardware = nil
	}
	options.Long, options.Run = d.long, d.only
	defectName := d.name
	if defectName == "" {
		defectName = "none"
	}
	return conformance.Binary{Path: path, Env: []string{asPlugin + "=" + defectName, rootDir + "=" + root}}, options
}

// TestReferenceBinary: the plugin that does everything right does so as a
// process, too.
func TestReferenceBinary(t *testing.T) {
	t.Parallel()
	target, options := binary(t, binaryDefect{defect: defect{long: *long}})
	report := reportOf(t, target, options)
	if !report.Passed() {
		var text strings.Builder
		_ = report.WriteText(&text)
		t.Error(text.String())
	}
	for _, result := range report.Results {
		// What is skipped here is decided in process.
		if result.Status == conformance.Skipped && result.Needs.Binary && !result.Long {
			t.Errorf("%s was skipped: %s", result, result.Seen)
		}
	}
}

// TestBinaryDefects is TestDefects for what only a process shows.
func TestBinaryDefects(t *testing.T) {
	t.Parallel()
	slots := make(chan struct{}, 4)
	reports := make([]*conformance.Report, len(binaryDefects))
	var running sync.WaitGroup
	for n, d := range binaryDefects {
		if d.long && !*long || testing.Short() && d.hardware {
			continue
		}
		target, options := binary(t, d)
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			report, err := conformance.Check(t.Context(), target, options)
			if err != nil {
				t.Errorf("%s: %v", d.name, err)
			}
			reports[n] = report
		})
	}
	running.Wait()
	for n, d := range binaryDefects {
		if reports[n] != nil {
			t.Run(strings.ReplaceAll(d.name, " ", "-"), func(t *testing.T) { judge(t, d.defect, reports[n]) })
		}
	}
}
