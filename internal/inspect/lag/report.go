package lag

import (
	"time"

	"commerce.internal/orderctl/internal/queue"
)

// Schema names the JSON form of a Report.
const Schema = "orderctl.lag/v1"

// Report is the verdict on a window of snapshots. Its JSON form is the answer of "lag -o json".
type Report struct {
	Schema        string         `json:"schema"`
	AsOf          time.Time      `json:"as_of"`
	SnapshotMS    int64          `json:"snapshot_ms"`
	SampleSeconds Maybe[float64] `json:"sample_seconds"` // length of the window; unknown for one snapshot
	Complete      bool           `json:"complete"`       // nothing in it is unknown
	Groups        []Group        `json:"groups"`
	// SilentBrokers did not list their groups where all groups were asked for: those groups are missing.
	SilentBrokers []int32 `json:"silent_brokers"`
	// MissingGroups and MissingTopics were asked for by name and do not exist.
	MissingGroups []string `json:"missing_groups"`
	MissingTopics []string `json:"missing_topics"`
	// MissingPartitions were asked for by number, and no topic that a group has to do with is so large; nor is IdleTopics
	// anything that a group reads. What is not there has no rows, and must not pass for a group that is well.
	MissingPartitions []int32  `json:"-"`
	IdleTopics        []string `json:"-"`
}

// Group is the verdict on one group. Totals are over the source topics that the group subscribes to, see Row.Counted.
type Group struct {
	Group       string        `json:"group"`
	Type        Maybe[string] `json:"type"`
	State       Maybe[string] `json:"state"`
	Protocol    Maybe[string] `json:"protocol"`
	Members     Maybe[int]    `json:"members"`
	Coordinator Maybe[int32]  `json:"coordinator"`
	Problem     Maybe[string] `json:"problem"` // why the group could not be asked; null: it could
	Status      Severity      `json:"status"`
	Reasons     []Status      `json:"reasons"` // worst first
	Complete    bool          `json:"complete"`

	Unread     Maybe[int64] `json:"unread"`
	LowerBound bool         `json:"unread_is_lower_bound"` // a partition is unknown: there may be more
	Stale      Maybe[int64] `json:"stale"`
	Lost       Maybe[int64] `json:"lost"`
	Ahead      Maybe[int64] `json:"ahead"`
	SLOSeconds float64      `json:"slo_seconds"`
	// Oldest is the age of the oldest unread order of the partitions that are known.
	Oldest      Maybe[float64] `json:"oldest_seconds"`
	Known       int            `json:"partitions_known"`
	Total       int            `json:"partitions_total"`
	Flow                       // of the counted partitions together
	Breach                     // of the first partition to come to the SLO
	Partitions  []Row          `json:"partitions"`
	Delayed     []Tier         `json:"delayed"`
	DeadLetters []DeadTopic    `json:"dead_letters"`
}

// Holes is how many partitions are unknown. It is itself not known where nobody tells which partitions there are.
func (g Group) Holes() Maybe[int64] {
	if g.Total == 0 && (g.Problem.V != "" || g.LowerBound) {
		return Maybe[int64]{}
	}
	return Know(int64(g.Total - g.Known))
}

// Flow says where a backlog is heading. Rates are records a second.
type Flow struct {
	In    Maybe[float64] `json:"in_per_second"`
	Out   Maybe[float64] `json:"out_per_second"`
	Drain Maybe[string]  `json:"drain"`       // draining, growing, steady, stalled, idle
	ETA   Maybe[float64] `json:"eta_seconds"` // null: unknown, or never (see Drain)
}

// Breach says when the oldest order becomes older than the SLO. State is breached, forecast, no, or unknown.
type Breach struct {
	State   Maybe[string]  `json:"breach"`
	Seconds Maybe[float64] `json:"breach_seconds"` // by the trend; known for breached (0) and forecast
	// Earliest is certain: not before that, whatever happens, for an age grows by a second a second.
	Earliest Maybe[float64] `json:"breach_earliest_seconds"`
}

// The ways of a backlog, as Flow.Drain has them.
const (
	DrainDraining = "draining"
	DrainGrowing  = "growing"
	DrainSteady   = "steady"
	DrainStalled  = "stalled"
	DrainIdle     = "idle"
)

// The trends, as Row.Trend has them.
const (
	TrendRising  = "rising"
	TrendFalling = "falling"
	TrendFlat    = "flat"
)

