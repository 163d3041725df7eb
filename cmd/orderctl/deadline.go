package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"commerce.internal/orderctl/internal/config"
)

// grace is how long a call may go on after its deadline to hand over what it has.
const grace = 300 * time.Millisecond

// within runs call under a deadline and returns at the deadline, even if call does not: sarama takes no context, and a
// broker that accepts and never answers would hold it for minutes. Where call gives a result in spite of the deadline,
// that result is returned together with the error. what names the one that was silent: Kafka at kafka:9092.
func within[T any](ctx context.Context, limit time.Duration, what string, call func(context.Context) (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	bounded, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	answer := make(chan result, 1) // room for one, so that an abandoned call can still end
	go func() {
		v, err := call(bounded)
		answer <- result{v, err}
	}()
	select {
	case r := <-answer:
		return r.value, silent(bounded, r.err, limit, what)
	case <-bounded.Done():
	}
	late := time.NewTimer(grace)
	defer late.Stop()
	select {
	case r := <-answer:
		return r.value, silent(bounded, r.err, limit, what)
	case <-late.C:
		var none T
		return none, silent(bounded, bounded.Err(), limit, what)
	}
}

// silent gives an error that means "no answer in time" its text; others it leaves alone.
func silent(ctx context.Context, err error, limit time.Duration, what string) error {
	var own interface{ ExitCode() int }
	if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(ctx.Err(), context.DeadlineExceeded) || errors.As(err, &own) {
		return err
	}
	return &exitError{
		code: exitUnreachable, text: fmt.Sprintf("%s did not answer within %s", what, config.FormatDuration(limit)),
		hint: "--timeout waits longer", err: err,
	}
}
