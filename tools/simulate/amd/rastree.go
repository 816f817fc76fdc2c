package amd

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/nomad-devices/nomad-devices/tools/simulate/machine"
)

// rasTree is what a GPU with RAS says of its memory and its other blocks
// (drivers/gpu/drm/amd/amdgpu/amdgpu_ras.c).
func rasTree(f files, g gpu) {
	blocks := words(g.text("ras.blocks"))
	if len(blocks) == 0 {
		return
	}
	f.put(g.file("ras/features"), "feature mask: "+cmp.Or(g.text("ras.features"), "0x3ffff"))
	f.put(g.file("ras/version"), "table version: 0x30000")
	f.put(g.file("ras/schema"), "schema: 0x4")
	for _, block := range blocks {
		name := g.file("ras/" + block + "_err_count")
		if g.is("reset", false) {
			// The driver keeps the file readable in a reset, and says this.
			f.put(name, "Query currently inaccessible")
			continue
		}
		counts := []string{"ue", "ce"}
		if g.is("ras.deferred", false) {
			counts = append(counts, "de")
		}
		var b strings.Builder
		for _, count := range counts {
			fmt.Fprintf(&b, "%s: %s\n", count, cmp.Or(g.text("ras."+block+"."+count), "0"))
		}
		f.live(name, b.String())
	}
	f.put(g.file("ras/gpu_vram_bad_pages"), cmp.Or(badPages(g), machine.Empty))
	f.put(g.file("ras/event_state"), fmt.Sprintf("Fatal Error: count:%s, last_seqno:0\nPoison Creation: count:%s, last_seqno:0\nPoison Consumption: count:%s, last_seqno:0\n",
		cmp.Or(g.text("ras.events.fatal"), "0"), cmp.Or(g.text("ras.events.creation"), "0"), cmp.Or(g.text("ras.events.consumption"), "0")))
}

// maxPages is how many bad pages the driver keeps at most.
const maxPages = 4096

// badPages lists the pages of the GPU's memory that are out of use: retired (R),
// to be retired at the next reset (P), or needed and therefore not to be had (F).
func badPages(g gpu) string {
	var b strings.Builder
	page := int64(0x1f40)
	for _, state := range []struct{ key, letter string }{{"retired", "R"}, {"pending", "P"}, {"failed", "F"}} {
		for range min(g.Number(g.n, "ras.pages."+state.key, 0), maxPages) {
			fmt.Fprintf(&b, "0x%08x : 0x00001000 : %s\n", page, state.letter)
			page += 0x11
		}
	}
	return b.String()
}
