package sysfs

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

// FS reads files below a host root. It is safe for concurrent use.
type FS struct {
	root string
	hook func(op, path string) error
	walk bool // for tests: see hostRoot

	mu     sync.Mutex
	handle *hostRoot // nil until first used
	closed bool
}

// Option changes what [New] returns.
type Option func(*FS)

// WithHook has hook called before every access, with the operation ("read",
// "readdir", "readlink", "resolve", "stat", "lstat") and the host path as the caller gave
// it. An error from it takes the place of the access. It is meant for tests: to
// put faults into a tree, to count accesses, to forbid some. It is called from
// many goroutines at once.
func WithHook(hook func(op, path string) error) Option {
	return func(f *FS) { f.hook = hook }
}

// New returns an FS for the host whose file system is mounted at root, "/" being
// this one. It touches nothing: the root is opened at the first access, and again
// at later ones if that failed or the directory was replaced.
func New(root string, options ...Option) *FS {
	if root == "" {
		root = "/"
	}
	f := &FS{root: filepath.Clean(root)}
	for _, option := range options {
		option(f)
	}
	return f
}

// Root returns the host root.
func (f *FS) Root() string { return f.root }

// Full returns the host path with the root in front: the name that this process,
// and whatever it hands the path to, must use. Links are not looked at; see
// [FS.Resolve].
func (f *FS) Full(hostPath string) string {
	return filepath.Join(f.root, filepath.FromSlash(path.Clean("/"+hostPath)))
}

// Close gives back the root. Accesses after it fail with [fs.ErrClosed].
func (f *FS) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	if f.handle == nil {
		return nil
	}
	handle := f.handle
	f.handle = nil
	return handle.Close()
}

// open returns the root, opening it if need be.
func (f *FS) open() (*hostRoot, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, fs.ErrClosed
	}
	if f.handle != nil {
		return f.handle, nil
	}
	handle, err := openHostRoot(f.root, f.walk)
	if err != nil {
		return nil, rootError(f.root, err)
	}
	f.handle = handle
	return handle, nil
}

// forget drops handle if the directory at the root's path is another one by now
// (a tree that was unpacked anew, a mount that came later), and reports whether
// it did. The dropped handle may be in use: its finalizer closes it.
func (f *FS) forget(handle *hostRoot) bool {
	was, err := handle.Stat(".")
	if err != nil {
		return false
	}
	is, err := os.Stat(f.root)
	if err != nil || os.SameFile(was, is) {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.handle == handle {
		f.handle = nil
	}
	return true
}

// access runs one operation on a host path. act gets the path relative to the
// root. follow says whether the operation follows a link at the path's end.
func access[T any](f *FS, op, hostPath string, follow bool, act func(root *hostRoot, name string) (T, error)) (T, error) {
	result, err := attempt(f, op, hostPath, follow, act)
	if err != nil {
		var none T
		return none, pathError(op, hostPath, err)
	}
	return result, nil
}

func attempt[T any](f *FS, op, hostPath string, follow bool, act func(root *hostRoot, name string) (T, error)) (T, error) {
	var none T
	name, err := relative(hostPath)
	if err != nil {
		return none, err
	}
	if f.hook != nil {
		if err := f.hook(op, hostPath); err != nil {
			return none, err
		}
	}
	root, err := f.open()
	if err != nil {
		return none, err
	}
	result, err := act(root, name)
	if errors.Is(err, fs.ErrNotExist) && f.forget(root) {
		if root, err = f.open(); err != nil {
			return none, err
		}
		result, err = act(root, name)
	}
	if !refused(err) {
		return result, err
	}
	// os.Root follows no absolute link. The host would, from its own root.
	if name, err = resolve(root.Root, name, follow); err != nil {
		return none, err
	}
	return act(root, name)
}

// refused reports whether err may come from [os.Root] refusing to leave the root
// rather than from the kernel or from this package.
func refused(err error) bool {
	if err == nil || errors.Is(err, fs.ErrClosed) || errors.Is(err, ErrNotRegular) || errors.Is(err, ErrTooLarge) {
		return false
	}
	_, kernel := errors.AsType[syscall.Errno](err)
	return !kernel
}

// relative turns a host path into one that [os.Root] takes.
func relative(hostPath string) (string, error) {
	if !strings.HasPrefix(hostPath, "/") {
		return "", errors.New("not an absolute path")
	}
	if strings.ContainsRune(hostPath, 0) {
		return "", fs.ErrInvalid
	}
	name := strings.TrimLeft(hostPath, "/")
	if name == "" {
		name = "."
	}
	return name, nil
}

// maxLinks is the kernel's own limit on the links of one path (MAXSYMLINKS).
const maxLinks = 40

var errEscapes = errors.New("path leads out of the host root")

// resolve walks name below root, follows every link (the last one only if follow
// is set) and takes absolute links as starting at root.
func resolve(root *os.Root, name string, follow bool) (string, error) {
	done := "."
	todo := strings.Split(name, "/")
	for links := 0; len(todo) > 0; {
		part := todo[0]
		todo = todo[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			if done == "." {
				return "", errEscapes
			}
			done = path.Dir(done)
			continue
		}
		next := path.Join(done, part)
		info, err := root.Lstat(next)
		if err != nil {
			return "", err
		}
		last := len(todo) == 0
		if info.Mode()&fs.ModeSymlink == 0 || last && !follow {
			if !last && !info.IsDir() {
				return "", syscall.ENOTDIR
			}
			done = next
			continue
		}
		if links++; links > maxLinks {
			return "", syscall.ELOOP
		}
		target, err := root.Readlink(next)
		if err != nil {
			return "", err
		}
		target = filepath.ToSlash(target)
		if strings.HasPrefix(target, "/") {
			done = "."
		}
		todo = append(strings.Split(target, "/"), todo...)
	}
	return done, nil
}
