// Package tui is the dashboard: live throughput, backlog and verdict of one consumer group, its retries and dead letters,
// on a terminal or as lines. It judges nothing (inspect/lag does), reads no record and changes nothing; it never shows a
// number as live that is not, and it does not end when the cluster goes away.
//
// Reduce, Plan and Render are pure functions over values: what happened makes a State, a State and a size make a Layout,
// all of them make a frame. Run ties them to bubbletea, Lines to a pipe.
package tui

import (
	"context"
	"fmt"
	"sync"

	"github.com/charmbracelet/bubbles/key"
	"github.com/charmbracelet/bubbles/textinput"
	tea "github.com/charmbracelet/bubbletea"

	_ "commerce.internal/orderctl/internal/tui/termguard" // before bubbletea asks the terminal
)

const framesPerSecond = 10

// Run shows the dashboard until the user quits, ctx ends, or nothing can ever come.
func Run(ctx context.Context, o Options) error {
	if err := o.validate(); err != nil {
		return err
	}
	_, err := show(ctx, o)
	return err
}

func show(ctx context.Context, o Options) (*model, error) {
	work, stop := context.WithCancel(ctx)
	defer stop()
	r := &runner{opts: o}
	m := newModel(o, func(e Effect, s State) tea.Cmd { return r.command(work, e, s) })
	p := tea.NewProgram(m, tea.WithAltScreen(), tea.WithInput(o.Input), tea.WithOutput(o.Output), tea.WithFPS(framesPerSecond), tea.WithoutSignalHandler())
	var beside sync.WaitGroup
	var background error
	beside.Go(func() {
		<-work.Done()
		p.Quit()
	})
	if o.Background != nil {
		beside.Go(func() { background = o.Background(work) })
	}
	_, err := p.Run()
	stop()
	r.wait()
	beside.Wait()
	switch {
	case err != nil:
		return m, fmt.Errorf("draw dashboard: %w", err)
	case m.err != nil:
		return m, m.err
	default:
		return m, background
	}
}

// model ties the state to bubbletea. It decides nothing.
type model struct {
	opts   Options
	do     func(Effect, State) tea.Cmd
	state  State
	first  []Effect
	filter textinput.Model
	themes []Theme
	frame  string
	drawn  int // the revision of frame
	views  int // how often bubbletea asked for one
	err    error
}

func newModel(o Options, do func(Effect, State) tea.Cmd) *model {
	m := &model{opts: o, do: do, filter: textinput.New()}
	m.state, m.first = NewState(o.Setup, o.Interval, o.Range, o.Now())
	m.state.Sort, m.state.Filter = o.Sort, o.Filter
	if o.Width > 0 && o.Height > 0 {
		m.state.W, m.state.H = o.Width, o.Height
	}
	for i, name := range ThemeNames() {
		m.themes = append(m.themes, NewTheme(name, o.Colour))
		if name == o.Theme {
			m.state.Theme = i
		}
	}
	m.filter.CharLimit = 200
	m.filter.KeyMap.Paste = key.NewBinding() // it runs a clipboard program; what the terminal pastes arrives as text
	return m
}

// Init implements tea.Model.
func (m *model) Init() tea.Cmd { return m.commands(m.first) }

// Update implements tea.Model.
func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case Event:
		return m, m.apply(msg)
	case tea.WindowSizeMsg:
		return m, m.apply(m.size(msg))
	case tea.KeyMsg:
		var list []tea.Cmd
		for _, k := range single(msg) {
			list = append(list, m.key(k))
		}
		return m, tea.Batch(list...)
	}
	return m, nil
}

// View implements tea.Model. bubbletea calls it after every message, so a frame that has not changed is kept.
func (m *model) View() string {
	m.views++
	if m.drawn != m.state.Revision {
		s := m.state
		m.frame, m.drawn = Render(s, Plan(s.W, s.H, s), m.themes[s.Theme], m.opts.Glyphs), s.Revision
	}
	return m.frame
}

func (m *model) apply(e Event) tea.Cmd {
	var effects []Effect
	m.state, effects = Reduce(m.state, e)
	return m.commands(effects)
}

func (m *model) commands(effects []Effect) tea.Cmd {
	var list []tea.Cmd
	for _, e := range effects {
		if q, ok := e.(Quit); ok {
			m.err = q.Err
			return tea.Quit
		}
		if cmd := m.do(e, m.state); cmd != nil {
			list = append(list, cmd)
		}
	}
	return tea.Batch(list...)
}