// Row is the verdict on one partition of a group. Dead letters have no row.
type Row struct {
	Topic     string       `json:"topic"`
	Partition int32        `json:"partition"` // -1: the partitions of the topic cannot be told
	Role      queue.Role   `json:"role"`
	Commit    string       `json:"commit"` // known, none, unknown
	Committed Maybe[int64] `json:"committed"`
	Start     Maybe[int64] `json:"start"`
	Stable    Maybe[int64] `json:"last_stable"`
	End       Maybe[int64] `json:"end"` // for a reader of the isolation level of the snapshot
	High      Maybe[int64] `json:"high_watermark"`
	Unread    Maybe[int64] `json:"unread"`
	Stale     Maybe[int64] `json:"stale"` // source topics only
	Lost      Maybe[int64] `json:"lost"`
	Ahead     Maybe[int64] `json:"ahead"`
	Held      Maybe[int64] `json:"held"`
	// Oldest is the age of the next record, 0 where nothing waits; in a tier, where nothing is due. The true age lies
	// between Oldest - Precision and Oldest.
	Oldest    Maybe[float64] `json:"oldest_seconds"`
	Precision Maybe[float64] `json:"oldest_precision_seconds"`
	// Compacted says that records of the topic may be missing, so that the age is a guess.
	Compacted     bool           `json:"compacted"`
	TimestampType Maybe[string]  `json:"timestamp_type"`
	LossEarliest  Maybe[float64] `json:"loss_earliest_seconds"` // not before that may retention delete an unread record
	RetentionUsed Maybe[float64] `json:"retention_used"`        // 1: the whole log is unread; known where its size is limited
	NoProgress    Maybe[float64] `json:"no_progress_seconds"`   // owned, something to do, and the offset unchanged for so long
	Flow
	// Change is how many more records are unread than at the last look; Trend is where they are heading over the window:
	// rising, falling, flat.
	Change Maybe[int64]  `json:"unread_change"`
	Trend  Maybe[string] `json:"trend"`
	Breach
	Status   Status        `json:"status"`
	Reasons  []Status      `json:"reasons"`
	Leader   Maybe[int32]  `json:"leader"`
	Epoch    Maybe[int32]  `json:"leader_epoch"`
	ISR      Maybe[int]    `json:"isr"`
	Replicas Maybe[int]    `json:"replicas"`
	Owner    *Owner        `json:"owner"` // null: nobody, or not known (the members of the group tell)
	Problem  Maybe[string] `json:"problem"`

	// Counted says that the row belongs to the totals of its group.
	Counted bool `json:"counted"`
	// Severity is how bad the worst of Reasons is.
	Severity Severity `json:"-"`
	// Overdue and Parked split the unread of a tier: due, and not yet due.
	Overdue Maybe[int64] `json:"-"`
	Parked  Maybe[int64] `json:"-"`
	// OldestOverdue is for how long the next record of a tier has been due, in seconds; 0: none is.
	OldestOverdue Maybe[float64] `json:"-"`

	findings []finding
	suspect  bool          // a timestamp lies in the future
	still    time.Duration // without progress
	kept     time.Duration // retention of the topic
}

// The values of Row.Commit.
const (
	CommitKnown   = "known"
	CommitNone    = "none"
	CommitUnknown = "unknown"
)

// Owner is the member that a partition is assigned to.
type Owner struct {
	MemberID   string        `json:"member_id"`
	ClientID   string        `json:"client_id"`
	Host       string        `json:"host"`
	InstanceID Maybe[string] `json:"instance_id"`
}

// Tier sums up a delayed topic of a group.
type Tier struct {
	Topic        string       `json:"topic"`
	DelaySeconds float64      `json:"delay_seconds"`
	Depth        Maybe[int64] `json:"depth"`
	Parked       Maybe[int64] `json:"parked"`
	Overdue      Maybe[int64] `json:"overdue"`
	// OldestOverdue is for how long the first record has been due, in seconds; 0: none is.
	OldestOverdue Maybe[float64] `json:"oldest_overdue_seconds"`
	LastHour      Maybe[int64]   `json:"last_hour"` // records written within the last hour
}

// DeadTopic sums up a dead-letter topic of a group. Its figures are upper bounds: second copies, compaction and foreign
// transactions leave offsets without a letter.
type DeadTopic struct {
	Topic    string       `json:"topic"`
	DepthMax Maybe[int64] `json:"depth_max"`
	// Undecided is the number of dead messages in the store; whoever can reach the store fills it in.
	Undecided   Maybe[int64] `json:"undecided"`
	LastHourMax Maybe[int64] `json:"last_hour_max"`
}
