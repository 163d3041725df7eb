package tui

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/x/exp/teatest"
	"github.com/creack/pty"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"commerce.internal/orderctl/internal/inspect/lag"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/charmbracelet/x/exp/teatest.NewTestModel.func2")) // waits for signals for ever
}

// feed is a source whose answers a test decides on.
type feed struct {
	mu    sync.Mutex
	asked int
	gives func(n int, at time.Time) (Sample, error)
}

func (f *feed) Sample(ctx context.Context) (Sample, error) {
	f.mu.Lock()
	f.asked++
	n, gives := f.asked, f.gives
	f.mu.Unlock()
	s, err := gives(n, time.Now())
	if errors.Is(err, errSilent) {
		<-ctx.Done()
		return Sample{}, ctx.Err()
	}
	return s, err
}

func (f *feed) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked
}

var errSilent = errors.New("accepts and never answers")

func steady(_ int, at time.Time) (Sample, error) {
	s := Sample{At: at, Group: Group{
		Name: "g", State: lag.Know(lag.StateStable), Members: lag.Know(2), Severity: "OK", Status: "OK", Complete: true, Unread: lag.Know[int64](0),
		In: lag.Know(5.0), Out: lag.Know(5.0), Oldest: lag.Know(0.0),
	}}
	for p := range int32(200) {
		s.Rows = append(s.Rows, Row{Key: Key{"orders", p}, Name: "orders", Role: "source", Unread: lag.Know[int64](0), Status: lag.OK, Severity: "OK", Counted: true})
	}
	return s, nil
}

// screen collects what is drawn.
type screen struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func programOptions(src Source, in io.Reader, out io.Writer) Options {
	return Options{
		Source: src, Now: time.Now, Setup: Setup{Cluster: "prod", Group: "g"}, Interval: 2 * time.Second, Range: 5 * time.Minute, Input: in,
		Output: out, Glyphs: UTF8(), Width: 120, Height: 40, Theme: "mono", Fatal: func(error) bool { return false },
	}
}

// run runs the dashboard for a while in made-up time.
func run(t *testing.T, src Source, d time.Duration, spoil func(*Options)) (*model, string) {
	t.Helper()
	in, keys := io.Pipe()
	defer keys.Close()
	var out screen
	o := programOptions(src, in, &out)
	if spoil != nil {
		spoil(&o)
	}
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	m, err := show(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	return m, out.String()
}

func TestAMinuteCostsFewFrames(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		src := &feed{gives: steady}
		m, _ := run(t, src, time.Minute, nil)
		if n := src.count(); n < 29 || n > 31 {
			t.Errorf("%d questions in a minute", n)
		}
		if m.views > 40 {
			t.Errorf("LIVE: %d views in a minute", m.views)
		}
		down := &feed{gives: func(n int, at time.Time) (Sample, error) {
			if n == 1 {
				return steady(n, at)
			}
			return Sample{}, errors.New("connection refused")
		}}
		m, _ = run(t, down, time.Minute, nil)
		if m.views > 70 || m.state.Phase != PhaseStale {
			t.Errorf("STALE: %d views in a minute, phase %v", m.views, m.state.Phase)
		}
	})
}

func TestABrokerThatComesBackIsLiveAgainWithoutAKey(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		down := func(at time.Time) bool {
			since := at.Sub(begin)
			return since > 10*time.Second && since < 70*time.Second
		}
		src := &feed{gives: func(n int, at time.Time) (Sample, error) {
			if down(at) {
				return Sample{}, errors.New("connection refused")
			}
			return steady(n, at)
		}}
		m, _ := run(t, src, 14*time.Second, nil)
		if m.state.Phase != PhaseStale {
			t.Error("after two intervals there is no banner")
		}
		begin = time.Now()
		m, _ = run(t, src, 110*time.Second, nil) // 40 s after it came back
		if m.state.Phase != PhaseLive {
			t.Error("40 s after it came back it is not live")
		}
		if !slices.ContainsFunc(m.state.Notes, func(n Note) bool { return n.Kind == "gap" && n.Text == "connection refused" }) {
			t.Errorf("no gap among the events: %+v", m.state.Notes)
		}
		seen := m.state.History.Total(seriesIn, begin.Add(110*time.Second), 110*time.Second, 11)
		if math.IsNaN(seen[0]) || !math.IsNaN(seen[4]) || math.IsNaN(seen[10]) {
			t.Errorf("before, during and after the outage the chart has %v", seen)
		}
	})
}

