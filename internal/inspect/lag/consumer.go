package lag

import (
	"cmp"
	"slices"
	"time"
)

// ConsumerLag is the lag of one group in one topic, the answer of GET /metrics/consumer_lag.
type ConsumerLag struct {
	GroupID     string       `json:"group_id"`
	Topic       string       `json:"topic"`
	Complete    bool         `json:"complete"`
	TotalLag    Maybe[int64] `json:"total_lag"`               // null where a partition is unknown
	TotalLagMin *int64       `json:"total_lag_min,omitempty"` // the known ones, where TotalLag is null
	// MaxLagSeconds is the age of the oldest unread record; null where that of a partition is unknown.
	MaxLagSeconds Maybe[float64] `json:"max_lag_seconds"`
	Partitions    []PartitionLag `json:"partitions"`
	Timestamp     time.Time      `json:"timestamp"`
}

// PartitionLag is the lag of one partition.
type PartitionLag struct {
	Partition     int32          `json:"partition"`
	CurrentOffset Maybe[int64]   `json:"current_offset"`
	LogEndOffset  Maybe[int64]   `json:"log_end_offset"`
	Lag           Maybe[int64]   `json:"lag"`
	LagSeconds    Maybe[float64] `json:"lag_seconds"` // age of the next record; 0: none waits
	Status        Status         `json:"status"`
	Member        Maybe[string]  `json:"member"`
}

// Consumer returns the lag of group in topic. ok is false where there is no such group, or it has nothing to do with
// the topic.
func (r Report) Consumer(group, topic string) (c ConsumerLag, ok bool) {
	i := slices.IndexFunc(r.Groups, func(g Group) bool { return g.Group == group })
	if i < 0 {
		return ConsumerLag{}, false
	}
	rows := only(r.Groups[i].Partitions, func(row *Row) bool { return row.Topic == topic })
	if len(rows) == 0 || allGone(rows) {
		return ConsumerLag{}, false
	}
	slices.SortFunc(rows, func(a, b *Row) int { return cmp.Compare(a.Partition, b.Partition) })
	c = ConsumerLag{GroupID: group, Topic: topic, Timestamp: r.AsOf.UTC().Truncate(time.Second)}
	total, all := sum(rows, func(row *Row) Maybe[int64] { return row.Unread })
	c.Complete = all
	if all {
		c.TotalLag = total
	} else {
		c.TotalLagMin = &total.V
	}
	c.MaxLagSeconds = Know(0.0)
	for _, row := range rows {
		p := PartitionLag{
			Partition: row.Partition, CurrentOffset: row.Committed, LogEndOffset: row.End, Lag: row.Unread, LagSeconds: row.LagSeconds(),
			Status: row.Status,
		}
		c.MaxLagSeconds = Maybe[float64]{
			V: max(c.MaxLagSeconds.V, p.LagSeconds.V), Known: c.MaxLagSeconds.Known && p.LagSeconds.Known,
		}
		if row.Owner != nil {
			p.Member = Know(row.Owner.ClientID)
		}
		c.Partitions = append(c.Partitions, p)
	}
	if !c.MaxLagSeconds.Known {
		c.MaxLagSeconds.V = 0
	}
	return c, true
}

// LagSeconds is how long the next record has waited, 0 where none waits; in a tier, for how long it has been due.
func (r Row) LagSeconds() Maybe[float64] {
	if tier(r.Role) {
		return r.OldestOverdue
	}
	return r.Oldest
}

func allGone(rows []*Row) bool {
	return !slices.ContainsFunc(rows, func(r *Row) bool { return r.Status != Gone })
}
