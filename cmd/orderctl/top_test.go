package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"commerce.internal/orderctl/internal/broker"
)

// terminal is orderctl on a terminal that a test reads and types on. It never answers a query.
type terminal struct {
	t      *testing.T
	cmd    *exec.Cmd
	f      *os.File
	before *unix.Termios

	mu     sync.Mutex
	seen   bytes.Buffer
	reader sync.WaitGroup
}

func newTerminal(t *testing.T, environ []string, args ...string) *terminal {
	t.Helper()
	cmd := orderctl(t, append([]string{"TERM=xterm-256color", "LC_ALL=C.UTF-8"}, environ...), args...)
	master, slave, err := pty.Open()
	if err != nil {
		t.Skipf("no terminal to be had: %v", err)
	}
	if err := pty.Setsize(master, &pty.Winsize{Rows: 24, Cols: 80}); err != nil {
		t.Fatal(err)
	}
	before, err := unix.IoctlGetTermios(int(master.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	x := &terminal{t: t, cmd: cmd, f: master, before: before}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	x.reader.Go(func() {
		buf := make([]byte, 32<<10)
		for {
			n, err := master.Read(buf)
			x.mu.Lock()
			x.seen.Write(buf[:n])
			x.mu.Unlock()
			if err != nil {
				return
			}
		}
	})
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = slave.Close()
		_ = master.Close()
		x.reader.Wait()
	})
	return x
}

func (x *terminal) all() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.seen.String()
}

// sees waits until the text was drawn after the place from, and returns the place after it.
func (x *terminal) sees(from int, text string) int {
	x.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		all := x.all()
		if i := strings.Index(all[min(from, len(all)):], text); i >= 0 {
			return from + i + len(text)
		}
		if time.Now().After(deadline) {
			x.t.Fatalf("%q was not drawn; the end of all is %q", text, all[max(0, len(all)-3000):])
		}
		<-time.After(10 * time.Millisecond)
	}
}

func (x *terminal) types(keys string) {
	x.t.Helper()
	if _, err := io.WriteString(x.f, keys); err != nil {
		x.t.Fatal(err)
	}
}

// ends waits for the exit code, and checks that the terminal is as it was.
func (x *terminal) ends(within time.Duration) int {
	x.t.Helper()
	begin := time.Now()
	err := x.cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		x.t.Fatal(err)
	}
	if took := time.Since(begin); took > within {
		x.t.Errorf("it took %s to end", took)
	}
	after, err := unix.IoctlGetTermios(int(x.f.Fd()), unix.TCGETS)
	if err != nil {
		x.t.Fatal(err)
	}
	if *after != *x.before {
		x.t.Errorf("the terminal is %+v, it was %+v", *after, *x.before)
	}
	return x.cmd.ProcessState.ExitCode()
}

func TestTopOnATerminalDrawsAndLeavesItAsItWas(t *testing.T) {
	t.Parallel()
	x := newTerminal(t, nil, "top", "--demo=7", "--interval", "500ms")
	at := x.sees(0, "DEMO")
	at = x.sees(at, "LIVE 500ms")
	x.types("?")
	at = x.sees(at, "a page down")
	x.types("?")
	x.types(" ")
	at = x.sees(at, "PAUSED")
	x.types("/")
	x.types("3$")
	x.sees(at, "Enter keep")
	x.types("\x1b")
	if err := pty.Setsize(x.f, &pty.Winsize{Rows: 9, Cols: 38}); err != nil {
		t.Fatal(err)
	}
	x.sees(at, "terminal is 38x9, need 40x10")
	x.types("q")
	if code := x.ends(2 * time.Second); code != 0 {
		t.Errorf("q ends with %d", code)
	}
	all := x.all()
	for _, query := range []string{"\x1b]11", "\x1b[6n", "\x1b[c", "\x1b[?u"} {
		if strings.Contains(all, query) {
			t.Errorf("the terminal was asked %q", query)
		}
	}
	if !strings.Contains(all, "\x1b[?1049h") || !strings.Contains(all, "\x1b[?1049l") || strings.Contains(all, "\x1b[?1000h") {
		t.Error("the alternate screen was not entered and left, or the mouse was taken")
	}
}

func TestTopEndsWithEverySignal(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			x := newTerminal(t, nil, "top", "--demo", "--interval", "500ms")
			x.sees(0, "LIVE")
			if err := x.cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			if code := x.ends(3 * time.Second); code != 0 {
				t.Errorf("exit code %d", code)
			}
			if all := x.all(); !strings.Contains(all, "\x1b[?1049l") || strings.Contains(all, "stopping") {
				t.Errorf("the end is %q", all[max(0, len(all)-300):])
			}
		})
	}
}

