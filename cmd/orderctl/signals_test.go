package main

import (
	"context"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

func TestASignalEndsACommand(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		signal os.Signal
		long   bool
		inHand func() int
		err    error
		want   int
		stderr string
	}{
		{"Ctrl-C in a command that answers once", os.Interrupt, false, nil, context.Canceled, 130, ""},
		{"TERM in one", syscall.SIGTERM, false, nil, context.Canceled, 143, ""},
		{"Ctrl-C although it answered", os.Interrupt, false, nil, nil, 130, ""},
		{"Ctrl-C in one that runs until it is stopped", os.Interrupt, true, nil, nil, 0, "stopping (Ctrl-C again to stop now)\n"},
		{"with orders in hand", syscall.SIGTERM, true, func() int { return 12 }, context.Canceled, 0, "stopping: waiting for 12 orders in hand (Ctrl-C again to stop now)\n"},
		{"with nothing in hand", syscall.SIGTERM, true, func() int { return 0 }, nil, 0, "stopping (Ctrl-C again to stop now)\n"},
		{"a failure while stopping is a failure", os.Interrupt, true, nil, errors.New("commit refused"), 1, "stopping (Ctrl-C again to stop now)\ncommit refused\n"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			p := newTestProcess(t)
			code := p.runCommand(func(a *app, cmd *cobra.Command) error {
				if row.long {
					a.runsUntilStopped(row.inHand)
				}
				p.interrupts <- row.signal
				<-cmd.Context().Done()
				if !errors.Is(context.Cause(cmd.Context()), context.Canceled) {
					t.Errorf("cause: %v", context.Cause(cmd.Context()))
				}
				return row.err
			})
			if code != row.want || p.err.String() != row.stderr {
				t.Errorf("code %d, stderr %q; want %d, %q", code, p.err, row.want, row.stderr)
			}
		})
	}
}

func TestASecondSignalLeavesAtOnce(t *testing.T) {
	t.Parallel()
	p := newTestProcess(t)
	p.runCommand(func(a *app, _ *cobra.Command) error {
		a.runsUntilStopped(nil)
		p.interrupts <- os.Interrupt
		p.interrupts <- syscall.SIGTERM
		if code := <-p.left; code != 143 {
			t.Errorf("left with %d", code)
		}
		return nil
	})
}

func TestWithinReturnsWhatTheCallGives(t *testing.T) {
	t.Parallel()
	got, err := within(t.Context(), time.Minute, "Kafka", func(context.Context) (int, error) { return 7, nil })
	if got != 7 || err != nil {
		t.Errorf("%d, %v", got, err)
	}
	own := errors.New("refused")
	if _, err := within(t.Context(), time.Minute, "Kafka", func(context.Context) (int, error) { return 0, own }); err != own { //nolint:errorlint // the same, not wrapped
		t.Errorf("%v", err)
	}
}

func TestWithinKeepsWhatThereIsAtTheDeadline(t *testing.T) {
	t.Parallel()
	got, err := within(t.Context(), time.Millisecond, "Kafka at k:9092", func(ctx context.Context) (string, error) {
		<-ctx.Done()
		return "half", ctx.Err()
	})
	if got != "half" || err == nil || err.Error() != "Kafka at k:9092 did not answer within 1ms" || codeOf(err) != 3 || !strings.Contains(hintOf(err), "--timeout") {
		t.Errorf("%q, %v, code %d", got, err, codeOf(err))
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Error("the cause is lost")
	}
}

func TestWithinDoesNotWaitForACallThatNeverReturns(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	defer close(release)
	start := time.Now()
	_, err := within(t.Context(), 10*time.Millisecond, "Kafka at k:9092", func(context.Context) (int, error) {
		<-release
		return 0, nil
	})
	if codeOf(err) != 3 || time.Since(start) > 5*time.Second {
		t.Errorf("%v after %s", err, time.Since(start))
	}
}

func TestWithinEndsWithItsCaller(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := within(ctx, time.Minute, "Kafka", func(ctx context.Context) (int, error) {
		<-ctx.Done()
		return 0, ctx.Err()
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
