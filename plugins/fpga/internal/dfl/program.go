package dfl

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/bitstream"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/family"
)

const codeProgram = "program-failed"

const (
	// poll is how often a port is looked at until its new function is there.
	poll = 50 * time.Millisecond
	// margin is how much longer than the configured time programming may take
	// before it counts as hung: so long it may tell itself what is wrong.
	margin = 2 * time.Second
)

// image is a program block of the configuration.
type image struct {
	iface, afu   family.UUID
	file, sha256 string
}

// hardware is what programming does to a card.
type hardware interface {
	// hold opens a port for itself alone, which fails with EBUSY while anybody
	// uses it. Closing it resets the port.
	hold(port string) (io.Closer, error)
	// program loads an image into a port through the engine's node. The kernel
	// checks neither whether the port is in use nor whether the image fits.
	program(engine string, port uint32, image []byte) error
}

// programmer programs ports as the configuration says. It is safe for
// concurrent use.
type programmer struct {
	images   []image
	dir      string
	timeout  time.Duration
	hardware hardware
	owner    uint32 // who must own the files

	mu     sync.Mutex
	busy   map[string]time.Time // since when, by device ID
	failed map[string]failure
}

// failure is why a device could not be programmed.
type failure struct {
	fault core.Fault
	// file is set if the file is to blame; then the fault stands until the file
	// is another one.
	file  string
	stamp string
}

func newProgrammer(cfg Config) *programmer {
	p := &programmer{
		dir: cfg.BitstreamDir, timeout: cfg.ProgramTimeout, hardware: kernel{},
		busy: map[string]time.Time{}, failed: map[string]failure{},
	}
	for _, block := range cfg.Programs {
		iface, err := family.ParseUUID(block.Interface)
		afu, err2 := family.ParseUUID(block.AFU)
		if err == nil && err2 == nil { // else Validate has refused it
			p.images = append(p.images, image{iface, afu, block.Bitstream, strings.ToLower(block.SHA256)})
		}
	}
	return p
}

// target returns the image for a port of a card with the interface, or nil. A
// port that was released to a virtual function is not programmed: what the
// kernel does then is not known.
func (p *programmer) target(iface family.Fact[family.UUID], u *unit) *image {
	for i := range p.images {
		if iface.Known() && p.images[i].iface == iface.Value && u.fme != "" {
			return &p.images[i]
		}
	}
	return nil
}

// running returns whether a device is being programmed.
func (p *programmer) running(id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	since, busy := p.busy[id]
	return busy && time.Since(since) < p.timeout+margin
}

// faults returns what programming has left to say about a device, by the
// function that a scan has just read in it. The fault goes when the target is
// there after all; when the file is another one, if that was to blame; else as
// soon as the port reads well again.
func (p *programmer) faults(host string, id string, target family.UUID, now family.Fact[family.UUID]) []core.Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	if since, busy := p.busy[id]; busy {
		if time.Since(since) < p.timeout+margin {
			return nil
		}
		return []core.Fault{{
			Code: codeProgram, Severity: core.Hard,
			Reason: "programming the port does not end",
			Remedy: "look at the kernel log (dmesg); reboot the node if it stays so",
		}}
	}
	f, ok := p.failed[id]
	switch {
	case !ok:
		return nil
	case now.Known() && now.Value == target,
		f.file == "" && now.State != family.Unknown,
		f.file != "" && stampOf(host, f.file) != f.stamp:
		delete(p.failed, id)
		return nil
	default:
		return []core.Fault{f.fault}
	}
}

// blame marks an error as the file's.
type blame struct{ error }

func (b blame) Unwrap() error { return b.error }

// Preparation implements [family.Preparer].
func (i *instance) Preparation() time.Duration {
	if i.target == nil {
		return 0
	}
	return i.family.program.timeout + margin
}

// Prepare implements [family.Preparer]: it loads the configured image, if that is
// not there already.
func (i *instance) Prepare(ctx context.Context) error {
	p := i.family.program
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	p.mu.Lock()
	p.busy[i.id] = time.Now()
	p.mu.Unlock()
	err := i.load(ctx, p)
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.busy, i.id)
	delete(p.failed, i.id)
	if err == nil {
		return nil
	}
	f := failure{fault: core.Fault{
		Code: codeProgram, Severity: core.Hard, Err: err,
		Reason: fmt.Sprintf("the accelerator function %s could not be loaded: %v", i.target.afu, err),
		Remedy: "see the program block of the plugin's configuration",
	}}
	if _, ok := errors.AsType[blame](err); ok {
		f.file = path.Join(p.dir, i.target.file)
		f.stamp = stampOf(i.host.Root(), f.file)
	}
	p.failed[i.id] = f
	return &f.fault
}

