package serve

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"commerce.internal/orderctl/internal/inspect/lag"
	"commerce.internal/orderctl/internal/queue"
)

// LagSource knows the lag of a consumer group, from its last look at the broker.
type LagSource interface {
	// Consumer returns the lag of a group on a topic. queue.ErrNotFound: no such group or topic. Any other error: it is not
	// known, or too old to be shown.
	Consumer(ctx context.Context, group, topic string) (lag.ConsumerLag, error)
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
	found, err := s.o.Lag.Consumer(r.Context(), group, topic)
	switch {
	case errors.Is(err, queue.ErrNotFound):
		return fail(codeNotFound, "No such consumer group or topic.")
	case err != nil:
		return fail(codeLagUnavailable, "The brokers have not said for too long how far the group is.")
	}
	if found.Partitions == nil {
		found.Partitions = []lag.PartitionLag{}
	}
	if strings.HasPrefix(r.Header.Get("Accept"), "text/plain") {
		w.Header()["X-Content-Type-Options"] = s.statics.nosniff
		w.Header().Set(hdrContentType, "text/plain; version=0.0.4; charset=utf-8")
		_, _ = w.Write(exposition(found)) //nolint:gosec // G705: text/plain with nosniff, labels escaped; the asker may be gone
		return nil
	}
	b, err := json.Marshal(found)
	if err != nil {
		return fail(codeInternal, "The lag cannot be shown.")
	}
	w.Header()[hdrContentType] = s.statics.json
	_, _ = w.Write(append(b, '\n')) // the asker may be gone
	return nil
}

// exposition is the lag in the text form of Prometheus; what is not known is absent.
func exposition(l lag.ConsumerLag) []byte {
	label := func(s string) string {
		return strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(strings.ToValidUTF8(s, "\uFFFD"))
	}
	b := []byte("# HELP kafka_consumer_lag Records of a partition that the group has not finished.\n# TYPE kafka_consumer_lag gauge\n")
	for _, p := range l.Partitions {
		if !p.Lag.Known {
			continue
		}
		b = append(b, `kafka_consumer_lag{group="`+label(l.GroupID)+`",topic="`+label(l.Topic)+`",partition="`...)
		b = strconv.AppendInt(b, int64(p.Partition), 10)
		b = strconv.AppendInt(append(b, `"} `...), p.Lag.V, 10)
		b = append(b, '\n')
	}
	return b
}
