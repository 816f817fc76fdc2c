package top

import "github.com/charmbracelet/x/ansi"

// Palette colours text, or leaves it alone.
type Palette struct {
	// Colour says whether to.
	Colour bool
}

func (p Palette) paint(text string, style ansi.Style) string {
	if !p.Colour || text == "" {
		return text
	}
	return style.Styled(text)
}

func (p Palette) bold(text string) string { return p.paint(text, ansi.Style{}.Bold()) }
func (p Palette) dim(text string) string  { return p.paint(text, ansi.Style{}.Faint()) }
func (p Palette) bad(text string) string {
	return p.paint(text, ansi.Style{}.ForegroundColor(ansi.Red))
}

func (p Palette) good(text string) string {
	return p.paint(text, ansi.Style{}.ForegroundColor(ansi.Green))
}

func (p Palette) warn(text string) string {
	return p.paint(text, ansi.Style{}.ForegroundColor(ansi.Yellow))
}

func (p Palette) plain(text string) string {
	return p.paint(text, ansi.Style{}.ForegroundColor(ansi.Cyan))
}

// gauge colours a bar: much load and used memory are what a device is for, heat
// and power close to their limits are not.
func (p Palette) gauge(k Kind, part float64, text string) string {
	switch {
	case k == Load || k == Memory:
		return p.plain(text)
	case part >= 0.9:
		return p.bad(text)
	case part >= 0.75:
		return p.warn(text)
	default:
		return p.good(text)
	}
}
