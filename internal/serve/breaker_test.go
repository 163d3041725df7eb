package serve

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"commerce.internal/orderctl/internal/queue"
)

func open(t *testing.T, b *breaker) {
	t.Helper()
	ticket, err := b.allow()
	if err != nil {
		t.Fatal(err)
	}
	ticket(errNoHope)
	if b.state() != 2 || !b.open() {
		t.Fatalf("state %v after no leader", b.state())
	}
}

func TestHalfOpenLetsOneThrough(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(Breaker{Failures: 5, Probe: time.Second})
		open(t, b)
		if _, err := b.allow(); err == nil {
			t.Error("open, and lets through")
		}
		<-time.After(time.Second + 1)
		probe, err := b.allow()
		if err != nil || b.state() != 1 {
			t.Fatalf("after a second: %v, state %v", err, b.state())
		}
		if _, err := b.allow(); err == nil {
			t.Error("a second one beside the probe")
		}
		probe(errShed) // not tried: the next may
		if probe, err = b.allow(); err != nil {
			t.Fatalf("after a probe that was not tried: %v", err)
		}
		probe(nil)
		if b.state() != 0 {
			t.Errorf("state %v after a success", b.state())
		}
	})
}

// Orders admitted before a change of state say nothing about what came after it.
func TestOldTicketsDoNotMoveTheBreaker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(Breaker{Failures: 2, Probe: time.Second})
		var old []func(error)
		for range 10 {
			ticket, err := b.allow()
			if err != nil {
				t.Fatal(err)
			}
			old = append(old, ticket)
		}
		open(t, b)
		old[0](nil)
		<-time.After(time.Second + 1)
		probe, err := b.allow()
		if err != nil {
			t.Fatal(err)
		}
		old[1](nil)
		old[2](errNoHope)
		if b.state() != 1 {
			t.Errorf("state %v: an old outcome decided the probe", b.state())
		}
		probe(nil)
		for _, ticket := range old[3:] {
			ticket(errFailed)
		}
		if b.state() != 0 {
			t.Errorf("state %v: old failures opened it again", b.state())
		}
	})
}

func TestVerdicts(t *testing.T) {
	t.Parallel()
	at := func(k queue.PublishKind, reason string) outcome {
		return outcomeOf(queue.Ack{}, &queue.PublishError{Kind: k, Reason: reason})
	}
	for name, tt := range map[string]struct {
		out  outcome
		want error
	}{
		"accepted":             {outcomeOf(queue.Ack{Position: queue.Position{Offset: 3}}, nil), nil},
		"rejected":             {at(queue.Rejected, "too-large"), nil},
		"no leader":            {at(queue.NotSent, "no-leader"), errNoHope},
		"refused":              {at(queue.NotSent, "refused"), errNoHope},
		"no leader, attempted": {at(queue.Unknown, "no-leader"), errNoHope},
		"busy":                 {at(queue.NotSent, "busy"), errShed},
		"deadline":             {at(queue.NotSent, "deadline"), errFailed},
		"unknown":              {at(queue.Unknown, "timeout"), errFailed},
		"busy, but attempted":  {at(queue.Unknown, "busy"), errFailed},
		"another error":        {outcomeOf(queue.Ack{}, errors.New("eof")), errFailed},
	} {
		if got := tt.out.verdict(); !errors.Is(got, tt.want) {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
	if out := outcomeAtOnce(errors.New("x")); out.kind != notSent {
		t.Errorf("a hand-over that failed is certainly not written, not %v", out.kind)
	}
	if out := outcomeAtOnce(&queue.PublishError{Kind: queue.Unknown}); out.kind != unknown {
		t.Errorf("unless it says otherwise: %v", out.kind)
	}
}
