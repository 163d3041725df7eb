package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/spf13/cobra"

	"commerce.internal/orderctl/internal/config"
	"commerce.internal/orderctl/internal/queue"
)

func TestErrorsBecomeExitCodes(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name string
		err  error
		want int
	}{
		{"none", nil, 0},
		{"any", errors.New("x"), 1},
		{"configuration", fmt.Errorf("load: %w", &config.Problem{Text: "x"}), 2},
		{"usage", &usageError{text: "x"}, 2},
		{"unreachable", fmt.Errorf("dial: %w", queue.ErrUnreachable), 3},
		{"deadline", fmt.Errorf("ask: %w", context.DeadlineExceeded), 3},
		{"denied", fmt.Errorf("ask: %w", queue.ErrDenied), 4},
		{"denied while unreachable", errors.Join(queue.ErrUnreachable, queue.ErrDenied), 4},
		{"threshold", exitWith(exitThreshold, "x", ""), 5},
		{"partial", fmt.Errorf("ask: %w", queue.ErrPartial), 6},
		{"not found", fmt.Errorf("ask: %w", queue.ErrNotFound), 7},
		{"its own code beats its kind", &exitError{code: 8, err: queue.ErrNotFound}, 8},
		{"its own code among others", errors.Join(errors.New("x"), exitWith(6, "y", "")), 6},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			if got := codeOf(row.err); got != row.want {
				t.Errorf("got %d, want %d", got, row.want)
			}
		})
	}
}

// originError is an error that knows all three.
type originError struct{ origin string }

func (originError) Error() string    { return "what failed" }
func (originError) ExitCode() int    { return 5 }
func (originError) Hint() string     { return "what to do" }
func (e originError) Origin() string { return e.origin }

func TestAnErrorSaysWhatFailedWhereItCameFromAndWhatToDo(t *testing.T) {
	t.Parallel()
	refused := fmt.Errorf("cannot reach Kafka at localhost:9092: %w", errors.Join(queue.ErrUnreachable, syscall.ECONNREFUSED))
	silent := fmt.Errorf("Kafka at kafka:9092 did not answer: %w", errors.Join(queue.ErrUnreachable, context.DeadlineExceeded))
	for _, row := range []struct {
		name string
		args []string
		err  error
		want string
	}{
		{"all three", nil, originError{"where it came from"}, "what failed\nwhere it came from\nwhat to do\n"},
		{"only what failed", nil, originError{}, "what failed\nwhat to do\n"},
		{"no text, no line", nil, exitWith(6, "", ""), ""},
		{"several", nil, errors.Join(errors.New("a"), exitWith(2, "b", "do c")), "a\nb\ndo c\n"},
		{"several in one sentence", nil, fmt.Errorf("a: %w, %w", errors.New("b"), errors.New("c")), "a: b, c\n"},
		{"the brokers of an unreachable cluster", nil, refused, "cannot reach Kafka at localhost:9092: unreachable\nconnection refused\nbrokers came from: default\n"},
		{"the brokers named by a flag", []string{"-b", "localhost:9092"}, refused, "cannot reach Kafka at localhost:9092: unreachable\nconnection refused\nbrokers came from: flag --brokers\n"},
		{"a silent cluster was found", nil, silent, "Kafka at kafka:9092 did not answer: unreachable\ncontext deadline exceeded\n"},
		{"foreign text", nil, errors.New("topic \x1b[2Jx"), `topic \x1b[2Jx` + "\n"},
		{"the chain, for -v", []string{"-v"}, fmt.Errorf("read x: %w", fmt.Errorf("dial: %w", io.EOF)), "read x: dial: EOF\ncaused by: dial: EOF\ncaused by: EOF\n"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			p := newTestProcess(t, row.args...)
			p.runCommand(func(a *app, cmd *cobra.Command) error {
				if _, err := a.load(cmd); err != nil {
					return err
				}
				return row.err
			})
			if got := p.err.String(); got != row.want {
				t.Errorf("got\n%s\nwant\n%s", got, row.want)
			}
		})
	}
}

// Every constant is in the table, and the table has nothing else.
func TestTheTableOfExitCodesIsTheConstants(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("exit.go")
	if err != nil {
		t.Fatal(err)
	}
	constants := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^\texit[A-Z]\w+\s+= (\d+)$`).FindAllStringSubmatch(string(source), -1) {
		constants[m[1]] = true
	}
	for _, m := range exitMeanings() {
		if !constants[strconv.Itoa(m.code)] {
			t.Errorf("%d is no constant", m.code)
		}
		delete(constants, strconv.Itoa(m.code))
		if !strings.Contains(exitTopic(), m.text) {
			t.Errorf("%d is not in the help topic", m.code)
		}
	}
	if len(constants) > 0 {
		t.Errorf("not in the table: %v", constants)
	}
}

type brokenPipe struct{ writes int }

func (b *brokenPipe) Write([]byte) (int, error) {
	b.writes++
	return 0, &os.PathError{Op: "write", Path: "/dev/stdout", Err: syscall.EPIPE}
}

func TestAReaderThatHasGoneEndsAReadingCommand(t *testing.T) {
	t.Parallel()
	p, pipe := newTestProcess(t), &brokenPipe{}
	p.stdout = pipe
	code := p.runCommand(func(a *app, cmd *cobra.Command) error {
		for range 3 {
			if _, err := io.WriteString(a.stdout, "row\n"); err != nil {
				return err
			}
		}
		<-cmd.Context().Done() // a command that goes on, such as --watch, is ended
		return cmd.Context().Err()
	})
	if code != 0 || p.err.String() != "" || pipe.writes != 1 {
		t.Errorf("code %d, stderr %q, %d writes", code, p.err, pipe.writes)
	}
}

func TestAReaderThatHasGoneDoesNotEndAnActingCommand(t *testing.T) {
	t.Parallel()
	p, done := newTestProcess(t), false
	p.stdout = &brokenPipe{}
	code := p.runCommand(func(a *app, cmd *cobra.Command) error {
		a.acts()
		if _, err := io.WriteString(a.stdout, "row\n"); err != nil {
			return err
		}
		done = cmd.Context().Err() == nil
		return nil
	})
	if code != 0 || !done {
		t.Errorf("code %d, went on: %v", code, done)
	}
}

func TestAReaderThatHasGoneDoesNotHideAFailure(t *testing.T) {
	t.Parallel()
	p := newTestProcess(t)
	p.stdout = &brokenPipe{}
	code := p.runCommand(func(a *app, _ *cobra.Command) error {
		_, _ = io.WriteString(a.stdout, "row\n")
		return queue.ErrDenied
	})
	if code != exitDenied {
		t.Errorf("code %d", code)
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

func TestAFailedWriteIsAFailureAlsoIfNobodyLooked(t *testing.T) {
	t.Parallel()
	p := newTestProcess(t)
	p.stdout = fullDisk{}
	code := p.runCommand(func(a *app, _ *cobra.Command) error {
		_, _ = io.WriteString(a.stdout, "row\n")
		return nil
	})
	if code != 1 || p.err.String() != "write to stdout: no space left on device\n" {
		t.Errorf("code %d, stderr %q", code, p.err)
	}
}
