package top

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"time"

	tea "charm.land/bubbletea/v2"
)

// Live shows a screen on a terminal until a key or ctx ends it, and gives the
// terminal back as it was, also after a panic, which is an error then. Reports
// come from a channel that stays open; pace is told each interval that a key
// chooses.
func Live(ctx context.Context, screen *Screen, reports <-chan Report, pace func(time.Duration), in io.Reader, out io.Writer) error {
	l := &live{ctx: ctx, screen: screen, reports: reports, pace: pace}
	program := tea.NewProgram(l, tea.WithInput(in), tea.WithOutput(out), tea.WithEnvironment(os.Environ()),
		tea.WithoutSignalHandler()) // ctx ends with the signals
	l.quit = program.Quit
	// Not tea.WithContext: it kills the program, which then closes its input
	// while that is still read.
	defer context.AfterFunc(ctx, program.Quit)()
	_, err := program.Run()
	return errors.Join(l.broken, err)
}

// live makes of a screen what the terminal's library knows.
type live struct {
	ctx     context.Context
	screen  *Screen
	reports <-chan Report
	pace    func(time.Duration)
	quit    func()
	// broken is the panic that ended the view.
	broken error
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

// rescue ends the view in good order after a panic.
func (l *live) rescue() {
	if cause := recover(); cause != nil && l.broken == nil {
		l.broken = fmt.Errorf("a bug in devctl: %v\n%s", cause, debug.Stack())
		go l.quit()
	}
}

// Update implements [tea.Model].
func (l *live) Update(message tea.Msg) (model tea.Model, then tea.Cmd) {
	model = l
	defer l.rescue()
	switch m := message.(type) {
	case Report:
		l.screen.Take(m)
		then = l.next
	case tea.WindowSizeMsg:
		l.screen.Resize(m.Width, m.Height)
	case tea.KeyPressMsg:
		switch l.screen.Press(m.String(), m.Text) {
		case Quit:
			then = tea.Quit
		case Suspend:
			then = tea.Suspend
		case ChangeInterval:
			l.pace(l.screen.Interval())
		}
	}
	return model, then
}

// View implements [tea.Model].
func (l *live) View() (view tea.View) {
	view.AltScreen = true
	defer l.rescue()
	view.SetContent(l.screen.View())
	return view
}
