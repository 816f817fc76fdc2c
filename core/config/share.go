package config

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// Share is a rule by which a device is offered as several.
type Share struct {
	Devices    []string `hcl:"devices" doc:"Models, IDs or PCI addresses of the devices to share. Without it, all devices that no block before has named."`
	Replicas   int      `hcl:"replicas" default:"2" min:"2" max:"128" doc:"As how many each of the devices is offered."`
	Type       string   `hcl:"type" doc:"Device type of the parts. Without it, the type of the device with -share behind it: a job that asks for a gpu gets a whole one, one that asks for a gpu-share a part."`
	NameSuffix string   `hcl:"name_suffix" doc:"What is put behind the name of the model, such as \"-shared\"."`
	OnePerTask bool     `hcl:"one_per_task" default:"false" doc:"Whether a task that would get two parts of one device is refused. Otherwise it gets the device once, with what belongs to both parts."`

	// Strategy is how the vendor calls this way of sharing; it is the value of
	// the attribute "sharing". Empty stands for "shared".
	Strategy string `hcl:"-"`
}

var typePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9_.-]*$`)

// Validate checks what the tags cannot say.
func (s *Share) Validate() []Problem {
	var problems []Problem
	for i, device := range s.Devices {
		if strings.TrimSpace(device) == "" {
			problems = append(problems, Problem{
				Key: "devices", Given: strconv.Quote(device) + " at place " + strconv.Itoa(i+1), Want: "the model, the ID or the PCI address of a device",
			})
		}
	}
	if s.Type != "" && !typePattern.MatchString(s.Type) {
		problems = append(problems, Problem{Key: "type", Given: strconv.Quote(s.Type), Want: `a word in lower case, such as "gpu-share"`})
	}
	if strings.ContainsFunc(s.NameSuffix, func(r rune) bool { return unicode.IsControl(r) || r == unicode.ReplacementChar }) ||
		strings.TrimRightFunc(s.NameSuffix, unicode.IsSpace) != s.NameSuffix {
		problems = append(problems, Problem{Key: "name_suffix", Given: strconv.Quote(s.NameSuffix), Want: `plain text such as "-shared"`})
	}
	return problems
}

// CheckShares returns what is wrong with rules that are right by themselves:
// those that could never count because of one before. [Common] checks its own; a
// struct with a share block of its own calls it from its Validate.
func CheckShares(shares []Share) []Problem {
	var problems []Problem
	named := map[string]int{} // by which block
	for i, s := range shares {
		if len(s.Devices) == 0 && i < len(shares)-1 {
			problems = append(problems, Problem{
				Key: fmt.Sprintf("share[%d].devices", i), Given: "nothing",
				Want: "some devices, or to be the last share block: a block without devices is for all devices, so the ones behind it never count",
			})
		}
		for _, device := range s.Devices {
			word := strings.ToLower(strings.TrimSpace(device))
			if first, ok := named[word]; ok && first != i && word != "" {
				problems = append(problems, Problem{
					Key: fmt.Sprintf("share[%d].devices", i), Given: strconv.Quote(device),
					Want: fmt.Sprintf("a device that share[%d] does not name already", first),
				})
			}
			named[word] = i
		}
	}
	return problems
}
