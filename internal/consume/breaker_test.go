package consume

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func testBreaker() *breaker {
	return newBreaker(BreakerOptions{Failures: 5, Ratio: 0.5, Window: 20, ProbeMin: time.Second, ProbeMax: 30 * time.Second}, time.Now)
}

func TestTheBreakerOpensOnFailuresInARow(t *testing.T) {
	t.Parallel()
	b := testBreaker()
	for i := range 5 {
		if opened := b.failure(); opened != (i == 4) {
			t.Errorf("after %d failures: opened %v", i+1, opened)
		}
		if i == 2 {
			b.success()
			b.row = 3
		}
	}
	if state, since := b.open(); state != breakerOpen || since.IsZero() {
		t.Errorf("state %d since %v", state, since)
	}
}

func TestTheBreakerOpensOnHalfOfTheLast(t *testing.T) {
	t.Parallel()
	b := testBreaker()
	for i := range 19 {
		opened := false
		if i%2 == 0 {
			opened = b.failure()
		} else {
			b.success()
		}
		if opened {
			t.Fatalf("opened after %d attempts", i+1)
		}
	}
	if !b.failure() {
		t.Error("half of 20 failed, and it is closed")
	}
}

func TestTheBreakerLetsOneProbeThrough(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := testBreaker()
		for range 5 {
			b.failure()
		}
		b.failure() // of an attempt that began before
		began := time.Now()
		probes := make(chan bool, 10)
		ctx, cancel := context.WithCancel(t.Context())
		for range 3 {
			go func() {
				if probe, err := b.enter(ctx); err == nil {
					probes <- probe
				}
			}()
		}
		if !<-probes || time.Since(began) != time.Second {
			t.Errorf("the first probe came after %v", time.Since(began))
		}
		synctest.Wait()
		if len(probes) != 0 {
			t.Error("a second one went with it")
		}
		b.leave(true) // it tried nothing
		if !<-probes || time.Since(began) != time.Second {
			t.Error("the next one must come at once")
		}
		if !b.success() {
			t.Error("its success closes the breaker")
		}
		b.leave(true)
		if <-probes {
			t.Error("closed, nobody is a probe")
		}
		if state, since := b.open(); state != breakerClosed || !since.IsZero() {
			t.Errorf("state %d since %v", state, since)
		}
		cancel()
		if _, err := b.enter(ctx); err == nil {
			t.Error("enter must end with its context")
		}
	})
}

func TestProbesGrowRare(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := testBreaker()
		for range 5 {
			b.failure()
		}
		began, last := time.Now(), time.Duration(0)
		for time.Since(began) < 20*time.Minute {
			before := time.Now()
			if _, err := b.enter(t.Context()); err != nil {
				t.Fatal(err)
			}
			wait := time.Since(before)
			if wait < time.Second || wait > 30*time.Second || wait < last {
				t.Errorf("waited %v after %v", wait, last)
			}
			if time.Since(began) < time.Minute && wait > 4*time.Second {
				t.Errorf("waited %v within the first minute", wait)
			}
			last = wait
			b.failure()
		}
		if last != 30*time.Second {
			t.Errorf("the last wait was %v", last)
		}
	})
}
