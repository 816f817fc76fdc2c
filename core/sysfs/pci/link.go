package pci

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Link is a PCIe link: what it runs at, or what it could. The zero Link is an
// unknown one.
type Link struct {
	// Speed is the signalling rate in GT/s of one lane; 0 is unknown.
	Speed float64
	// Width is the number of lanes; 0 is unknown.
	Width int
}

// Generation returns the PCIe generation of the link's speed, or 0.
func (l Link) Generation() int { return Generation(l.Speed) }

// Bandwidth returns what the link carries in one direction, in MB/s. It is false
// when that is not known.
func (l Link) Bandwidth() (int64, bool) { return Bandwidth(l.Generation(), l.Width) }

// rates holds, for each generation, the rate of a lane in GT/s and the part of
// it that is left for data by the coding: 8b/10b, then 128b/130b, then PAM4 with
// flits of 242 useful bytes in 256.
var rates = [...]struct{ speed, numerator, denominator float64 }{
	1: {2.5, 8, 10},
	2: {5, 8, 10},
	3: {8, 128, 130},
	4: {16, 128, 130},
	5: {32, 128, 130},
	6: {64, 242, 256},
}

// widths are the link widths that exist (PCI Express Base Specification, Link
// Capabilities). A function that fell off the bus shows 63 or 255.
var widths = []int{1, 2, 4, 8, 12, 16, 32}

// Generation returns the PCIe generation with a speed in GT/s, or 0 if there is
// none.
func Generation(speed float64) int {
	for generation, rate := range rates {
		if generation > 0 && rate.speed == speed {
			return generation
		}
	}
	return 0
}

// Bandwidth returns what a link of a generation and a width carries in one
// direction, in MB/s, rounded. It is false for a generation or a width that does
// not exist, and for generations that are not specified yet.
func Bandwidth(generation, width int) (int64, bool) {
	if generation < 1 || generation >= len(rates) || !slices.Contains(widths, width) {
		return 0, false
	}
	rate := rates[generation]
	const megabytes = 1000 / 8 // GT/s of one bit each to MB/s
	return int64(math.Round(rate.speed * megabytes * rate.numerator / rate.denominator * float64(width))), true
}

// ParseSpeed reads the text of current_link_speed or max_link_speed: "16.0 GT/s
// PCIe", or "8 GT/s" of kernels before 5.8. "Unknown" and "Unknown speed" give 0.
func ParseSpeed(text string) (float64, error) {
	trimmed := strings.TrimSpace(text)
	number, unit, _ := strings.Cut(trimmed, " ")
	if strings.EqualFold(number, "Unknown") {
		return 0, nil
	}
	if unit != "GT/s" && !strings.HasPrefix(unit, "GT/s ") {
		return 0, fmt.Errorf("%q is not a link speed such as \"16.0 GT/s PCIe\"", text)
	}
	speed, err := strconv.ParseFloat(number, 64)
	if err != nil || !(speed > 0) || speed > 10000 {
		return 0, fmt.Errorf("%q is not a link speed such as \"16.0 GT/s PCIe\"", text)
	}
	return speed, nil
}

// ParseWidth reads the text of current_link_width or max_link_width. A width
// that no link has, among them the 0, 63 and 255 of a missing link, gives 0.
func ParseWidth(text string) (int, error) {
	width, err := strconv.Atoi(strings.TrimPrefix(strings.TrimSpace(text), "x"))
	if err != nil {
		return 0, fmt.Errorf("%q is not a link width", text)
	}
	if !slices.Contains(widths, width) {
		return 0, nil
	}
	return width, nil
}
