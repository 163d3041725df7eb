package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"syscall"
)

// watchSignals returns the context of the command. The first signal cancels it, the second leaves at once. The returned
// function ends the watching.
func (a *app) watchSignals(parent context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(parent)
	a.stop = cancel
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-done:
				return
			case s := <-a.env.interrupts:
				code := signalCode(s)
				if !a.interrupted.CompareAndSwap(0, int32(code)) { //nolint:gosec // 130 or 143
					a.env.exit(code)
					return
				}
				a.sayStopping()
				cancel(fmt.Errorf("%s: %w", s, context.Canceled))
			}
		}
	})
	return ctx, func() {
		close(done)
		wg.Wait()
		cancel(nil)
	}
}

func signalCode(s os.Signal) int {
	if s == syscall.SIGTERM {
		return exitTerminated
	}
	return exitInterrupted
}

// runsUntilStopped marks a command that runs until it is stopped: a signal then ends it with 0. inHand tells how many
// orders still wait for their end; nil: there is nothing to wait for.
func (a *app) runsUntilStopped(inHand func() int) {
	if inHand != nil {
		a.inHand.Store(&inHand)
	}
	a.long.Store(true)
}

// acts marks a command that changes things: it goes on when the reader of its output goes.
func (a *app) acts() { a.acting.Store(true) }

func (a *app) sayStopping() {
	if !a.long.Load() {
		return
	}
	waiting := ""
	if inHand := a.inHand.Load(); inHand != nil {
		if n := (*inHand)(); n > 0 {
			waiting = fmt.Sprintf(": waiting for %d orders in hand", n)
		}
	}
	a.note("stopping%s (Ctrl-C again to stop now)", waiting)
}

// cause drops the "write /dev/stdout" that *fs.PathError puts before what happened.
func cause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