// size is the size of the terminal; one that does not know it says 0x0.
func (m *model) size(msg tea.WindowSizeMsg) Resized {
	if msg.Width <= 0 || msg.Height <= 0 {
		return Resized{W: m.state.W, H: m.state.H}
	}
	return Resized{W: msg.Width, H: msg.Height}
}

// single takes keys apart that came in one read, as they do over a slow line: bubbletea makes one of them.
func single(msg tea.KeyMsg) []tea.KeyMsg {
	if msg.Type != tea.KeyRunes || msg.Paste || len(msg.Runes) < 2 {
		return []tea.KeyMsg{msg}
	}
	var list []tea.KeyMsg
	for _, r := range msg.Runes {
		list = append(list, tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune{r}, Alt: msg.Alt})
	}
	return list
}

func (m *model) key(msg tea.KeyMsg) tea.Cmd {
	now := m.opts.Now()
	name := msg.String()
	if m.state.Edit == nil || name == "ctrl+c" {
		if msg.Paste {
			return nil // pasted text is no command
		}
		a := actionOf(name)
		if a == NoAction {
			return nil
		}
		cmd := m.apply(Pressed{At: now, Action: a})
		if a == EditFilter {
			m.filter.SetValue(m.state.Filter.Text)
			m.filter.CursorEnd()
			m.filter.Focus()
		}
		return cmd
	}
	switch {
	case name == "enter" && !msg.Paste:
		return m.apply(Pressed{At: now, Action: KeepFilter})
	case name == "esc":
		return m.apply(Pressed{At: now, Action: DropFilter})
	}
	m.filter, _ = m.filter.Update(msg) // its command lets a cursor blink that is not drawn
	return m.apply(Typed{At: now, Text: m.filter.Value(), Pos: m.filter.Position()})
}

// runner does what a state asks for.
type runner struct {
	opts Options

	mu     sync.Mutex
	closed bool
	out    sync.WaitGroup
	poll   context.CancelFunc // of the question that is out
	wake   context.CancelFunc // of the alarm that is set
}

func (r *runner) command(ctx context.Context, e Effect, s State) tea.Cmd {
	switch e := e.(type) {
	case Poll:
		return r.ask(r.replace(ctx, &r.poll), e)
	case Wake:
		return r.alarm(r.replace(ctx, &r.wake), e)
	case Save:
		return r.counted(func() tea.Msg {
			path, err := Export(r.opts, s, e.At)
			return Saved{At: r.opts.Now(), Path: path, Err: err}
		})
	}
	return nil
}

// replace ends what was out, and returns the context of what takes its place.
func (r *runner) replace(ctx context.Context, slot *context.CancelFunc) context.Context {
	next, cancel := context.WithCancel(ctx)
	if *slot != nil {
		(*slot)()
	}
	*slot = cancel
	return next
}

func (r *runner) ask(ctx context.Context, e Poll) tea.Cmd {
	return r.counted(func() tea.Msg {
		if !r.opts.Setup.SelfPaced {
			if sleep(ctx, e.At.Sub(r.opts.Now())) != nil {
				return nil
			}
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, e.Wait)
			defer cancel()
		}
		sample, err := r.opts.Source.Sample(ctx)
		now := r.opts.Now()
		if err != nil {
			if context.Cause(ctx) == context.Canceled { //nolint:errorlint // the cause itself: somebody took its place, or all ends
				return nil
			}
			return Failed{Gen: e.Gen, At: when(err, now), Err: err, Fatal: r.opts.Fatal(err), Notice: noticeOf(r.opts.Source)}
		}
		if !sample.Got.IsZero() {
			now = sample.Got
		}
		return Sampled{Gen: e.Gen, At: now, Sample: sample, Notice: noticeOf(r.opts.Source)}
	})
}

func (r *runner) alarm(ctx context.Context, e Wake) tea.Cmd {
	if e.At.IsZero() {
		return nil
	}
	return r.counted(func() tea.Msg {
		if sleep(ctx, e.At.Sub(r.opts.Now())) != nil {
			return nil
		}
		return Tick{Gen: e.Gen, At: r.opts.Now()}
	})
}

// counted makes a command that wait waits for. bubbletea itself leaves commands behind when it ends.
func (r *runner) counted(do func() tea.Msg) tea.Cmd {
	return func() tea.Msg {
		r.mu.Lock()
		if r.closed {
			r.mu.Unlock()
			return nil
		}
		r.out.Add(1)
		r.mu.Unlock()
		defer r.out.Done()
		return do()
	}
}

// wait lets no command begin any more and waits for those that run. Their context has ended.
func (r *runner) wait() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.out.Wait()
}

var _ tea.Model = (*model)(nil)
