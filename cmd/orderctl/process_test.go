package main

import (
	"bytes"
	"context"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

// process is an env that a test can look into.
type testProcess struct {
	env
	out, err   *lockedBuffer
	interrupts chan os.Signal
	left       chan int // codes of exit at once
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newTestProcess(t *testing.T, args ...string) *testProcess {
	t.Helper()
	p := &testProcess{out: &lockedBuffer{}, err: &lockedBuffer{}, interrupts: make(chan os.Signal), left: make(chan int, 1)}
	p.env = env{
		args: args, environ: []string{"HOME=" + t.TempDir()}, stdin: strings.NewReader(""), stdout: p.out, stderr: p.err,
		width: func() int { return 80 }, now: time.Now, interrupts: p.interrupts, hangups: make(chan os.Signal),
		exit: func(code int) { p.left <- code },
	}
	return p
}

// runCommand runs one command that a test made, as run runs the tree.
func (p *testProcess) runCommand(body func(a *app, cmd *cobra.Command) error) int {
	a := newApp(p.env)
	ctx, finish := a.watchSignals(context.Background())
	cmd := &cobra.Command{
		Use: "test", SilenceErrors: true, SilenceUsage: true, Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return body(a, cmd) },
	}
	a.addGlobals(cmd)
	cmd.SetArgs(p.args)
	cmd.SetOut(a.stdout)
	cmd.SetErr(p.stderr)
	err := cmd.ExecuteContext(ctx)
	finish()
	return a.verdict(err)
}