// load checks everything that can be checked, in this order, and then programs
// the port.
func (i *instance) load(ctx context.Context, p *programmer) error {
	port, engine, err := i.find()
	switch {
	case err != nil:
		return err
	case engine == "":
		return fmt.Errorf("port %d is with a virtual function", i.number)
	}
	iface, _ := i.family.layout.programmable(i.host, engine)
	if !iface.Known() || iface.Value != i.target.iface {
		return fmt.Errorf("the interface of the card cannot be read, or is not %s: are the modules dfl_fme_mgr, dfl_fme_br and dfl_fme_region loaded?", i.target.iface)
	}
	content, err := p.read(i.host.Full(p.dir), i.target)
	if err != nil {
		return blame{err}
	}
	img, err := bitstream.Parse(content)
	switch {
	case err != nil:
		return blame{fmt.Errorf("%s: %w", i.target.file, err)}
	case img.Interface != i.target.iface:
		return blame{fmt.Errorf("%s was built for the interface %s", i.target.file, img.Interface)}
	case img.AFU != i.target.afu:
		return blame{fmt.Errorf("%s holds the accelerator function %s", i.target.file, img.AFU)}
	}
	if now := family.ReadUUID(i.host, port+"/afu_id"); now.Known() && now.Value == i.target.afu {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	guard, err := p.hardware.hold(i.host.Full(node(port).Path))
	if err != nil {
		if errors.Is(err, syscall.EBUSY) {
			return fmt.Errorf("the port is in use by somebody: %w", err)
		}
		return err
	}
	err = p.hardware.program(i.host.Full(node(engine).Path), uint32(i.number), img.Payload)
	if err == nil {
		err = i.await(ctx, port)
	}
	return errors.Join(err, guard.Close())
}

// await waits until the port shows the new function. It is busy for a while.
func (i *instance) await(ctx context.Context, port string) error {
	for {
		now := family.ReadUUID(i.host, port+"/afu_id")
		if now.Known() && now.Value == i.target.afu {
			return nil
		}
		select {
		case <-ctx.Done():
			if now.Known() {
				return fmt.Errorf("the card took the image, and shows the accelerator function %s", now.Value)
			}
			return fmt.Errorf("the card took the image, and its accelerator function cannot be read: %w", now.Err)
		case <-time.After(poll):
		}
	}
}

// read reads an image's file, which nobody but root may have written. What is
// checked is what is returned, however the file changes meanwhile.
func (p *programmer) read(dir string, target *image) ([]byte, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("bitstream_dir: %w", err)
	}
	defer root.Close()
	file, err := root.OpenFile(target.file, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	owner, known := ownerOf(info)
	switch {
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a regular file", target.file)
	case !known || owner != p.owner:
		return nil, fmt.Errorf("%s does not belong to root", target.file)
	case info.Mode().Perm()&0o022 != 0:
		return nil, fmt.Errorf("%s can be written by others than root (mode %v): chmod go-w", target.file, info.Mode().Perm())
	case info.Size() > bitstream.MaxSize:
		return nil, fmt.Errorf("%s is larger than %d MiB", target.file, bitstream.MaxSize>>20)
	}
	content, err := io.ReadAll(io.LimitReader(file, bitstream.MaxSize+1))
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(content); hex.EncodeToString(sum[:]) != target.sha256 {
		return nil, fmt.Errorf("%s has the SHA-256 %x, and the configuration says %s", target.file, sum, target.sha256)
	}
	return content, nil
}

// stampOf returns a text that changes when a file below the host root does.
func stampOf(root, file string) string {
	info, err := os.Stat(path.Join(root, file))
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return "none"
		}
		return "unreadable"
	}
	owner, _ := ownerOf(info)
	return fmt.Sprint(info.Size(), info.ModTime().UnixNano(), info.Mode(), owner)
}
