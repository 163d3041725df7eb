package group

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"time"

	"github.com/IBM/sarama"

	"commerce.internal/orderctl/internal/obs"
)

// repeatAfter is how long an error that repeats is only counted.
const repeatAfter = time.Minute

// drain takes what sarama tells beside its answers, for the life of the group: undrained it would be dropped. A refused
// commit shows nowhere else.
func (g *Group) drain(ctx context.Context, errs <-chan error) {
	told := map[string]time.Time{}
	for err := range errs {
		g.met.errors.Inc()
		if code, ok := commitCode(err); ok {
			g.commits.refuse(code)
		}
		text := err.Error()
		if time.Since(told[text]) < repeatAfter {
			continue
		}
		if len(told) > 100 {
			clear(told)
		}
		told[text] = time.Now()
		g.log.WarnContext(ctx, "kafka reports an error", slog.String(obs.KeyGroup, g.opts.Group), slog.String(obs.KeyError, text))
	}
}

// commitCode returns the code of an error that only an OffsetCommit has. Whether a commit failed for another reason shows
// when what is committed is read.
func commitCode(err error) (string, bool) {
	var code sarama.KError
	if !errors.As(err, &code) {
		return "", false
	}
	switch code {
	case sarama.ErrOffsetMetadataTooLarge, sarama.ErrOffsetsLoadInProgress, sarama.ErrConsumerCoordinatorNotAvailable,
		sarama.ErrNotCoordinatorForConsumer, sarama.ErrIllegalGeneration, sarama.ErrUnknownMemberId, sarama.ErrRebalanceInProgress,
		sarama.ErrInvalidCommitOffsetSize, sarama.ErrGroupAuthorizationFailed, sarama.ErrFencedInstancedId, sarama.ErrKafkaStorageError:
		return strconv.Itoa(int(code)), true
	}
	return "", false
}

// fatal: trying again cannot help.
func fatal(err error) bool {
	return errors.Is(err, sarama.ErrFencedInstancedId) || errors.Is(err, sarama.ErrInconsistentGroupProtocol) ||
		errors.Is(err, sarama.ErrInvalidSessionTimeout) || errors.Is(err, sarama.ErrInvalidGroupId) ||
		errors.Is(err, sarama.ErrClosedConsumerGroup)
}

func denied(err error) bool {
	return errors.Is(err, sarama.ErrGroupAuthorizationFailed) || errors.Is(err, sarama.ErrTopicAuthorizationFailed) ||
		errors.Is(err, sarama.ErrSASLAuthenticationFailed)
}
