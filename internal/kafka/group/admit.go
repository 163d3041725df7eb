package group

import (
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/IBM/sarama"

	"commerce.internal/orderctl/internal/kafka"
	"commerce.internal/orderctl/internal/obs"
)

// Why a partition is not read.
const (
	haltAboveEnd = "offset-above-end"
	haltAnother  = "topic-made-anew"
)

// gate stands between sarama's consumer group and its client. sarama asks PartitionNotReadable before it starts a claim,
// and waits, without reading or committing anything, while the answer is yes: the one place where an offset that is out of
// range can be mended before it ends the session of all partitions.
type gate struct {
	sarama.Client
	look  *kafka.Client
	admit func(topic string, partition int32) bool
}

// PartitionNotReadable implements sarama.Client.
func (g gate) PartitionNotReadable(topic string, partition int32) bool {
	return g.Client.PartitionNotReadable(topic, partition) || !g.admit(topic, partition)
}

// GetOffset implements sarama.Client. The claim asks twice for it at its start; over the connections of the group that
// would wait behind a fetch each time.
func (g gate) GetOffset(topic string, partition int32, at int64) (int64, error) {
	return g.look.GetOffset(topic, partition, at)
}

// admit mends the position of a partition that is about to be read. It reports false while the partition must not be read;
// sarama asks again every 5 s.
func (g *Group) admit(topic string, partition int32) bool {
	at := place{topic, partition}
	g.mu.Lock()
	session := g.session
	_, parked := g.parked[at]
	g.mu.Unlock()
	if parked || session == nil {
		return false
	}
	f, err := g.find(session.Context(), at)
	for try := 0; err != nil && try < 5; try++ { // sarama would ask again after 5 s; an election is over sooner
		select {
		case <-session.Context().Done():
			return false
		case <-time.After(200 * time.Millisecond):
		}
		f, err = g.find(session.Context(), at)
	}
	if err != nil {
		g.log.Warn("the bounds of a partition are not known: asking again", append(attrs(at), slog.Any(obs.KeyError, err))...)
		return false
	}
	reason := f.foreign()
	if err := g.remember(session.Context(), at, f, reason); err != nil {
		g.log.Warn("what a commit belongs to cannot be written down: asking again", append(attrs(at), slog.Any(obs.KeyError, err))...)
		return false
	}
	switch {
	case f.committed < 0: // pins the beginning: what is produced until the first commit must not be skipped
		session.MarkOffset(topic, partition, g.beginning(f.low, f.high), "")
	case reason != "" && g.opts.From != "": // the operator has said where to begin
		session.ResetOffset(topic, partition, f.low, "") // goes only back, a mark only on
		session.MarkOffset(topic, partition, g.beginning(f.low, f.high), "")
	case reason != "":
		g.park(at, f, reason)
		return false
	case f.committed < f.low:
		g.lost(at, f.committed, f.low)
		session.MarkOffset(topic, partition, f.low, "")
	}
	return true
}

func (g *Group) beginning(low, high int64) int64 {
	if g.opts.From == Latest {
		return high
	}
	return low
}

// committed asks the coordinator what is committed.
func (g *Group) committed(look *kafka.Client, partitions map[string][]int32) (map[place]int64, error) {
	coordinator, err := look.Coordinator(g.opts.Group)
	if err != nil {
		return nil, fmt.Errorf("find coordinator of %s: %w", g.opts.Group, err)
	}
	res, err := coordinator.FetchOffset(sarama.NewOffsetFetchRequest(look.Config().Version, g.opts.Group, partitions))
	if err != nil {
		_ = coordinator.Close()
		_ = look.RefreshCoordinator(g.opts.Group)
		return nil, fmt.Errorf("read offsets of %s: %w", g.opts.Group, err)
	}
	found := map[place]int64{}
	for topic, ps := range partitions {
		for _, p := range ps {
			block := res.GetBlock(topic, p)
			if block == nil {
				block = &sarama.OffsetFetchResponseBlock{Err: res.Err, Offset: -1}
			}
			if block.Err != sarama.ErrNoError && block.Err != sarama.ErrGroupIDNotFound {
				_ = look.RefreshCoordinator(g.opts.Group)
				return nil, fmt.Errorf("read offset of %s/%d: %w", topic, p, block.Err)
			}
			found[place{topic, p}] = block.Offset
		}
	}
	return found, nil
}

// lost says that records were deleted unread. Where the log had gaps it were fewer.
func (g *Group) lost(at place, committed, low int64) {
	n := low - committed
	g.met.lost.WithLabelValues(at.topic).Add(float64(n))
	g.log.Error("records were deleted before they were read",
		append(attrs(at), slog.Int64(obs.KeyCount, n), slog.Int64("committed", committed), slog.Int64("log_start", low))...)
	if g.opts.OnLost != nil {
		g.opts.OnLost(at.topic, at.partition, n)
	}
}

// park takes a partition out of reading for this session: its commit belongs to a log that is gone. Nobody but an operator
// knows where to go on.
func (g *Group) park(at place, f found, reason string) {
	g.mu.Lock()
	g.parked[at] = reason
	g.mu.Unlock()
	g.log.Error("the commit belongs to a log that is gone: this partition halts until 'orderctl offsets reset' or --from",
		append(attrs(at), slog.String(obs.KeyReason, reason), slog.Int64("committed", f.committed), slog.Int64("log_end", f.high),
			slog.String("topic_id", f.topicID), slog.String("topic_id_before", f.was.TopicID))...)
	if g.opts.OnHalt != nil {
		g.opts.OnHalt(at.topic, at.partition, reason)
	}
}

// unpark forgets what was parked: all of it, or what is not ours any more.
func (g *Group) unpark(all bool) {
	g.mu.Lock()
	var gone []place
	for at := range g.parked {
		if all || g.session == nil || !slices.Contains(g.session.Claims()[at.topic], at.partition) {
			delete(g.parked, at)
			gone = append(gone, at)
		}
	}
	g.mu.Unlock()
	for _, at := range gone {
		if g.opts.OnHalt != nil {
			g.opts.OnHalt(at.topic, at.partition, "")
		}
	}
}

// Halted returns the partitions of ours that are not read, and why.
func (g *Group) Halted() map[string]map[int32]string {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := map[string]map[int32]string{}
	for at, why := range g.parked {
		if all[at.topic] == nil {
			all[at.topic] = map[int32]string{}
		}
		all[at.topic][at.partition] = why
	}
	return all
}

func attrs(at place) []any {
	return []any{slog.String(obs.KeyTopic, at.topic), slog.Int(obs.KeyPartition, int(at.partition))}
}
