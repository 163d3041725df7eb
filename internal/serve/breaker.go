package serve

import (
	"errors"

	"github.com/sony/gobreaker/v2"

	"commerce.internal/orderctl/internal/queue"
)

// What a ticket is given back with.
var (
	errShed    = errors.New("not tried")                     // excluded: it says nothing about the partition
	errFailed  = errors.New("no known outcome")              // counts; several in a row open the breaker
	errNoHope  = errors.New("no leader")                     // opens it at once
	errAborted = errors.New("the breaker does not let pass") // no ticket
)

// Reasons of a publisher that mean that nobody would take an order of this partition now.
const (
	reasonNoLeader = "no-leader"
	reasonRefused  = "refused"
	reasonBusy     = "busy"
)

// breaker gives up a partition whose orders have no known outcome, and lets one order try again a while later. Outcomes of
// orders admitted before its last change of state do not move it.
type breaker struct {
	two *gobreaker.TwoStepCircuitBreaker[struct{}]
}

func newBreaker(o Breaker) *breaker {
	hopeless := false // written by IsSuccessful, read by ReadyToTrip: both run under the breaker's lock
	return &breaker{two: gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		MaxRequests: 1,
		Timeout:     o.Probe,
		IsExcluded:  func(err error) bool { return errors.Is(err, errShed) },
		IsSuccessful: func(err error) bool {
			hopeless = errors.Is(err, errNoHope)
			return err == nil
		},
		ReadyToTrip: func(c gobreaker.Counts) bool {
			return hopeless || c.ConsecutiveFailures >= uint32(o.Failures) //nolint:gosec // G115: validated to be above 0, and small
		},
	})}
}

// allow returns the ticket of one order; it is given back exactly once, with the verdict on its outcome.
func (b *breaker) allow() (ticket func(error), err error) {
	ticket, err = b.two.Allow()
	if err != nil {
		return nil, errAborted
	}
	return ticket, nil
}

// state is 0 closed, 1 half open, 2 open.
func (b *breaker) state() float64 { return float64(b.two.State()) }

func (b *breaker) open() bool { return b.two.State() == gobreaker.StateOpen }

// verdict is what an outcome says about its partition. A refusal by the broker is a success: the broker lives.
func (o outcome) verdict() error {
	switch {
	case o.kind == accepted, o.kind == rejected:
		return nil
	case o.reason == reasonNoLeader || o.reason == reasonRefused:
		return errNoHope
	case o.kind == notSent && o.reason == reasonBusy:
		return errShed
	default:
		return errFailed
	}
}

// outcomeKind is what became of an order at the publisher.
type outcomeKind int

const (
	accepted outcomeKind = iota
	notSent
	rejected
	unknown
	outcomeKinds
)

func (o outcomeKind) String() string {
	return [...]string{"accepted", outcomeNotSent, "rejected", outcomeUnknown}[o]
}

// outcome is what is known about one publication.
type outcome struct {
	kind   outcomeKind
	offset int64 // of an accepted one; below 0: not named by the broker
	reason string
	err    error
}

// outcomeOf reads the answer of the publisher after the hand-over.
func outcomeOf(ack queue.Ack, err error) outcome {
	if err == nil {
		return outcome{kind: accepted, offset: ack.Position.Offset}
	}
	o := outcome{kind: unknown, offset: -1, err: err}
	switch queue.KindOf(err) {
	case queue.NotSent:
		o.kind = notSent
	case queue.Rejected:
		o.kind = rejected
	}
	var p *queue.PublishError
	if errors.As(err, &p) {
		o.reason = p.Reason
	}
	return o
}

// outcomeAtOnce reads an error of the hand-over itself: by its contract certainly not written, unless it says otherwise.
func outcomeAtOnce(err error) outcome {
	o := outcomeOf(queue.Ack{}, err)
	var p *queue.PublishError
	if !errors.As(err, &p) {
		o.kind = notSent
	}
	return o
}
