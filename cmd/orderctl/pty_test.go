package main

import (
	"bytes"
	"errors"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/spf13/cobra"
)

// onTerminal runs orderctl on a terminal of 80x24 that never answers a query, and returns all that appeared there.
func onTerminal(t *testing.T, environ []string, args ...string) (string, time.Duration) {
	t.Helper()
	cmd := orderctl(t, append([]string{"TERM=xterm-256color"}, environ...), args...)
	start := time.Now()
	f, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 24, Cols: 80})
	if err != nil {
		t.Skipf("no terminal to be had: %v", err)
	}
	defer f.Close()
	var b bytes.Buffer
	if _, err := io.Copy(&b, f); err != nil && !errors.Is(err, syscall.EIO) { // EIO: the other side has gone
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return strings.ReplaceAll(b.String(), "\r\n", "\n"), time.Since(start)
}

func TestHelpOnAMuteTerminalIsFastAndPlain(t *testing.T) {
	t.Parallel()
	var paths [][]string
	everyCommand(t, func(_ *testing.T, c *cobra.Command) {
		paths = append(paths, append(strings.Fields(c.CommandPath())[1:], "--help"))
	})
	paths = append(paths, []string{"version"}, []string{"config", "path"}, []string{"completion", "zsh"}, []string{"help", "keys"}, []string{"no-such-command"})
	slowest := time.Duration(0)
	for _, args := range paths {
		got, took := onTerminal(t, nil, args...)
		if strings.Contains(got, "\x1b") || got == "" {
			t.Errorf("%v: %q", args, got)
		}
		slowest = max(slowest, took)
	}
	// One second is the promise; the rest is for a machine that runs other tests at the same time. What waits for an
	// answer of the terminal takes five.
	if slowest > 4*time.Second {
		t.Errorf("the slowest took %s", slowest)
	}
}

func TestColoursFollowTheTerminalAndTheUser(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		env    []string
		args   []string
		colour bool
	}{
		{"a terminal", nil, nil, true},
		{"NO_COLOR", []string{"NO_COLOR=1"}, nil, false},
		{"a dumb terminal", []string{"TERM=dumb"}, nil, false},
		{"a dumb terminal that is forced", []string{"TERM=dumb", "FORCE_COLOR=1"}, nil, true},
		{"never", []string{"FORCE_COLOR=1"}, []string{"--color", "never"}, false},
		{"always", []string{"NO_COLOR=1"}, []string{"--color", "always"}, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			got, _ := onTerminal(t, row.env, append([]string{"config", "show"}, row.args...)...)
			if strings.Contains(got, "\x1b[1mKEY\x1b[0m") != row.colour {
				t.Errorf("got %q", got[:min(len(got), 200)])
			}
			plain := strings.NewReplacer("\x1b[1m", "", "\x1b[0m", "").Replace(got)
			if strings.Contains(plain, "\x1b") {
				t.Error("an escape that is no colour")
			}
		})
	}
}

func TestATableFitsTheTerminal(t *testing.T) {
	t.Parallel()
	got, _ := onTerminal(t, []string{"NO_COLOR=1", "ORDERCTL_KAFKA_BROKERS=" + strings.Repeat("kafka-1.example.org:9092,", 20)}, "config", "show", "--origin")
	for line := range strings.Lines(got) {
		if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > 80 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	if !strings.Contains(got, "…") || !strings.Contains(got, "kafka.brokers") {
		t.Errorf("nothing was cut:\n%s", got)
	}
}

func TestJSONOnATerminalHasNoColour(t *testing.T) {
	t.Parallel()
	got, _ := onTerminal(t, nil, "version", "-o", "json")
	if strings.Contains(got, "\x1b") || !strings.HasPrefix(got, "{\n") {
		t.Errorf("got %q", got)
	}
}