var colour = regexp.MustCompile(`\x1b\[[0-9;]*3[0-7][0-9;]*m`)

func TestTopFollowsNoColorAndKeepsItsCursor(t *testing.T) {
	t.Parallel()
	x := newTerminal(t, []string{"NO_COLOR=1"}, "top", "--demo", "--interval", "500ms")
	x.sees(0, "LIVE")
	x.types("q")
	x.ends(3 * time.Second)
	if all := x.all(); colour.MatchString(all) || !strings.Contains(all, "\x1b[7m") {
		t.Errorf("colours %q, reverse %v", colour.FindString(all), strings.Contains(all, "\x1b[7m"))
	}
	y := newTerminal(t, nil, "top", "--demo", "--interval", "500ms")
	y.sees(0, "LIVE")
	y.types("\x03")
	if code := y.ends(3 * time.Second); code != 0 || !colour.MatchString(y.all()) {
		t.Errorf("exit code %d, colours %v", code, colour.MatchString(y.all()))
	}
}

func TestTopOnATerminalThatCannotDrawWritesLines(t *testing.T) {
	t.Parallel()
	for _, environ := range [][]string{{"TERM=dumb"}, {"TERM="}, {"ACCESSIBLE=1"}} {
		got, _ := onTerminal(t, environ, "top", "--demo", "--interval", "500ms", "--count", "2")
		if strings.Contains(got, "\x1b") || strings.Count(got, "status=") != 2 {
			t.Errorf("%v: %q", environ, got)
		}
	}
}

func TestTopHoldsNoKeyWhileABrokerIsSilent(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() // it accepts in the kernel, and nobody answers
	x := newTerminal(t, nil, "top", "-b", l.Addr().String())
	at := x.sees(0, "CONNECTING")
	x.types("?")
	at = x.sees(at, "a page down")
	x.types("?")
	x.sees(at, "did not answer")
	x.types("q")
	if code := x.ends(3 * time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// A broker that goes and comes back, and no key pressed.
func TestTopOutlivesItsBroker(t *testing.T) {
	t.Parallel()
	open := func(addr string) *broker.Broker {
		t.Helper()
		b, err := broker.Open(broker.Options{Addr: addr, Memory: true, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		if err := b.CreateTopic("orders", 3, nil); err != nil {
			t.Fatal(err)
		}
		return b
	}
	b := open("127.0.0.1:0")
	addr := b.Addr()
	x := newTerminal(t, nil, "top", "-b", addr, "--interval", "500ms")
	at := x.sees(0, "LIVE")
	at = x.sees(at, "does not exist yet")
	var first int64
	for n := range 5 {
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		at = x.sees(at, "STALE")
		b = open(addr)
		at = x.sees(at, "LIVE")
		rss := residentOf(t, x.cmd.Process.Pid)
		if n == 0 {
			first = rss
		}
		if rss > first+(16<<20) && !raceDetector {
			t.Errorf("after outage %d it holds %d MiB, after the first %d", n+1, rss>>20, first>>20)
		}
	}
	defer b.Close()
	x.types("q")
	if code := x.ends(3 * time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func TestTopNamesTheContext(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := dir + "/orderctl.yaml"
	if err := os.WriteFile(file, []byte("contexts:\n- {name: staging, brokers: [\"127.0.0.1:1\"], group: stage-worker}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	x := newTerminal(t, nil, "top", "-c", file, "--context", "staging")
	x.sees(0, "staging")
	x.sees(0, "stage-worker")
	x.types("q")
	x.ends(3 * time.Second)
}

// What links the dashboard must not make every command wait for the terminal.
func TestVersionOnAMuteTerminalTakesNoTime(t *testing.T) {
	if raceDetector {
		t.Skip("the bar is for the real binary; it is held without the race detector")
	}
	t.Parallel()
	best := time.Hour
	for range 8 {
		got, took := onTerminal(t, nil, "version")
		if strings.Contains(got, "\x1b") || got == "" {
			t.Fatalf("it wrote %q", got)
		}
		if best = min(best, took); best < 200*time.Millisecond {
			return
		}
	}
	t.Errorf("the fastest of eight took %s", best)
}

// residentOf is the memory that a process holds, in bytes.
func residentOf(t *testing.T, pid int) int64 {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Skipf("memory of a process is read from /proc: %v", err)
	}
	_, rest, _ := strings.Cut(string(raw), "VmRSS:")
	kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kib << 10
}
