package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"commerce.internal/orderctl/internal/text"
)

// addYes gives an acting command its flag.
func addYes(cmd *cobra.Command) *bool {
	return cmd.Flags().BoolP("yes", "y", false, "do it without asking")
}

// consent asks once before an acting command acts. action says what it will do, as in "replay 312 letters of
// orders-worker". On a terminal it asks, and the default is no; elsewhere it needs --yes. Once it has returned nil the
// command counts as acting.
func (s *session) consent(ctx context.Context, cmd *cobra.Command, action string, yes bool) error {
	if yes {
		s.acts()
		return nil
	}
	if !s.env.stdinTerminal || !s.env.stderrTerminal {
		more := ""
		if cmd.Flags().Lookup("dry-run") != nil {
			more = ", --dry-run to see it"
		}
		return exitWith(exitNeedsYes, fmt.Sprintf("this would %s on %s; add --yes to run it%s", action, s.cfg.Cluster(), more), "")
	}
	_, _ = io.WriteString(s.env.stderr, text.Safe(fmt.Sprintf("%s on %s? [y/N] ", action, s.where())))
	answer, err := readLine(ctx, s.env.stdin)
	if err != nil {
		return err
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		s.acts()
		return nil
	}
	return exitWith(exitFailed, "nothing was done", "")
}

// readLine reads one line, or ends with ctx. The read of a terminal cannot be called off, so on Ctrl-C the goroutine
// stays behind until the process, which is ending, has gone.
func readLine(ctx context.Context, r io.Reader) (string, error) {
	lines := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(r).ReadString('\n') // end of input is an answer too: no
		lines <- line
	}()
	select {
	case line := <-lines:
		return line, nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}
