package main

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

const action = "replay 312 letters of orders-worker"

// consentCode runs an acting command and returns its code, what it said, and whether it acted.
func consentCode(t *testing.T, p *testProcess, dryRun bool) (code int, acted bool) {
	t.Helper()
	code = p.runCommand(func(a *app, cmd *cobra.Command) error {
		if dryRun {
			cmd.Flags().BoolP("dry-run", "n", false, "")
		}
		s, err := a.load(cmd)
		if err != nil {
			return err
		}
		if err := s.consent(cmd.Context(), cmd, action, false); err != nil {
			return err
		}
		acted = a.acting.Load()
		return nil
	})
	return code, acted
}

func TestOffATerminalAnActingCommandNeedsYes(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name          string
		stdin, stderr bool
		dryRun        bool
		want          string
	}{
		{"in a script", false, false, true, "; add --yes to run it, --dry-run to see it\n"},
		{"with stderr in a file", true, false, true, "; add --yes to run it, --dry-run to see it\n"},
		{"with stdin from a file", false, true, false, "; add --yes to run it\n"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			p := newTestProcess(t)
			p.stdin, p.stdinTerminal, p.stderrTerminal = strings.NewReader("y\n"), row.stdin, row.stderr
			code, acted := consentCode(t, p, row.dryRun)
			if want := "this would " + action + " on localhost" + row.want; code != 8 || acted || p.err.String() != want {
				t.Errorf("code %d, acted %v, stderr %q, want %q", code, acted, p.err, want)
			}
		})
	}
}

func TestOnATerminalItAsksOnceAndNamesTheCluster(t *testing.T) {
	t.Parallel()
	for answer, acts := range map[string]bool{"y\n": true, "YES\n": true, " y \n": true, "n\n": false, "\n": false, "": false, "yep\n": false} {
		p := newTestProcess(t)
		p.environ = append(p.environ, "ORDERCTL_KAFKA_NAME=prod", "ORDERCTL_KAFKA_BROKERS=kafka-1:9092,kafka-2:9092")
		p.stdin, p.stdinTerminal, p.stderrTerminal = strings.NewReader(answer), true, true
		code, acted := consentCode(t, p, false)
		question := action + " on prod (kafka-1:9092)? [y/N] "
		if acted != acts || (code == 0) != acts || !strings.HasPrefix(p.err.String(), question) {
			t.Errorf("%q: code %d, acted %v, stderr %q", answer, code, acted, p.err)
		}
		if !acts && !strings.HasSuffix(p.err.String(), "nothing was done\n") {
			t.Errorf("%q: stderr %q", answer, p.err)
		}
	}
}

func TestYesAsksNothing(t *testing.T) {
	t.Parallel()
	p := newTestProcess(t)
	code := p.runCommand(func(a *app, cmd *cobra.Command) error {
		s, err := a.load(cmd)
		if err != nil {
			return err
		}
		return s.consent(cmd.Context(), cmd, action, true)
	})
	if code != 0 || p.err.String() != "" {
		t.Errorf("code %d, stderr %q", code, p.err)
	}
}

func TestCtrlCAnswersTheQuestion(t *testing.T) {
	t.Parallel()
	p := newTestProcess(t)
	r, w := io.Pipe()
	defer w.Close()
	p.stdin, p.stdinTerminal, p.stderrTerminal = r, true, true
	var code int
	done := make(chan struct{})
	go func() {
		defer close(done)
		code, _ = consentCode(t, p, false)
	}()
	p.interrupts <- os.Interrupt
	<-done
	if code != 130 {
		t.Errorf("code %d", code)
	}
}

func TestTheClusterIsNotNamedTwice(t *testing.T) {
	t.Parallel()
	p := newTestProcess(t, "-b", "kafka-1:9092")
	p.runCommand(func(a *app, cmd *cobra.Command) error {
		s, err := a.load(cmd)
		if err != nil {
			return err
		}
		if got := s.where(); got != "kafka-1:9092" {
			t.Errorf("got %s", got)
		}
		return nil
	})
}

func TestMemoryPlan(t *testing.T) {
	t.Parallel()
	const v2, v1 = "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"
	for _, row := range []struct {
		name    string
		env     map[string]string
		files   map[string]string
		percent int
		limit   int64
	}{
		{"nothing is set and there is no container", nil, nil, 400, 0},
		{"a container of 1 GiB", nil, map[string]string{v2: "1073741824\n"}, 400, 858993456},
		{"a container without a limit", nil, map[string]string{v2: "max\n", v1: "1000"}, 400, 0},
		{"cgroup v1", nil, map[string]string{v1: "1000\n"}, 400, 800},
		{"cgroup v1 without a limit", nil, map[string]string{v1: "9223372036854771712\n"}, 400, 0},
		{"the user's GOGC stays", map[string]string{"GOGC": "50"}, map[string]string{v2: "1000"}, 0, 800},
		{"the user's GOMEMLIMIT stays", map[string]string{"GOMEMLIMIT": "1GiB"}, map[string]string{v2: "1000"}, 400, 0},
		{"GOGC=off is the user's too", map[string]string{"GOGC": "off", "GOMEMLIMIT": "1GiB"}, nil, 0, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			percent, limit := memoryPlan(func(name string) string { return row.env[name] }, func(path string) ([]byte, error) {
				if text, ok := row.files[path]; ok {
					return []byte(text), nil
				}
				return nil, errors.New("no such file")
			})
			if percent != row.percent || limit != row.limit {
				t.Errorf("got %d, %d", percent, limit)
			}
		})
	}
}

func TestReadLineEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r, w := io.Pipe()
	defer w.Close()
	if _, err := readLine(ctx, r); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
