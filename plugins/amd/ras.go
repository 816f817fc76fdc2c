package amd

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nomad-devices/nomad-devices/core/sysfs"
)

// errorCounts are the errors of one block since the driver was loaded: those that
// were not corrected, those that were, and those that are poison which nobody has
// read yet (Documentation/gpu/amdgpu/ras.rst).
type errorCounts struct {
	uncorrected, corrected, deferred uint64
	hasCorrected, hasDeferred        bool
}

// countBits is how many bits a counter has at most, so that the sum of all blocks is
// a number too. Errors do not come by the million million.
const countBits = 48

// errInReset is what the driver answers, as text, while it cannot ask the
// hardware (amdgpu_ras.c, amdgpu_ras_sysfs_read).
var errInReset = errors.New("the counters cannot be asked: the GPU is in a reset")

// parseErrorCounts reads ras/<block>_err_count: lines "ue: 0", "ce: 0" and, since
// the MI300, "de: 0".
func parseErrorCounts(data []byte) (errorCounts, error) {
	var counts errorCounts
	found := false
	lines := bufio.NewScanner(bytes.NewReader(data))
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "Query currently inaccessible") {
			return errorCounts{}, errInReset
		}
		name, text, _ := strings.Cut(lines.Text(), ":")
		n, err := strconv.ParseUint(strings.TrimSpace(text), 10, countBits)
		if err != nil {
			continue
		}
		switch strings.TrimSpace(name) {
		case "ue":
			counts.uncorrected, found = n, true
		case "ce":
			counts.corrected, counts.hasCorrected = n, true
		case "de":
			counts.deferred, counts.hasDeferred = n, true
		}
	}
	if !found {
		return errorCounts{}, sysfs.ErrMalformed
	}
	return counts, nil
}

// badPages says what the driver did with the pages of memory that failed
// (Documentation/gpu/amdgpu/ras.rst, gpu_vram_bad_pages).
type badPages struct {
	// retired are out of use, pending will be at the next reset, and unreserved
	// are in use though they failed.
	retired, pending, unreserved int
}

// maxBadPages is the most bytes of the list that are read: some thousand pages,
// far more than a card is kept in use with.
const maxBadPages = 1 << 20

// parseBadPages reads lines "0x<page> : 0x<size> : R", with P or F in place of R. A
// GPU without failed pages has an empty list. Lines of another form are skipped,
// unless there are no others.
func parseBadPages(data []byte) (badPages, error) {
	var pages badPages
	lines := bufio.NewScanner(bytes.NewReader(data))
	for lines.Scan() {
		fields := strings.Split(lines.Text(), ":")
		if len(fields) != 3 {
			continue
		}
		switch strings.TrimSpace(fields[2]) {
		case "R":
			pages.retired++
		case "P":
			pages.pending++
		case "F":
			pages.unreserved++
		}
	}
	if pages == (badPages{}) && len(bytes.TrimSpace(data)) > 0 {
		return badPages{}, fmt.Errorf("%w: it holds no pages", sysfs.ErrMalformed)
	}
	return pages, nil
}

// rasState is what is known of a GPU's errors.
type rasState struct {
	read    time.Time // when the counters were read last
	blocks  map[string]*rasBlock
	inReset bool
	// deferred are the moments of the last hour at which deferred errors were
	// seen to rise.
	deferred []rise
	// pages are the failed ones; listed says that the driver has a list of them.
	pages  badPages
	listed bool
}

// rasBlock is what is known of the errors of one block of a GPU.
type rasBlock struct {
	now errorCounts
	// base is the number of uncorrected errors that a rise is counted from, and
	// risen when it was last reached, zero if it was not.
	base  uint64
	risen time.Time
	// old says that there were uncorrected errors at first sight.
	old bool
}

// rise is a number of errors that came at one time.
type rise struct {
	at time.Time
	by uint64
}

const errCountSuffix = "_err_count"

// look reads the counters, unless that was done just now.
func (r *rasState) look(c *card, now time.Time) {
	if !r.read.IsZero() && now.Sub(r.read) < c.vendor.cfg.RASPeriod {
		return
	}
	names, err := c.vendor.host.ReadDir(c.file("ras"))
	if sysfs.IsAbsent(err) {
		*r = rasState{} // a GPU without ECC, or without RAS
		return
	}
	r.read, r.inReset = now, false
	for _, name := range names {
		block, ok := strings.CutSuffix(name, errCountSuffix)
		if !ok {
			continue
		}
		data, err := c.vendor.host.Read(c.file("ras/" + name))
		if err != nil {
			continue // unknown this time
		}
		counts, err := parseErrorCounts(data)
		if errors.Is(err, errInReset) {
			r.inReset = true
		}
		if err == nil {
			r.book(block, counts, now, uint64(c.vendor.cfg.UEThreshold))
		}
	}
	switch data, err := c.vendor.host.ReadLimit(c.file("ras/gpu_vram_bad_pages"), maxBadPages); {
	case err == nil:
		if pages, err := parseBadPages(data); err == nil {
			r.pages, r.listed = pages, true
		}
	case sysfs.IsAbsent(err):
		r.pages, r.listed = badPages{}, false
	}
}

// book compares a block's counters with what they were. Counters that went back
// were reset with the GPU or with its driver: what was, is over.
func (r *rasState) book(name string, now errorCounts, at time.Time, threshold uint64) {
	b := r.blocks[name]
	if b == nil {
		if r.blocks == nil {
			r.blocks = map[string]*rasBlock{}
		}
		b = &rasBlock{now: now, base: now.uncorrected, old: now.uncorrected > 0}
		r.blocks[name] = b
	}
	switch {
	case now.uncorrected < b.now.uncorrected:
		b.base, b.old, b.risen = now.uncorrected, false, time.Time{}
	case now.uncorrected >= b.base+threshold:
		b.base, b.risen = now.uncorrected, at
	}
	if now.hasDeferred && b.now.hasDeferred && now.deferred > b.now.deferred {
		r.deferred = append(r.deferred, rise{at, now.deferred - b.now.deferred})
	}
	b.now = now
}

// deferredSince returns how many deferred errors were seen since a moment, and
// forgets those before.
func (r *rasState) deferredSince(moment time.Time) uint64 {
	var n uint64
	r.deferred = slices.DeleteFunc(r.deferred, func(d rise) bool { return d.at.Before(moment) })
	for _, d := range r.deferred {
		n += d.by
	}
	return n
}

// where returns the sorted names of the blocks for which is holds.
func (r *rasState) where(is func(*rasBlock) bool) []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(r.blocks)) {
		if is(r.blocks[name]) {
			names = append(names, name)
		}
	}
	return names
}

// total returns the sum of a counter over the blocks that have it; ok is false if
// none has.
func (r *rasState) total(counter func(errorCounts) (n uint64, has bool)) (total int64, ok bool) {
	for _, b := range r.blocks {
		if n, has := counter(b.now); has {
			total, ok = total+int64(n), true
		}
	}
	return total, ok
}