func TestASilentBrokerHoldsNoKey(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		in, keys := io.Pipe()
		var out screen
		done := make(chan struct{})
		var m *model
		var err error
		go func() {
			defer close(done)
			m, err = show(t.Context(), programOptions(&feed{gives: func(int, time.Time) (Sample, error) { return Sample{}, errSilent }}, in, &out))
		}()
		synctest.Wait()
		if _, err := keys.Write([]byte("?")); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Second)
		if !strings.Contains(out.String(), "page up") {
			t.Error("? shows no keys while a question is out")
		}
		begin := time.Now()
		if _, err := keys.Write([]byte("q")); err != nil {
			t.Fatal(err)
		}
		<-done
		keys.Close()
		if took := time.Since(begin); err != nil || took > time.Second || m.err != nil {
			t.Errorf("q took %s: %v", took, err)
		}
	})
}

func TestASourceThatCanNeverAnswerEndsIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		denied := errors.New("refused the login")
		in, keys := io.Pipe()
		defer keys.Close()
		o := programOptions(&feed{gives: func(int, time.Time) (Sample, error) { return Sample{}, denied }}, in, io.Discard)
		o.Fatal = func(err error) bool { return errors.Is(err, denied) }
		if err := Run(t.Context(), o); !errors.Is(err, denied) {
			t.Errorf("it ended with %v", err)
		}
	})
}

func TestAPanicEndsItAsAnError(t *testing.T) {
	t.Parallel()
	in, keys := io.Pipe()
	defer keys.Close()
	o := programOptions(&feed{gives: func(int, time.Time) (Sample, error) { panic("a bug") }}, in, io.Discard)
	if err := Run(t.Context(), o); !errors.Is(err, tea.ErrProgramPanic) {
		t.Errorf("it ended with %v", err)
	}
}

// A bug must not leave a terminal on which nobody can type. It ends a process of its own: after a panic Bubble Tea forgets
// its reader, which only an exit ends.
func TestAPanicLeavesTheTerminalAsItWas(t *testing.T) {
	t.Parallel()
	const panicked, canonical, other = 3, 4, 5 // how the process ends
	if os.Getenv("TUI_PANICS") != "" {
		err := Run(t.Context(), programOptions(&feed{gives: func(int, time.Time) (Sample, error) {
			if now, err := unix.IoctlGetTermios(0, unix.TCGETS); err != nil || now.Lflag&unix.ICANON != 0 {
				os.Exit(canonical)
			}
			panic("a bug")
		}}, os.Stdin, os.Stdout))
		if errors.Is(err, tea.ErrProgramPanic) {
			os.Exit(panicked)
		}
		os.Exit(other)
	}
	master, slave, err := pty.Open()
	if err != nil {
		t.Skipf("no terminal to be had: %v", err)
	}
	defer master.Close()
	defer slave.Close()
	before, err := unix.IoctlGetTermios(int(slave.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	var drawn sync.WaitGroup
	drawn.Go(func() { _, _ = io.Copy(io.Discard, master) })
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestAPanicLeavesTheTerminalAsItWas$")
	cmd.Env = append(os.Environ(), "TUI_PANICS=1")
	cmd.Stdin, cmd.Stdout = slave, slave
	_ = cmd.Run() // its code is looked at
	if code := cmd.ProcessState.ExitCode(); code != panicked {
		t.Errorf("it ended with %d, want %d", code, panicked)
	}
	after, err := unix.IoctlGetTermios(int(slave.Fd()), unix.TCGETS)
	if err != nil || !reflect.DeepEqual(after, before) {
		t.Errorf("%v: the terminal was %+v and is %+v", err, before, after)
	}
	_ = slave.Close()
	drawn.Wait()
}

// fullDisk takes so many bytes and no more.
type fullDisk struct{ left int }

func (f *fullDisk) Write(p []byte) (int, error) {
	if f.left -= len(p); f.left < 0 {
		return 0, syscall.ENOSPC
	}
	return len(p), nil
}

func (f *fullDisk) Close() error { return nil }

func TestARecordEndsWithTheDiskAndTheDashboardDoesNot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		src := &feed{gives: steady}
		one, _ := steady(1, time.Now())
		raw, err := json.Marshal(one)
		if err != nil {
			t.Fatal(err)
		}
		m, drawn := run(t, &Recorder{source: src, now: time.Now, file: &fullDisk{left: 3 * len(raw)}}, 20*time.Second, nil)
		if !strings.Contains(drawn, "the record ends here: no space left on device") || m.state.Phase != PhaseLive || src.count() < 10 {
			t.Errorf("phase %v after %d questions, banner %q", m.state.Phase, src.count(), m.state.Banner)
		}
	})
}

func TestTheBackgroundEndsWithTheScreenAndItsErrorIsTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		in, keys := io.Pipe()
		defer keys.Close()
		o := programOptions(&feed{gives: steady}, in, io.Discard)
		ended := false
		o.Background = func(ctx context.Context) error {
			<-ctx.Done()
			ended = true
			return broken
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if err := Run(ctx, o); !errors.Is(err, broken) || !ended {
			t.Errorf("%v, ended %v", err, ended)
		}
	})
}

