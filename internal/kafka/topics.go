package kafka

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/IBM/sarama"

	"commerce.internal/orderctl/internal/queue"
)

// Partitions returns the partition counts of topics. All must be there: one that is missing is an error of kind
// queue.ErrNotFound that names the command which makes it.
func Partitions(ctx context.Context, o Options, topics ...string) (map[string]int32, error) {
	meta, err := Metadata(ctx, o, topics...)
	if err != nil {
		return nil, err
	}
	counts := map[string]int32{}
	var missing []string
	for _, t := range meta.Topics {
		switch t.Err {
		case sarama.ErrNoError, sarama.ErrLeaderNotAvailable:
			counts[t.Name] = int32(len(t.Partitions)) //nolint:gosec // Kafka counts partitions in 32 bits
		case sarama.ErrUnknownTopicOrPartition:
			missing = append(missing, t.Name)
		default:
			return nil, fmt.Errorf("describe topic %s: %w", t.Name, o.Explain(t.Err))
		}
	}
	for _, t := range topics {
		if _, ok := counts[t]; !ok && !slices.Contains(missing, t) {
			missing = append(missing, t)
		}
	}
	if len(missing) > 0 {
		return nil, NotFound(missing...)
	}
	return counts, nil
}

// Metadata asks the cluster about topics, past the caches of any client. It never makes a topic.
func Metadata(ctx context.Context, o Options, topics ...string) (*sarama.MetadataResponse, error) {
	return Ask(ctx, o, func(b *sarama.Broker) (*sarama.MetadataResponse, error) {
		return b.GetMetadata(sarama.NewMetadataRequest(apiVersion(), topics))
	})
}

// NotFound is the error for topics that are not there.
func NotFound(topics ...string) *Error {
	quoted := make([]string, len(topics))
	for i, t := range topics {
		quoted[i] = fmt.Sprintf("%q", t)
	}
	text := "topic " + quoted[0] + " not found"
	if len(topics) > 1 {
		text = "topics " + strings.Join(quoted, ", ") + " not found"
	}
	return &Error{Text: text, Tip: "run: orderctl topics apply", Code: exitNotFound, Kind: queue.ErrNotFound}
}
