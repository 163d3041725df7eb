package tui

import (
	"context"
	"time"

	"commerce.internal/orderctl/internal/inspect/lag"
	"commerce.internal/orderctl/internal/queue"
)

// Schema names the JSON form of what the dashboard shows: lines of -o jsonl, and saved frames.
const Schema = "orderctl.top/v1"

// Source gives one look at the queue after the other. An error means that nothing came; the next call tries again.
type Source interface {
	Sample(ctx context.Context) (Sample, error)
}

// Sample is one look at the queue.
type Sample struct {
	At      time.Time          `json:"at"`
	TookMS  int64              `json:"took_ms"`
	Group   Group              `json:"group"`
	Rows    []Row              `json:"partitions"`
	Pinned  []Row              `json:"pinned"` // one for each tier, and one for the dead letters
	Pending lag.Maybe[Pending] `json:"pending"`
	Metrics lag.Maybe[Metrics] `json:"metrics"`
	// NoStore says that no store is configured to be asked; NoMetrics the same of metrics.
	NoStore   bool `json:"no_store"`
	NoMetrics bool `json:"no_metrics"`
	// Got is when the sample was there; zero: now. A record keeps it, so that a replay shows what was shown.
	Got time.Time `json:"-"`
}

// Group is the consumer group and its totals, which are sums over the rows that count.
type Group struct {
	Name     string             `json:"name"`
	Missing  bool               `json:"missing"` // it does not exist (yet)
	State    lag.Maybe[string]  `json:"state"`
	Members  lag.Maybe[int]     `json:"members"`
	Names    []string           `json:"member_names"` // client ids, sorted; empty where members are not known
	Brokers  lag.Maybe[int]     `json:"brokers"`
	Severity string             `json:"severity"`
	Status   string             `json:"status"` // the first reason, else OK
	Complete bool               `json:"complete"`
	Unread   lag.Maybe[int64]   `json:"unread"`
	AtLeast  bool               `json:"unread_is_lower_bound"`
	In       lag.Maybe[float64] `json:"in_per_second"`
	Out      lag.Maybe[float64] `json:"out_per_second"`
	RatesMin bool               `json:"rates_are_lower_bounds"`
	Oldest   lag.Maybe[float64] `json:"oldest_seconds"`
	Drain    lag.Maybe[string]  `json:"drain"`
	ETA      lag.Maybe[float64] `json:"eta_seconds"`
	SLO      float64            `json:"slo_seconds"`
	Breach   lag.Maybe[string]  `json:"breach"`
	BreachIn lag.Maybe[float64] `json:"breach_seconds"`

	before *Group // the last one whose members were known; nil: this one
}

// Key names a row: a partition, or, with partition -1, a topic as a whole.
type Key struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
}

// Row is one line of the table.
type Row struct {
	Key
	Name      string             `json:"name"` // of the topic, as the table shows it: orders, retry.5s, dlq
	Role      queue.Role         `json:"role"`
	Committed lag.Maybe[int64]   `json:"committed"`
	Fresh     bool               `json:"never_committed"`
	End       lag.Maybe[int64]   `json:"end"`
	Unread    lag.Maybe[int64]   `json:"unread"`
	AtMost    bool               `json:"unread_is_upper_bound"`
	Lost      lag.Maybe[int64]   `json:"lost"`
	Ahead     lag.Maybe[int64]   `json:"ahead"`
	Overdue   lag.Maybe[int64]   `json:"overdue"`
	In        lag.Maybe[float64] `json:"in_per_second"`
	Out       lag.Maybe[float64] `json:"out_per_second"`
	Oldest    lag.Maybe[float64] `json:"oldest_seconds"`
	Rough     bool               `json:"oldest_is_rough"`
	Due       lag.Maybe[float64] `json:"due_seconds"` // of a tier: until the next one is due
	Status    lag.Status         `json:"status"`
	Severity  string             `json:"severity"`
	Reasons   []lag.Status       `json:"reasons"`
	Counted   bool               `json:"counted"`
	Owner     lag.Maybe[string]  `json:"owner"` // "": nobody
	Host      string             `json:"host"`
	Leader    lag.Maybe[int32]   `json:"leader"`
	ISR       lag.Maybe[int]     `json:"isr"`
	Replicas  lag.Maybe[int]     `json:"replicas"`
	Still     lag.Maybe[float64] `json:"no_progress_seconds"`
	Problem   string             `json:"problem"`

	ledBy lag.Maybe[int32] // the last leader that was known
}

// Pending is what the store knows of the messages that are not done.
type Pending struct {
	At      time.Time            `json:"at"`
	Retry   int64                `json:"retry"`
	Parked  int64                `json:"parked"`
	Dead    int64                `json:"dead"`
	NextDue time.Time            `json:"next_due"` // zero: nothing is due
	Tiers   map[string]TierCount `json:"tiers"`    // by topic
	Classes []ClassCount         `json:"classes"`  // of the dead, the most frequent first
}

// TierCount is what waits in one retry topic.
type TierCount struct {
	Count   int64     `json:"count"`
	NextDue time.Time `json:"next_due"`
}

// ClassCount is what died of one class of failure.
type ClassCount struct {
	Class    string    `json:"class"`
	Count    int64     `json:"count"`
	Newest   time.Time `json:"newest"`
	OrderID  string    `json:"order_id"` // of the newest; "": not known
	Attempts int       `json:"attempts"`
}

// Metrics is what the processes say of themselves. Rates are a second.
type Metrics struct {
	Accepted lag.Maybe[float64] `json:"api_202_per_second"`
	Refused  lag.Maybe[float64] `json:"api_4xx_per_second"`
	Busy     lag.Maybe[float64] `json:"api_503_per_second"`
	InDoubt  lag.Maybe[float64] `json:"api_504_per_second"`
	APIP99   lag.Maybe[float64] `json:"api_p99_seconds"`
	WorkP99  lag.Maybe[float64] `json:"handle_p99_seconds"`
	Errors   lag.Maybe[float64] `json:"handle_error_ratio"`
}

// delta is how fast a row or a group fills up.
func delta(in, out lag.Maybe[float64]) lag.Maybe[float64] {
	if !in.Known || !out.Known {
		return lag.Maybe[float64]{}
	}
	return lag.Know(in.V - out.V)
}

// grade orders severities; what is not known is worse than a warning.
func grade(severity string) int {
	for i, s := range [...]lag.Severity{lag.SevOK, lag.SevWarning, lag.SevUnknown, lag.SevCritical} {
		if s.String() == severity {
			return i
		}
	}
	return 0
}

// row returns the row of a key.
func (s Sample) row(k Key) (Row, bool) {
	for _, list := range [...][]Row{s.Rows, s.Pinned} {
		for _, r := range list {
			if r.Key == k {
				return r, true
			}
		}
	}
	return Row{}, false
}

// withoutRates is the sample after a pause of the whole machine: what came meanwhile is no rate.
func (s Sample) withoutRates() Sample {
	s.Group.In, s.Group.Out, s.Group.RatesMin = lag.Maybe[float64]{}, lag.Maybe[float64]{}, false
	s.Group.ETA, s.Group.Drain = lag.Maybe[float64]{}, lag.Maybe[string]{}
	bare := func(rows []Row) []Row {
		list := make([]Row, len(rows))
		for i, r := range rows {
			r.In, r.Out = lag.Maybe[float64]{}, lag.Maybe[float64]{}
			list[i] = r
		}
		return list
	}
	s.Rows, s.Pinned = bare(s.Rows), bare(s.Pinned)
	return s
}