func TestKeysAndPastesBecomeEvents(t *testing.T) {
	t.Parallel()
	src := &feed{gives: steady}
	r := &runner{}
	o := programOptions(src, nil, io.Discard)
	if err := o.validate(); err != nil {
		t.Fatal(err)
	}
	r.opts = o
	m := newModel(o, func(e Effect, s State) tea.Cmd { return r.command(t.Context(), e, s) })
	s, _ := steady(1, time.Now())
	m.Update(Sampled{Gen: m.state.Poll, At: s.At, Sample: s})
	typed := func(keys ...tea.KeyMsg) {
		for _, k := range keys {
			m.Update(k)
		}
	}
	rune_ := func(r rune) tea.KeyMsg { return tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune{r}} }
	typed(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune("q"), Paste: true}, rune_('x'))
	if m.err != nil || m.state.Revision > 3 {
		t.Error("a paste or a key without a meaning did something")
	}
	typed(rune_('/'), rune_('/'), rune_('7'), rune_('$'), tea.KeyMsg{Type: tea.KeyCtrlV}, tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune("|/8 "), Paste: true})
	if m.state.Edit == nil || m.state.Edit.Text != "/7$|/8 " {
		t.Fatalf("typed %+v", m.state.Edit)
	}
	if m.Update(tea.KeyMsg{Type: tea.KeyEsc}); m.state.Edit != nil {
		t.Error("Esc left the filter open")
	}
	typed(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune("/7$|")}, tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune("/8 ")}) // keys of one read
	if m.state.Edit == nil || m.state.Edit.Text != "7$|/8 " {
		t.Fatalf("typed in one go %+v", m.state.Edit)
	}
	typed(tea.KeyMsg{Type: tea.KeyHome}, rune_('/'), tea.KeyMsg{Type: tea.KeyEnd})
	typed(tea.KeyMsg{Type: tea.KeyLeft}, tea.KeyMsg{Type: tea.KeyBackspace})
	if m.state.Edit.Text != "/7$|/ " || m.state.Edit.Pos != 5 {
		t.Errorf("edited %+v", m.state.Edit)
	}
	typed(tea.KeyMsg{Type: tea.KeyEnter})
	if m.state.Edit != nil || m.state.Filter.Text != "/7$|/ " {
		t.Errorf("the filter is %q", m.state.Filter.Text)
	}
	typed(rune_('/'), rune_('x'), tea.KeyMsg{Type: tea.KeyEsc}, rune_('/'))
	if m.state.Edit == nil || m.state.Edit.Text != "/7$|/ " || m.filter.Value() != "/7$|/ " {
		t.Errorf("after Esc the filter to edit is %+v", m.state.Edit)
	}
	if _, cmd := m.Update(tea.KeyMsg{Type: tea.KeyCtrlC}); cmd == nil {
		t.Error("Ctrl-C does nothing while a filter is typed")
	}
	m.Update(tea.WindowSizeMsg{})
	if m.state.W != 120 || m.state.H != 40 {
		t.Errorf("a terminal of 0x0 is %dx%d", m.state.W, m.state.H)
	}
	m.Update(tea.WindowSizeMsg{Width: 90, Height: 30})
	before := m.View()
	if !strings.Contains(before, "orderctl top") || m.View() != before || m.state.W != 90 {
		t.Error("the frame is not kept")
	}
}

func TestEWritesFilesAndGoesOn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tm := teatest.NewTestModel(t, smoke(t, dir), teatest.WithInitialTermSize(120, 40))
	see := func(what string) {
		t.Helper()
		teatest.WaitFor(t, tm.Output(), func(b []byte) bool { return bytes.Contains(b, []byte(what)) }, teatest.WithDuration(10*time.Second))
	}
	see("LIVE")
	tm.Type("e")
	see("saved ")
	tm.Type("d")
	see("Dead letters")
	tm.Type("q")
	tm.WaitFinished(t, teatest.WithFinalTimeout(10*time.Second))
	if files, _ := filepath.Glob(filepath.Join(dir, "orderctl-top-*")); len(files) != 2 {
		t.Errorf("files %v", files)
	}
	if _, err := os.Stat(dir); err != nil {
		t.Error(err)
	}
}

func smoke(t *testing.T, dir string) *model {
	t.Helper()
	o := programOptions(&feed{gives: steady}, nil, io.Discard)
	o.ExportDir = dir
	r := &runner{opts: o}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	t.Cleanup(func() {
		cancel()
		r.wait()
	})
	return newModel(o, func(e Effect, s State) tea.Cmd { return r.command(ctx, e, s) })
}
