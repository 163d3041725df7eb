package publish

import (
	"errors"
	"net"

	"github.com/IBM/sarama"

	"commerce.internal/orderctl/internal/kafka"
	"commerce.internal/orderctl/internal/queue"
)

func notSent(reason string, err error) *queue.PublishError {
	return &queue.PublishError{Kind: queue.NotSent, Reason: reason, Err: err}
}

// judge says what is certain about a record that sarama failed. Only two things are: a record that was never encoded was
// never written, and one that the broker refused alone for what it is never will be. All else may lie in the log, for
// sarama does not tell whether an earlier attempt had arrived.
func (p *Producer) judge(f *flight, err error) *queue.PublishError {
	out := &queue.PublishError{Kind: queue.Unknown, Reason: reason(err), Err: err}
	if out.Reason == reasonDenied {
		out.Err = kafka.Options{}.Explain(err)
	}
	turn := f.turn.Load()
	switch {
	case turn == 0 && isConfiguration(err): // sarama's own size check
		out.Kind, out.Reason = queue.Rejected, "too-large"
	case turn == 0:
		out.Kind = queue.NotSent
	case refused(err):
		// A batch is refused as a whole, and the innocent must not be rejected for ever: only a record that was alone
		// is. The others may be sent again, and are judged then.
		alone := f.lane.encoded.Load() == 1 && (f.lane.refused == 0 || f.lane.refused+1 != turn)
		f.lane.refused = turn
		if alone {
			out.Kind = queue.Rejected
		}
	}
	return out
}

const reasonDenied = "denied"

func isConfiguration(err error) bool {
	var c sarama.ConfigurationError
	return errors.As(err, &c)
}

func refused(err error) bool {
	return errors.Is(err, sarama.ErrMessageSizeTooLarge) || errors.Is(err, sarama.ErrMessageSetSizeTooLarge) ||
		errors.Is(err, sarama.ErrInvalidRecord) || errors.Is(err, sarama.ErrPolicyViolation)
}

// reason is a bounded slug for metrics and logs.
func reason(err error) string {
	for _, r := range []struct {
		err  error
		slug string
	}{
		{errExpired, "deadline"},
		{sarama.ErrShuttingDown, "closed"},
		{sarama.ErrClosedClient, "closed"},
		{sarama.ErrMessageSizeTooLarge, "too-large"},
		{sarama.ErrMessageSetSizeTooLarge, "too-large"},
		{sarama.ErrInvalidRecord, "invalid-record"},
		{sarama.ErrPolicyViolation, "policy-violation"},
		{sarama.ErrLeaderNotAvailable, "no-leader"},
		{sarama.ErrNotLeaderForPartition, "no-leader"},
		{sarama.ErrNotEnoughReplicas, "not-enough-replicas"},
		{sarama.ErrNotEnoughReplicasAfterAppend, "not-enough-replicas"},
		{sarama.ErrRequestTimedOut, "timeout"},
		{sarama.ErrTopicAuthorizationFailed, reasonDenied},
		{sarama.ErrClusterAuthorizationFailed, reasonDenied},
		{sarama.ErrUnknownTopicOrPartition, "no-topic"},
		{sarama.ErrInvalidPartition, "no-partition"},
		{sarama.ErrKafkaStorageError, "storage"},
	} {
		if errors.Is(err, r.err) {
			return r.slug
		}
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return "refused"
	}
	var n net.Error
	if errors.As(err, &n) && n.Timeout() {
		return "timeout"
	}
	return "failed"
}
