package top

import (
	"context"
	"errors"
	"io"
	"os"
	"time"

	tea "charm.land/bubbletea/v2"
)

// Live shows a screen on a terminal until a key or ctx ends it, and gives the
// terminal back as it was, also after a panic. Reports come from a channel that
// stays open; pace is told each interval that a key chooses.
func Live(ctx context.Context, screen *Screen, reports <-chan Report, pace func(time.Duration), in io.Reader, out io.Writer) error {
	program := tea.NewProgram(&live{ctx, screen, reports, pace},
		tea.WithContext(ctx), tea.WithInput(in), tea.WithOutput(out), tea.WithEnvironment(os.Environ()),
		tea.WithoutSignalHandler(), // ctx ends with the signals
	)
	_, err := program.Run()
	if ctx.Err() != nil && errors.Is(err, tea.ErrProgramKilled) && !errors.Is(err, tea.ErrProgramPanic) {
		return nil
	}
	return err
}

// live makes of a screen what the terminal's library knows.
type live struct {
	ctx     context.Context
	screen  *Screen
	reports <-chan Report
	pace    func(time.Duration)
}

// Init implements [tea.Model].
func (l *live) Init() tea.Cmd { return l.next }

// next waits for the next report.
func (l *live) next() tea.Msg {
	select {
	case r := <-l.reports:
		return r
	case <-l.ctx.Done():
		return nil
	}
}

// Update implements [tea.Model].
func (l *live) Update(message tea.Msg) (tea.Model, tea.Cmd) {
	switch m := message.(type) {
	case Report:
		l.screen.Take(m)
		return l, l.next
	case tea.WindowSizeMsg:
		l.screen.Resize(m.Width, m.Height)
	case tea.KeyPressMsg:
		switch l.screen.Press(m.String(), m.Text) {
		case Quit:
			return l, tea.Quit
		case Suspend:
			return l, tea.Suspend
		case ChangeInterval:
			l.pace(l.screen.Interval())
		}
	}
	return l, nil
}

// View implements [tea.Model].
func (l *live) View() tea.View {
	view := tea.NewView(l.screen.View())
	view.AltScreen = true
	return view
}
