package kafka

import (
	"time"

	"github.com/IBM/sarama"
)

// The timing of the clients. The deadlines of our callers answer first; sarama's retries end behind them.
const (
	DialTimeout  = 3 * time.Second
	WriteTimeout = 5 * time.Second

	PublishReadTimeout = 5 * time.Second
	GroupReadTimeout   = 20 * time.Second // above Rebalance + 5 s, for a JoinGroup waits for the others
	ReadReadTimeout    = 3 * time.Second
	ReadWriteTimeout   = 3 * time.Second

	MetadataRetries = 20
	MetadataBackoff = 500 * time.Millisecond
	MetadataTimeout = 10 * time.Second
	ReadMetadata    = 3 * time.Second

	MetadataRefresh = time.Minute // partitions added to a topic are seen after so long

	PublishRetries = 20
	PublishBackoff = 250 * time.Millisecond
	AckTimeout     = 3 * time.Second // what the broker gets to gather the acks of the replicas; below Read
)

// apply sets the timing of a purpose: publish outlasts a leader election of 4 s, read answers quickly or not at all.
func (p Purpose) apply(c *sarama.Config) {
	c.Net.DialTimeout, c.Net.WriteTimeout = DialTimeout, WriteTimeout
	c.Metadata.Retry.Max, c.Metadata.Retry.Backoff = MetadataRetries, MetadataBackoff
	c.Metadata.Timeout = MetadataTimeout
	c.Metadata.RefreshFrequency = MetadataRefresh
	switch p {
	case ForPublish:
		c.Net.ReadTimeout = PublishReadTimeout
		c.Producer.Retry.Max, c.Producer.Retry.Backoff = PublishRetries, PublishBackoff
		c.Producer.Timeout = AckTimeout
	case ForGroup:
		c.Net.ReadTimeout = GroupReadTimeout
	default:
		c.Net.ReadTimeout, c.Net.WriteTimeout = ReadReadTimeout, ReadWriteTimeout
		c.Metadata.Retry.Max, c.Metadata.Timeout = 0, ReadMetadata
	}
}
