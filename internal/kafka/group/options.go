package group

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/IBM/sarama"
	"github.com/prometheus/client_golang/prometheus"

	"commerce.internal/orderctl/internal/kafka"
)

// The values of Options.From.
const (
	Earliest = "earliest"
	Latest   = "latest"
)

// The values of Options.Balance.
const (
	CooperativeSticky = "cooperative-sticky"
	Range             = "range"
)

// Options says which group, which topics and how. Group, Topics and Log are required.
type Options struct {
	Group      string
	Topics     []string
	From       string   // where to begin where nothing is committed: earliest, latest; empty: earliest
	InstanceID string   // static membership
	Balance    []string // empty: cooperative-sticky. A group that comes from range rolls through both
	Timing     Timing
	MaxWait    time.Duration // how long a fetch waits for a record; zero: 250 ms
	// OnLost is told when records were deleted before this group read them.
	OnLost func(topic string, partition int32, lost int64)
	// OnHalt is told when a partition is not read any more and why; with an empty reason, that it is read again.
	OnHalt func(topic string, partition int32, reason string)
	Memory Memory // which log the commits belong to; nil: it is forgotten when the process ends
	Log    *slog.Logger
	Reg    prometheus.Registerer
}

// Timing is the clock of the group. Zero is the value in brackets.
type Timing struct {
	Session   time.Duration // a member that is silent for so long is dead [10 s]
	Heartbeat time.Duration // also how long a handover takes [500 ms]
	Rebalance time.Duration // what the others get to come back in a rebalance [15 s]
	Read      time.Duration // of one answer; above Rebalance, for a JoinGroup waits for the others [20 s]
}

// WithDefaults returns the timing with its zeros filled in.
func (t Timing) WithDefaults() Timing {
	fill := func(d *time.Duration, value time.Duration) {
		if *d == 0 {
			*d = value
		}
	}
	fill(&t.Session, 10*time.Second)
	fill(&t.Heartbeat, 500*time.Millisecond)
	fill(&t.Rebalance, 15*time.Second)
	fill(&t.Read, kafka.GroupReadTimeout)
	return t
}

// Validate refuses a timing with which a group cannot live.
func (t Timing) Validate() error {
	t = t.WithDefaults()
	if t.Read < t.Rebalance+5*time.Second {
		return fmt.Errorf("group: Timing.Read %v must be at least Rebalance + 5s (%v): members would join for ever", t.Read, t.Rebalance+5*time.Second)
	}
	if t.Heartbeat > t.Session/3 {
		return fmt.Errorf("group: Timing.Heartbeat %v must be at most a third of Session (%v)", t.Heartbeat, t.Session/3)
	}
	return nil
}

func (o Options) validate() error {
	switch {
	case o.Group == "":
		return errors.New("group: Options.Group is required")
	case len(o.Topics) == 0:
		return errors.New("group: Options.Topics is required")
	case o.Log == nil:
		return errors.New("group: Options.Log is required")
	case o.From != "" && o.From != Earliest && o.From != Latest:
		return fmt.Errorf("group: Options.From: %q is neither earliest nor latest", o.From)
	}
	if _, err := o.strategies(); err != nil {
		return err
	}
	return o.Timing.Validate()
}

func (o Options) strategies() ([]sarama.BalanceStrategy, error) {
	names := o.Balance
	if len(names) == 0 {
		names = []string{CooperativeSticky}
	}
	var all []sarama.BalanceStrategy
	for _, name := range names {
		switch name {
		case CooperativeSticky:
			all = append(all, sarama.NewBalanceStrategyCooperativeSticky())
		case Range:
			all = append(all, sarama.NewBalanceStrategyRange())
		default:
			return nil, fmt.Errorf("group: Options.Balance: %q is neither cooperative-sticky nor range", name)
		}
	}
	return all, nil
}

// apply sets what a group wants of sarama beside what its purpose sets.
func (o Options) apply(c *sarama.Config) {
	t := o.Timing.WithDefaults()
	c.Net.ReadTimeout = t.Read
	c.Consumer.Group.Session.Timeout = t.Session
	c.Consumer.Group.Heartbeat.Interval = t.Heartbeat
	c.Consumer.Group.Rebalance.Timeout = t.Rebalance
	c.Consumer.Group.Rebalance.GroupStrategies, _ = o.strategies() // validate has checked it
	c.Consumer.Group.Rebalance.Retry.Backoff = 500 * time.Millisecond
	c.Consumer.Group.InstanceId = o.InstanceID
	c.Consumer.Group.ResetInvalidOffsets = false // true jumps without a word
	c.Consumer.Offsets.Initial = sarama.OffsetOldest
	c.Consumer.Offsets.AutoCommit.Enable = true // without it marks are lost when a session ends
	c.Consumer.Offsets.AutoCommit.Interval = time.Second
	c.Consumer.Return.Errors = true
	c.Consumer.IsolationLevel = sarama.ReadCommitted
	c.Consumer.Fetch.Default = 1 << 20
	c.Consumer.Fetch.Max = 0 // above 0 larger records are skipped
	c.Consumer.Retry.Backoff = 500 * time.Millisecond
	c.Consumer.MaxProcessingTime = 500 * time.Millisecond
	c.Consumer.MaxWaitTime = 250 * time.Millisecond
	if o.MaxWait > 0 {
		c.Consumer.MaxWaitTime = o.MaxWait
	}
	c.ChannelBufferSize = 16 // what a member that has lost its partition may still hand out
}
