package broker

import (
	"context"
	"log/slog"
	"math"
	"strconv"
	"strings"
	"time"
)

const (
	defaultRetention = 7 * 24 * time.Hour // of a topic that does not name one, as in Kafka
	warnLogBytes     = 1 << 30
)

// retain drops what the topics' retention allows: whole closed segments, the last one always stays. kfake's own
// retention empties logs, and an empty log restarts at offset 0.
func (b *Broker) retain(ctx context.Context, now time.Time) {
	parts, err := partitions(b.dir)
	if err != nil {
		b.opts.Log.ErrorContext(ctx, "cannot apply retention", slog.String("error", err.Error()))
		return
	}
	var total int64
	for _, p := range parts {
		segs, err := segments(p.dir)
		if err != nil {
			b.opts.Log.ErrorContext(ctx, "cannot apply retention", slog.String("topic", p.topic),
				slog.Int64("partition", int64(p.partition)), slog.String("error", err.Error()))
			continue
		}
		total += sizeOf(segs)
		b.retainPartition(ctx, p, segs, now)
	}
	b.warnOfSize(ctx, total)
}

func (b *Broker) retainPartition(ctx context.Context, p partition, segs []segment, now time.Time) {
	topic := b.cluster.TopicInfo(p.topic)
	if topic == nil || len(segs) < 2 {
		return
	}
	keep := policyOf(topic.Configs)
	cut := keep.cut(segs, now, b.newest)
	cut = min(cut, b.uncommitted(p))
	if cut <= segs[0].base {
		return
	}
	cut = bound(segs, cut)
	at := b.cluster.PartitionInfo(p.topic, p.partition)
	if at == nil || cut <= at.LogStartOffset || cut > at.HighWatermark {
		return
	}
	if err := b.cluster.DeleteRecords(p.topic, p.partition, cut); err != nil {
		b.opts.Log.ErrorContext(ctx, "cannot apply retention", slog.String("topic", p.topic),
			slog.Int64("partition", int64(p.partition)), slog.String("error", err.Error()))
		return
	}
	b.opts.Log.InfoContext(ctx, "retention dropped old segments", slog.String("topic", p.topic),
		slog.Int64("partition", int64(p.partition)), slog.Int64("log_start", cut))
}

// uncommitted returns the lowest offset that a group in Options.Groups has not committed. One without a commit spares
// the whole partition, also when it will never read it.
func (b *Broker) uncommitted(p partition) int64 {
	low := int64(math.MaxInt64)
	for _, group := range b.opts.Groups {
		info := b.cluster.GroupInfo(group)
		if info == nil {
			return 0
		}
		commit, ok := info.Commits[p.topic][p.partition]
		if !ok {
			return 0
		}
		low = min(low, commit.Offset)
	}
	return low
}

// newest returns the newest record time of a closed segment, which never changes again; 0: it cannot be told.
func (b *Broker) newest(s segment) int64 {
	if at, ok := b.sealed[s.path]; ok {
		return at
	}
	at, err := newestRecord(s.path)
	if err != nil {
		return math.MaxInt64 // kept
	}
	b.sealed[s.path] = at
	return at
}

// warnOfSize says once that a start after a crash will read all of a large log.
func (b *Broker) warnOfSize(ctx context.Context, total int64) {
	if total <= warnLogBytes || b.warned {
		return
	}
	b.warned = true
	b.opts.Log.WarnContext(ctx, "the log is large: a start after a crash reads all of it into memory",
		slog.String("dir", b.dir), slog.Int64("bytes", total))
}

// policy is the retention of one topic. Below 0: for ever.
type policy struct {
	age   time.Duration
	bytes int64
}

func policyOf(configs map[string]*string) policy {
	p := policy{age: defaultRetention, bytes: -1}
	if c := configs["cleanup.policy"]; c != nil && !strings.Contains(*c, "delete") {
		return policy{age: -1, bytes: -1}
	}
	if n, ok := number(configs["retention.ms"]); ok {
		p.age = time.Duration(min(n, math.MaxInt64/int64(time.Millisecond))) * time.Millisecond
	}
	if n, ok := number(configs["retention.bytes"]); ok {
		p.bytes = n
	}
	return p
}

// cut returns the offset below which the policy wants nothing: a bound between two segments.
func (p policy) cut(segs []segment, now time.Time, newest func(segment) int64) int64 {
	at, left := segs[0].base, sizeOf(segs)
	for i, s := range segs[:len(segs)-1] {
		old := p.age >= 0 && now.UnixMilli()-newest(s) > p.age.Milliseconds()
		big := p.bytes >= 0 && left-s.size >= p.bytes
		if !old && !big {
			break
		}
		at = segs[i+1].base
		left -= s.size
	}
	return at
}

// bound returns the last bound between segments that is not above an offset.
func bound(segs []segment, offset int64) int64 {
	at := segs[0].base
	for _, s := range segs {
		if s.base <= offset {
			at = s.base
		}
	}
	return at
}

func number(s *string) (int64, bool) {
	if s == nil {
		return 0, false
	}
	n, err := strconv.ParseInt(*s, 10, 64)
	return n, err == nil
}
