package main

import (
	"io"
	"os"
	"strings"
	"time"
)

// env is the process as a value: what a command may know of the outside world, and all that a test has to replace.
type env struct {
	args           []string // without the program's name
	environ        []string
	stdin          io.Reader
	stdout, stderr io.Writer
	stdinTerminal  bool
	stdoutTerminal bool
	stderrTerminal bool
	width          func() int // of the terminal on stdout
	height         func() int // the same; nil: not known
	now            func() time.Time
	interrupts     <-chan os.Signal // INT and TERM
	hangups        <-chan os.Signal // HUP: look at the configuration file now
	exit           func(code int)   // leaves at once; for the second signal only
}

// lines is the height of the terminal on stdout.
func (e env) lines() int {
	const usual = 24
	if e.height == nil {
		return usual
	}
	if n := e.height(); n > 0 {
		return n
	}
	return usual
}

// lookup returns a variable of the environment, "" where it is not set.
func (e env) lookup(name string) string {
	for _, v := range e.environ {
		if value, ok := strings.CutPrefix(v, name+"="); ok {
			return value
		}
	}
	return ""
}
