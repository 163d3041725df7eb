package main

import (
	"context"
	"errors"
	"net"

	"commerce.internal/orderctl/internal/queue"
)

// The exit codes. `lag --check` alone speaks Nagios.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitUnreachable = 3
	exitDenied      = 4
	exitThreshold   = 5
	exitPartial     = 6
	exitNotFound    = 7
	exitNeedsYes    = 8
	exitInterrupted = 130
	exitTerminated  = 143
)

// exitMeaning is one row of the table that help, documents and the Exit status sections quote.
type exitMeaning struct {
	code int
	text string
}

func exitMeanings() []exitMeaning {
	return []exitMeaning{
		{exitOK, "done; also: graceful stop, quit, closed pipe, empty list"},
		{exitFailed, "failed"},
		{exitUsage, "usage or configuration"},
		{exitUnreachable, "a dependency is unreachable or timed out"},
		{exitDenied, "authentication or authorisation refused"},
		{exitThreshold, "a threshold was crossed"},
		{exitPartial, "partly done, or incomplete data"},
		{exitNotFound, "not found"},
		{exitNeedsYes, "needs --yes"},
		{exitInterrupted, "interrupted (Ctrl-C)"},
		{exitTerminated, "terminated"},
	}
}

func meaningOf(code int) string {
	for _, m := range exitMeanings() {
		if m.code == code {
			return m.text
		}
	}
	return ""
}

// exitError ends a command with a code of its own. Without a text nothing is printed: the answer has said it.
type exitError struct {
	code int
	text string
	hint string
	err  error
}

// Error implements error.
func (e *exitError) Error() string { return e.text }

// ExitCode is the code of the process.
func (e *exitError) ExitCode() int { return e.code }

// Hint says what to do.
func (e *exitError) Hint() string { return e.hint }

// Unwrap returns the cause.
func (e *exitError) Unwrap() error { return e.err }

// exitWith returns an error that ends the process with code and says text, where there is one.
func exitWith(code int, text, hint string) error {
	return &exitError{code: code, text: text, hint: hint}
}

// codeOf maps an error to an exit code: its own, that of its kind, else 1.
func codeOf(err error) int {
	var own interface{ ExitCode() int }
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &own):
		return own.ExitCode()
	case errors.Is(err, queue.ErrDenied):
		return exitDenied
	case errors.Is(err, queue.ErrNotFound):
		return exitNotFound
	case errors.Is(err, queue.ErrUnreachable), errors.Is(err, context.DeadlineExceeded):
		return exitUnreachable
	case errors.Is(err, queue.ErrPartial):
		return exitPartial
	}
	return exitFailed
}

// hintOf returns what the error says one can do about it.
func hintOf(err error) string {
	var h interface{ Hint() string }
	if errors.As(err, &h) {
		return h.Hint()
	}
	return ""
}

// originOf returns where the value that led to the error came from.
func (a *app) originOf(err error) string {
	var o interface{ Origin() string }
	if errors.As(err, &o) && o.Origin() != "" {
		return o.Origin()
	}
	// A broker that did not answer in time was found; one that could not be reached may be the wrong one.
	var timeout net.Error
	if a.loaded == nil || !errors.Is(err, queue.ErrUnreachable) || errors.Is(err, context.DeadlineExceeded) ||
		errors.As(err, &timeout) && timeout.Timeout() {
		return ""
	}
	return "brokers came from: " + a.loaded.Origin("kafka.brokers").String()
}

// parts returns the errors that were joined, each to be told by itself. An error that wraps several in one sentence is
// one error.
func parts(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok || errors.Join(joined.Unwrap()...).Error() != err.Error() {
		return []error{err}
	}
	var list []error
	for _, e := range joined.Unwrap() {
		list = append(list, parts(e)...)
	}
	return list
}

// report says what failed, where the value came from and what to do, on stderr.
func (a *app) report(err error) {
	for _, e := range parts(err) {
		if e.Error() == "" {
			continue
		}
		a.say(e.Error())
		if o := a.originOf(e); o != "" {
			a.say(o)
		}
		if h := hintOf(e); h != "" {
			a.say(h)
		}
		a.chain(e)
	}
}

// chain tells the causes, for -v.
func (a *app) chain(err error) {
	if a.global.verbose == 0 {
		return
	}
	last := err.Error()
	for e := errors.Unwrap(err); e != nil; e = errors.Unwrap(e) {
		if s := e.Error(); s != last {
			a.say("caused by: " + s)
			last = s
		}
	}
}
