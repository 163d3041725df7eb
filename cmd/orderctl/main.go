// Command orderctl is the operator's toolkit for an order queue on Apache Kafka. This package reads flags, wires the
// parts of internal/ together, prints answers and ends the process; it decides nothing about orders.
package main

import (
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/term"
)

func main() { os.Exit(run(process())) }

// process is the real process; tests hand run an env of their own.
func process() env {
	signal.Ignore(syscall.SIGPIPE) // a closed pipe is an error of Write, not the end of an acting command
	interrupts, hangups := make(chan os.Signal, 2), make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt, syscall.SIGTERM)
	signal.Notify(hangups, syscall.SIGHUP)
	return env{
		args: os.Args[1:], environ: os.Environ(),
		stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr,
		stdinTerminal:  term.IsTerminal(int(os.Stdin.Fd())),
		stdoutTerminal: term.IsTerminal(int(os.Stdout.Fd())),
		stderrTerminal: term.IsTerminal(int(os.Stderr.Fd())),
		width: func() int {
			w, _, err := term.GetSize(int(os.Stdout.Fd()))
			if err != nil {
				return 80
			}
			return w
		},
		height: func() int {
			_, h, err := term.GetSize(int(os.Stdout.Fd()))
			if err != nil {
				return 0
			}
			return h
		},
		now: time.Now, interrupts: interrupts, hangups: hangups, exit: os.Exit,
	}
}
