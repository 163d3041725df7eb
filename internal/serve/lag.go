package serve

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"commerce.internal/orderctl/internal/queue"
)

// LagSource knows the lag of a consumer group, from its last look at the broker.
type LagSource interface {
	// Consumer returns the lag of a group on a topic. queue.ErrNotFound: no such group or topic. Any other error: it is not
	// known, or too old to be shown.
	Consumer(ctx context.Context, group, topic string) (ConsumerLag, error)
}

// ConsumerLag is the lag of one group on one topic. A nil pointer is a number that is not known; unknown is never 0.
type ConsumerLag struct {
	Group         string         `json:"group_id"`
	Topic         string         `json:"topic"`
	Complete      bool           `json:"complete"`
	TotalLag      *int64         `json:"total_lag"`               // nil: not complete
	TotalLagMin   *int64         `json:"total_lag_min,omitempty"` // the sum of what is known, when not complete
	MaxLagSeconds *float64       `json:"max_lag_seconds"`
	Partitions    []PartitionLag `json:"partitions"`
	Timestamp     time.Time      `json:"timestamp"` // of the look
}

// PartitionLag is the lag of one partition.
type PartitionLag struct {
	Partition     int32    `json:"partition"`
	CurrentOffset *int64   `json:"current_offset"`
	LogEndOffset  *int64   `json:"log_end_offset"`
	Lag           *int64   `json:"lag"`
	LagSeconds    *float64 `json:"lag_seconds"`
	Status        string   `json:"status"`
	Member        *string  `json:"member"`
}

// ConsumerLag serves /metrics/consumer_lag; the admin listener mounts it too.
func (s *Server) ConsumerLag() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		group, topic := q.Get("group"), q.Get("topic")
		if group == "" {
			group = s.o.Group
		}
		if topic == "" {
			topic = s.o.Topic
		}
		if p := s.answerLag(w, r, group, topic); p != nil {
			s.writeProblem(w, r, p, w.Header().Get(hdrRequestID), "")
		}
	})
}

func (s *Server) answerLag(w http.ResponseWriter, r *http.Request, group, topic string) *problem {
	if s.o.Lag == nil {
		return fail(codeLagUnavailable, "This server does not watch consumer groups.")
	}
	lag, err := s.o.Lag.Consumer(r.Context(), group, topic)
	switch {
	case errors.Is(err, queue.ErrNotFound):
		return fail(codeNotFound, "No such consumer group or topic.")
	case err != nil:
		return fail(codeLagUnavailable, "The brokers have not said for too long how far the group is.")
	}
	if lag.Partitions == nil {
		lag.Partitions = []PartitionLag{}
	}
	if strings.HasPrefix(r.Header.Get("Accept"), "text/plain") {
		w.Header()["X-Content-Type-Options"] = s.statics.nosniff
		w.Header().Set(hdrContentType, "text/plain; version=0.0.4; charset=utf-8")
		_, _ = w.Write(lag.exposition()) //nolint:gosec // G705: text/plain with nosniff, labels escaped; the asker may be gone
		return nil
	}
	b, err := json.Marshal(lag)
	if err != nil {
		return fail(codeInternal, "The lag cannot be shown.")
	}
	w.Header()[hdrContentType] = s.statics.json
	_, _ = w.Write(append(b, '\n')) // the asker may be gone
	return nil
}

// exposition is the lag in the text form of Prometheus; what is not known is absent.
func (l ConsumerLag) exposition() []byte {
	label := func(s string) string {
		return strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(strings.ToValidUTF8(s, "\uFFFD"))
	}
	b := []byte("# HELP kafka_consumer_lag Records of a partition that the group has not finished.\n# TYPE kafka_consumer_lag gauge\n")
	for _, p := range l.Partitions {
		if p.Lag == nil {
			continue
		}
		b = append(b, `kafka_consumer_lag{group="`+label(l.Group)+`",topic="`+label(l.Topic)+`",partition="`...)
		b = strconv.AppendInt(b, int64(p.Partition), 10)
		b = strconv.AppendInt(append(b, `"} `...), *p.Lag, 10)
		b = append(b, '\n')
	}
	return b
}
