package conformance

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/nomad-devices/nomad-devices/core/share"
)

// list writes a reservation's IDs down, as far as they are few.
func list(ids []string) string {
	const most = 3
	if len(ids) == 0 {
		return "no device"
	}
	if len(ids) <= most {
		return strings.Join(ids, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(ids[:most], ", "), len(ids)-most)
}

// checkReserveInTime: Reserve answers, and soon enough.
func checkReserveInTime(_ context.Context, b *bench) error {
	if err := b.session.unready(); err != nil {
		return err
	}
	var p problems
	for _, r := range b.session.asked() {
		if errors.Is(r.err, errNoAnswer) || r.took > b.answer {
			p.add("Reserve of %s: no answer within %v", list(r.ids), round(r.took))
		}
	}
	return p.err()
}

// asked returns all reservations that were asked for.
func (s *session) asked() []reservation {
	all := []reservation{s.none, s.unknown, s.mixed, s.all, s.allAgain, s.backwards}
	all = slices.Concat(all, s.together, slices.Collect(maps.Values(s.each)), slices.Collect(maps.Values(s.again)), slices.Collect(maps.Values(s.doubled)))
	return slices.DeleteFunc(all, func(r reservation) bool { return r.took == 0 })
}

// checkReserveNotNil: an answer or an error.
func checkReserveNotNil(_ context.Context, b *bench) error {
	if err := b.session.unready(); err != nil {
		return err
	}
	var p problems
	for _, r := range b.session.asked() {
		if r.got == nil && r.err == nil {
			p.add("Reserve of %s gives nothing and no error", list(r.ids))
		}
	}
	return p.err()
}

// checkReserveUnknown: an ID that is not known is an error that names it.
func checkReserveUnknown(_ context.Context, b *bench) error {
	if err := b.session.unready(); err != nil {
		return err
	}
	var p problems
	for _, r := range []reservation{b.session.unknown, b.session.mixed} {
		switch {
		case r.took == 0 || errors.Is(r.err, errNoAnswer), r.err == nil && r.got == nil: // C42's and C43's matter
		case r.err == nil:
			p.add("Reserve of %s is granted, and %q is no device", list(r.ids), unknownID)
		case !strings.Contains(r.err.Error(), unknownID):
			p.add("Reserve of %s: the error does not name %q: %w", list(r.ids), unknownID, r.err)
		}
	}
	return p.err()
}

// checkReserveHealthy: what is offered as healthy is granted.
func checkReserveHealthy(_ context.Context, b *bench) error {
	all, err := b.session.reservations()
	if err != nil {
		return err
	}
	var p problems
	for _, r := range all {
		if r.err != nil && !errors.Is(r.err, errNoAnswer) {
			p.add("Reserve of %s: %w", list(r.ids), r.err)
		}
	}
	return p.err()
}

// checkReserveSame: the same devices give the same answer.
func checkReserveSame(_ context.Context, b *bench) error {
	if _, err := b.session.granted(); err != nil {
		return err
	}
	s := b.session
	var p problems
	compare := func(how string, want, got reservation) {
		if want.took == 0 || got.took == 0 || errors.Is(got.err, errNoAnswer) || want.got == nil {
			return
		}
		switch {
		case got.err != nil:
			p.add("Reserve of %s, %s: %w", list(got.ids), how, got.err)
		case got.got != nil:
			for _, line := range difference(want.lines(), got.lines()) {
				p.add("Reserve of %s, %s: %s", list(got.ids), how, line)
			}
			if len(want.lines()) == len(got.lines()) && !slices.Equal(want.lines(), got.lines()) {
				p.add("Reserve of %s, %s: the order of the answer differs", list(got.ids), how)
			}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(s.each)) {
		compare("a second time", s.each[id], s.again[id])
		compare("named twice in one call", s.each[id], s.doubled[id])
	}
	compare("a second time", s.all, s.allAgain)
	compare("in another order", s.all, s.backwards)
	for _, r := range s.together {
		compare(fmt.Sprintf("%d times at once", manyReserves), s.all, r)
	}
	return p.err()
}

// lines writes a reservation down.
func (r reservation) lines() []string {
	var lines []string
	for _, key := range slices.Sorted(maps.Keys(r.got.Envs)) {
		lines = append(lines, key+"="+r.got.Envs[key])
	}
	for _, d := range r.got.Devices {
		lines = append(lines, fmt.Sprintf("device %s as %s (%s)", d.HostPath, d.TaskPath, d.CgroupPerms))
	}
	for _, m := range r.got.Mounts {
		lines = append(lines, fmt.Sprintf("mount %s at %s (read-only: %t)", m.HostPath, m.TaskPath, m.ReadOnly))
	}
	return lines
}

// everyGrant makes a case of a look at each granted reservation.
func everyGrant(look func(b *bench, r reservation, p *problems)) func(context.Context, *bench) error {
	return func(_ context.Context, b *bench) error {
		granted, err := b.session.granted()
		if err != nil {
			return err
		}
		var p problems
		for _, r := range granted {
			look(b, r, &p)
		}
		return p.err()
	}
}

func lookMounts(_ *bench, r reservation, p *problems) {
	for _, m := range r.got.Mounts {
		p.add("Reserve of %s mounts %s at %s", list(r.ids), m.HostPath, m.TaskPath)
	}
}

func lookEnvThere(_ *bench, r reservation, p *problems) {
	if len(r.ids) > 0 && len(r.got.Envs) == 0 {
		p.add("Reserve of %s sets no variable", list(r.ids))
	}
}

var identifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

func lookEnvPlain(_ *bench, r reservation, p *problems) {
	for _, key := range slices.Sorted(maps.Keys(r.got.Envs)) {
		if !identifier.MatchString(key) {
			p.add("Reserve of %s: the variable's name %q is no identifier", list(r.ids), key)
		}
		if value := r.got.Envs[key]; strings.Contains(value, "${") || strings.ContainsRune(value, 0) {
			p.add("Reserve of %s: %s=%q holds ${ or a NUL", list(r.ids), key, value)
		}
	}
}

func lookNamesOnce(_ *bench, r reservation, p *problems) {
	for _, key := range slices.Sorted(maps.Keys(r.got.Envs)) {
		seen := map[string]bool{}
		for name := range strings.SplitSeq(r.got.Envs[key], ",") {
			if seen[name] {
				p.add("Reserve of %s: %s names %q twice", list(r.ids), key, name)
			}
			seen[name] = true
		}
	}
}

func lookNodes(b *bench, r reservation, p *problems) {
	host, task := map[string]bool{}, map[string]bool{}
	for _, d := range r.got.Devices {
		if host[d.HostPath] || task[d.TaskPath] {
			p.add("Reserve of %s hands over %s as %s twice", list(r.ids), d.HostPath, d.TaskPath)
		}
		host[d.HostPath], task[d.TaskPath] = true, true
		if !filepath.IsAbs(d.TaskPath) {
			p.add("Reserve of %s: the path %q in the task is not absolute", list(r.ids), d.TaskPath)
		}
		if d.CgroupPerms == "" || strings.Trim(d.CgroupPerms, "rwm") != "" {
			p.add("Reserve of %s: the permissions %q of %s are not made of r, w and m", list(r.ids), d.CgroupPerms, d.HostPath)
		}
		switch info, err := os.Lstat(d.HostPath); {
		case err != nil:
			p.add("Reserve of %s: %w", list(r.ids), err)
		case info.Mode()&fs.ModeSymlink != 0:
			p.add("Reserve of %s: %s is a link", list(r.ids), d.HostPath)
		case info.Mode()&fs.ModeDevice == 0 && (!b.options.PlainNodes || !info.Mode().IsRegular()):
			p.add("Reserve of %s: %s is no device node (%s)", list(r.ids), d.HostPath, info.Mode())
		}
	}
}

// pairs returns the granted reservations of two single devices that are not
// parts of one.
func (s *session) pairs() (a, b reservation, err error) {
	granted, err := s.granted()
	if err != nil {
		return a, b, err
	}
	seen := map[string]bool{}
	granted = slices.DeleteFunc(granted, func(r reservation) bool {
		if len(r.ids) != 1 {
			return true
		}
		device, isPart := share.CutID(r.ids[0])
		another := isPart && seen[device]
		seen[device] = isPart || seen[device]
		return another
	})
	if len(granted) < 2 {
		return a, b, skip("it takes two healthy devices")
	}
	if len(granted[0].got.Envs) == 0 && len(granted[1].got.Envs) == 0 {
		return a, b, skip("reservations set no variables (C48)")
	}
	return granted[0], granted[1], nil
}

// checkEnvPerDevice: two device blocks of one task can be told apart.
func checkEnvPerDevice(_ context.Context, bench *bench) error {
	a, b, err := bench.session.pairs()
	if err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(a.got.Envs)) {
		if _, both := b.got.Envs[key]; !both {
			return nil
		}
	}
	return (&problems{}).with("Reserve of %s and of %s set the same variables: %s", a.ids[0], b.ids[0],
		strings.Join(slices.Sorted(maps.Keys(a.got.Envs)), ", "))
}

// checkEnvIdentity: devices are not named by their place in a list.
func checkEnvIdentity(_ context.Context, bench *bench) error {
	a, b, err := bench.session.pairs()
	if err != nil {
		return err
	}
	var p problems
	for _, key := range slices.Sorted(maps.Keys(a.got.Envs)) {
		x, y := a.got.Envs[key], b.got.Envs[key]
		if x != y && isIndex(x) && isIndex(y) {
			p.add("%s is %s for %s and %s for %s: a number that may be another device's tomorrow", key, x, a.ids[0], y, b.ids[0])
		}
	}
	return p.err()
}

// isIndex returns whether a value is a small whole number.
func isIndex(value string) bool {
	n, err := strconv.Atoi(value)
	return err == nil && n >= 0 && n < 1000
}

// checkReserveFirst: a fresh process that was asked for nothing else can
// reserve.
func checkReserveFirst(ctx context.Context, b *bench) error {
	granted, err := b.session.granted()
	if err != nil {
		return err
	}
	want := granted[0]
	i, err := b.started(ctx)
	if err != nil {
		return err
	}
	got := i.reserve(ctx, want.ids...)
	if trouble := b.trouble(i, nil, "C45"); trouble != nil {
		return trouble
	}
	switch {
	case errors.Is(got.err, errNoAnswer):
		return (&problems{}).with("Reserve of %s in a fresh process: %w", list(want.ids), got.err)
	case got.err != nil:
		return (&problems{}).with("Reserve of %s in a fresh process: %w", list(want.ids), got.err)
	case got.got == nil:
		return skip("Reserve gives nothing (C43)")
	}
	var p problems
	for _, line := range difference(want.lines(), got.lines()) {
		p.add("Reserve of %s in a fresh process: %s", list(want.ids), line)
	}
	b.note("it took %v", round(got.took))
	return p.err()
}
