package dlq

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	transformTime = 10 * time.Second
	maxEdited     = 8 << 20 // more than a record can hold
)

// transformer is --transform CMD: the value on its standard input, the new one on its standard output.
type transformer struct{ command string }

// Transform returns an Editor that runs a command of the shell, at most 10 s for each value.
func Transform(command string) Editor { return transformer{command: command} }

// String is the command as it was asked for.
func (t transformer) String() string { return "--transform " + t.command }

// Edit implements Editor.
func (t transformer) Edit(ctx context.Context, id ID, value []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, transformTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", t.command) //nolint:gosec // the operator's own command
	cmd.Stdin = bytes.NewReader(value)
	cmd.Env = append(cmd.Environ(), "ORDERCTL_LETTER="+id.String())
	cmd.WaitDelay = time.Second // what the command has started may hold the pipe
	var stdout, stderr bounded
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return nil, fmt.Errorf("no answer within %s", transformTime)
	case err != nil:
		return nil, fmt.Errorf("%w: %s", err, firstLine(stderr.buf.String()))
	case stdout.cut:
		return nil, fmt.Errorf("the answer is longer than %d bytes", maxEdited)
	}
	return stdout.buf.Bytes(), nil
}

// firstLine is the first line of what a command said.
func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line[:min(len(line), 200)]
}

// bounded is a buffer that takes no more than a record can hold. It is no bytes.Buffer with a bound: io.Copy would read past
// it, by a method of the buffer.
type bounded struct {
	buf bytes.Buffer
	cut bool
}

// Write implements io.Writer.
func (b *bounded) Write(p []byte) (int, error) {
	if b.buf.Len()+len(p) > maxEdited {
		b.cut = true
		return len(p), nil
	}
	return b.buf.Write(p) //nolint:wrapcheck // never fails
}

// visual is --edit: an editor on a terminal, one value after the other.
type visual struct {
	command        string
	stdin          io.Reader
	stdout, stderr io.Writer
}

// Visual returns an Editor that opens each value in an editor of the operator, which is a command of the shell.
func Visual(command string, stdin io.Reader, stdout, stderr io.Writer) Editor {
	return visual{command: command, stdin: stdin, stdout: stdout, stderr: stderr}
}

// String is how the value was changed.
func (v visual) String() string { return "--edit" }

// Edit implements Editor.
func (v visual) Edit(ctx context.Context, id ID, value []byte) (_ []byte, err error) {
	dir, err := os.MkdirTemp("", "orderctl-edit-")
	if err != nil {
		return nil, fmt.Errorf("make folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	file := filepath.Join(dir, strings.ReplaceAll(id.String(), "/", "-")+".json")
	var shown bytes.Buffer
	for _, l := range mark(value, "") {
		shown.WriteString(l.Text + "\n")
	}
	if shown.Len() == 0 {
		shown.Write(value)
	}
	before := bytes.Clone(shown.Bytes())
	if err := os.WriteFile(file, before, 0o600); err != nil {
		return nil, fmt.Errorf("write value: %w", err)
	}
	cmd := exec.CommandContext(ctx, "sh", "-c", v.command+` "$0"`, file) //nolint:gosec // the operator's own editor
	cmd.Stdin, cmd.Stdout, cmd.Stderr = v.stdin, v.stdout, v.stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s: %w", v.command, err)
	}
	after, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read value: %w", err)
	}
	if bytes.Equal(after, before) {
		return value, nil // looked at and left as it is
	}
	return after, nil
}
