package dfl

import (
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/nomad-devices/nomad-devices/core/config"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/family"
)

// The values of the setting mode, and of the attribute of that name.
const (
	modePort   = "port"
	modeRegion = "region"
	modeVFIO   = "vfio"
)

// Config is the settings of DFL and OPAE cards.
type Config struct {
	Mode           string        `hcl:"mode" default:"port" oneof:"port,region" doc:"What is one device. port: an accelerator function (AFU), each by itself. region: a whole card with the right to program it; a task that has one can take the host down with a wrong image."`
	UIO            bool          `hcl:"uio" default:"false" doc:"Whether a task also gets the UIO nodes of the features of its port. Those of the card's management engine are never handed over."`
	VFIO           bool          `hcl:"vfio" default:"false" doc:"Whether functions of known DFL cards that are bound to vfio-pci are offered, each as a whole."`
	BitstreamDir   string        `hcl:"bitstream_dir" doc:"Directory with the images of the program blocks, owned by root. Needed with them."`
	ProgramTimeout time.Duration `hcl:"program_timeout" default:"30s" min:"1s" max:"5m" doc:"How long programming a port may take before the reservation fails."`
	Programs       []Program     `hcl:"program,block" doc:"An image to load into the ports of cards with an interface, when a task gets one of them. Without such a block the plugin writes to no card."`
}

// Program is an image to load before a task gets a port. A card is chosen by its
// interface, and its ports are offered as what they are going to be.
type Program struct {
	Interface string `hcl:"interface" doc:"UUID of the interface (the attribute interface_uuid) of the cards to program."`
	AFU       string `hcl:"afu" doc:"UUID of the accelerator function in the image. Ports are offered under it, whatever is loaded now."`
	Bitstream string `hcl:"bitstream" doc:"Name of the image below bitstream_dir: a GBS file, or an AOCX file that holds one."`
	SHA256    string `hcl:"sha256" doc:"SHA-256 of that file, in hexadecimal. A file that differs is not loaded."`
}

var sha256Text = regexp.MustCompile(`^[0-9a-f]{64}$`)

// Validate checks what the tags cannot say.
func (c *Config) Validate() []config.Problem {
	var problems []config.Problem
	wrong := func(key, with, given, want string) {
		problems = append(problems, config.Problem{Key: key, With: with, Given: given, Want: want})
	}
	if c.BitstreamDir != "" && !path.IsAbs(c.BitstreamDir) {
		wrong("bitstream_dir", "", strconv.Quote(c.BitstreamDir), "the absolute path of a directory")
	}
	if len(c.Programs) > 0 && c.BitstreamDir == "" {
		wrong("bitstream_dir", "", `""`, "the directory with the images of the program blocks")
	}
	if len(c.Programs) > 0 && c.Mode == modeRegion {
		wrong("mode", "", strconv.Quote(c.Mode), `mode = "port", or no program blocks: in region mode the task programs the card`)
	}
	seen := map[family.UUID]int{}
	for i, p := range c.Programs {
		if u, err := family.ParseUUID(p.Interface); err == nil {
			if first, twice := seen[u]; twice {
				wrong(fmt.Sprintf("program[%d].interface", i), "", strconv.Quote(p.Interface), fmt.Sprintf("an interface that program[%d] does not name", first))
			}
			seen[u] = i
		}
	}
	return problems
}

// Validate checks what the tags cannot say.
func (p *Program) Validate() []config.Problem {
	var problems []config.Problem
	wrong := func(key, given, want string) {
		problems = append(problems, config.Problem{Key: key, Given: strconv.Quote(given), Want: want})
	}
	for _, id := range []struct{ key, text string }{{"interface", p.Interface}, {"afu", p.AFU}} {
		if u, err := family.ParseUUID(id.text); err != nil || u.IsZero() {
			wrong(id.key, id.text, "a UUID, such as 69528db6-eb31-577a-8c36-68f9faa081f6")
		}
	}
	if clean := path.Clean(p.Bitstream); p.Bitstream == "" || path.IsAbs(clean) || clean == ".." || strings.HasPrefix(clean, "../") || clean == "." {
		wrong("bitstream", p.Bitstream, "the name of a file below bitstream_dir")
	}
	if !sha256Text.MatchString(strings.ToLower(p.SHA256)) {
		wrong("sha256", p.SHA256, "64 hexadecimal digits, as sha256sum prints them")
	}
	return problems
}
